"""Makes `tests/convert/synthetic_checkpoints.py` and `tests/generators/tiny_audio.py` importable by the tests of this folder."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("convert", "generators")]
