"""The chat page over nano, from Python: `python demos/chat.py`. See `anygen/demos/chat.py` for the page itself."""

from anygen import AnyGenPipeline
from anygen.demos.launch import launch

if __name__ == "__main__":
    launch(AnyGenPipeline.from_pretrained("nano"), "chat")
