"""A real server around the real nano, in a thread of this process and on a free port; and this folder on the path."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "media")]  # for serving.py and making.py


@pytest.fixture(scope="session")
def nano():
    """The pipeline. Servers share it, so only one may be at work at a time."""
    from anygen import AnyGenPipeline

    return AnyGenPipeline.from_pretrained("nano")


@pytest.fixture(scope="session")
def server(nano):
    """A server with its own settings for all but the port."""
    from serving import Running

    with Running(nano) as running:
        yield running


@pytest.fixture
def start(nano):
    """Starts servers with settings of one's own; they stop when the test ends."""
    from contextlib import ExitStack

    from serving import Running

    with ExitStack() as stack:
        yield lambda *arguments, **settings: stack.enter_context(Running(nano, *arguments, **settings))
