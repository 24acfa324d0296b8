"""nano behind both pages, each served once for all tests here."""

import contextlib
import io

import numpy as np
import pytest
import soundfile
from PIL import Image

pytest.importorskip("gradio", reason="the demo extra is not installed")


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_pages(tmp_path_factory):
    """gradio keeps uploads and results here; read when a page is built."""
    folder = tmp_path_factory.mktemp("gradio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session")
def nano():
    from anygen import AnyGenPipeline

    return AnyGenPipeline.from_pretrained("nano")


@pytest.fixture(scope="session")
def serve(cache_of_the_pages):
    """Serves a pipeline behind a page, "chat" or "grid", until the tests are over."""
    from anygen.demos.launch import launch

    with contextlib.ExitStack() as stack:

        def served(pipeline, app):
            page = launch(pipeline, app, wait=False)
            stack.callback(page.close)
            return page

        yield served


@pytest.fixture(scope="session")
def chat_page(nano, serve):
    return serve(nano, "chat")


@pytest.fixture(scope="session")
def grid_page(nano, serve):
    return serve(nano, "grid")


@pytest.fixture
def connect():
    """Makes clients that talk to a page, each with a session of its own."""
    from gradio_client import Client

    clients = []

    def connected(page):
        clients.append(Client(page.local_url, verbose=False))
        return clients[-1]

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def picture(tmp_path):
    """The path of a PNG."""
    Image.new("RGB", (90, 60), "blue").save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.fixture
def sound(tmp_path):
    """The path of a WAV."""
    data = io.BytesIO()
    soundfile.write(data, np.sin(np.arange(16_000) / 9), 16_000, format="WAV")
    (tmp_path / "sound.wav").write_bytes(data.getvalue())
    return tmp_path / "sound.wav"
