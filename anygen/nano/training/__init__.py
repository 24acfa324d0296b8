"""The recipes that train every part of nano from scratch; `run.py` is the order in which they go."""
