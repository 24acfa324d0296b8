"""Settings of the whole suite: it runs offline, and without taking every core."""

import os

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(autouse=True, scope="session")
def two_threads():
    """Small tensors are slower on many threads than on few."""
    import torch

    torch.set_num_threads(min(2, torch.get_num_threads()))
