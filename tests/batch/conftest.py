"""A toy model on disk for the batches of these tests; `running.py` runs them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def model(toy_model, tmp_path_factory) -> str:
    """The folder of a model of the real classes with random weights."""
    folder = tmp_path_factory.mktemp("toy")
    toy_model.save_pretrained(folder)
    return str(folder)
