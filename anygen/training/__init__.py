"""Turning joined, frozen parts into one end-to-end system: the three alignment stages of NExT-GPT."""
