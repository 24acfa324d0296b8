"""Peers of the remote parts: a plain HTTP server that answers as a test says, and `anygen serve` with nano."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "serve")]  # for peer.py and serving.py


@pytest.fixture
def peer():
    """A server that answers nothing yet; see `Peer.answers`."""
    from peer import Peer

    with Peer() as running:
        yield running


@pytest.fixture(scope="session")
def nano_url():
    """The address of a server that serves nano."""
    from serving import Running

    from anygen import AnyGenPipeline

    with Running(AnyGenPipeline.from_pretrained("nano")) as running:
        yield f"{running.url}/v1"
