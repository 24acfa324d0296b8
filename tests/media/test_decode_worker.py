"""The confined process by itself: what it refuses even when no one has looked at the bytes before. Row 15."""

import io
import json
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict

import av
import pytest

from anygen.media import MediaLimits, load_audio, load_video
from anygen.media.decode import WORKER
from making import film, raises_code


def ask_worker(data: bytes, want: str) -> dict:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        file.seek(0)
        job = json.dumps({"want": want, **asdict(MediaLimits())})
        child = subprocess.run(
            [sys.executable, "-P", str(WORKER), job], stdin=file, capture_output=True, timeout=30, check=True
        )
    return json.loads(child.stdout.split(b"\n", 1)[0])


@pytest.fixture
def listener():
    """A socket that nobody may have called when the test is over."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server
        with pytest.raises(BlockingIOError):
            server.accept()


def playlists(second: str) -> dict[str, bytes]:
    """Bytes that make FFmpeg, left to itself, open `second`."""
    return {
        "ffconcat": f"ffconcat version 1.0\nfile '{second}'\n".encode(),
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{second}\n#EXT-X-ENDLIST\n".encode(),
        "concat": f"concat:{second}|{second}".encode(),
        "subfile": f"subfile,,start,0,end,100,,:{second}".encode(),
        "dash": f'<?xml version="1.0"?><MPD><Period><BaseURL>{second}</BaseURL></Period></MPD>'.encode(),
    }


@pytest.mark.parametrize("kind", ["ffconcat", "m3u8", "concat", "subfile", "dash"])
def test_play_lists_are_refused_and_open_nothing(kind, listener):
    data = playlists(f"http://127.0.0.1:{listener.getsockname()[1]}/a.mp4")[kind]
    for load in (load_video, load_audio):
        with raises_code("media_type_not_allowed"):
            load(data)
    # The same without the look at the first bytes: FFmpeg's allow lists have to hold by themselves.
    assert ask_worker(data, "video")["error"] == "media_unreadable"


def test_the_attack_works_where_nothing_is_fixed(tmp_path):
    """The bytes above are no straw man: PyAV without allow lists reads the second file."""
    second = tmp_path / "second.mkv"
    second.write_bytes(film([0.0, 0.04]))
    data = playlists(str(second))["ffconcat"]
    with av.open(io.BytesIO(data), options={"safe": "0"}) as container:
        assert len(list(container.decode(video=0))) == 2
    assert ask_worker(data, "video")["error"] == "media_unreadable"


def test_the_confined_process_can_open_nothing(tmp_path):
    (tmp_path / "second").write_text("secret")
    program = f"""
import runpy, socket
worker = runpy.run_path({str(WORKER)!r})
open({str(tmp_path / "second")!r}).close()
worker["confine"]({{"decode_memory": 4 * 2**30}})
for attempt in (lambda: open({str(tmp_path / "second")!r}), socket.socket):
    try:
        attempt()
    except OSError as error:
        print(error.errno)
"""
    child = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    if sys.platform == "linux":
        assert child.stdout.split() == ["24", "24"]  # EMFILE


def test_the_worker_imports_neither_torch_nor_anygen():
    program = f"import runpy, sys; runpy.run_path({str(WORKER)!r}); print(*{{m.split('.')[0] for m in sys.modules}})"
    child = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert {"av", "numpy"} <= set(child.stdout.split())
    assert not {"torch", "anygen"} & set(child.stdout.split())
