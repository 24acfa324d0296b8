"""The gradio apps behind `anygen demo`: a chat, and a grid of one sentence in every medium.

Both only call `AnyGenPipeline`. What one visitor said, and the files made for them, is kept in their own session.
"""
