"""Makes `tests/convert/synthetic_checkpoints.py` importable by the tests of this folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "convert"))
