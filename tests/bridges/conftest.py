"""The tiny LLMs of `tests/backbones` are joined to bridges here too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "backbones"))
