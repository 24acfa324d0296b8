"""Makes `synthetic_checkpoints.py` and the tiny pipelines of `tests/presets` importable by the tests of this folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "presets"))
