"""One input told in every medium, over nano: `python demos/grid.py`. See `anygen/demos/grid.py` for the page itself."""

from anygen import AnyGenPipeline
from anygen.demos.launch import launch

if __name__ == "__main__":
    launch(AnyGenPipeline.from_pretrained("nano"), "grid")
