"""The folders of tiny LLMs are built by a neighbour of the tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
