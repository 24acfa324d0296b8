"""Puts this folder's `making.py` (the files that the tests read) on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
