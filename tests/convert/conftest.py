"""Makes `synthetic_checkpoints.py` importable by the tests of this folder and of `tests/cli`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
