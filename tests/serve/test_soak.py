"""Many requests of mixed kind, a tenth of them hostile, against the command itself: all answered, nothing lost, memory flat.

The server is a process of its own, so its memory is its own; at the end a signal stops it while it is at work.
"""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psutil
import pytest
from making import encoded, film, picture, png_header, tone, wav
from serving import FEW, data_url, error, image_part, metric, wait_until

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 6

PNG, JPEG = data_url(encoded(picture(), "PNG")), encoded(picture(300, 200), "JPEG")
WAV, FILM = data_url(wav(tone(0.5, 8000), 8000), "audio/wav"), data_url(film([i / 8 for i in range(8)], tone=1.0), "video/webm")
ASK = {"type": "text", "text": "what is this?"}


def chat(content, **more) -> tuple[str, dict]:
    return "/v1/chat/completions", {"messages": [{"role": "user", "content": content}], "generation": FEW, **more}


GOOD = [
    chat("hello", modalities=["text"]),
    chat("a red bell", modalities=["image"]),
    chat("a bell rings", modalities=["audio"]),
    chat([ASK, image_part(PNG)], modalities=["text"]), chat("a red bell", modalities=["image"], stream=True),
    chat([ASK, {"type": "audio_url", "audio_url": {"url": WAV}}], modalities=["text"]),
    chat([ASK, {"type": "video_url", "video_url": {"url": FILM}}], modalities=["text"]),
    chat("a ball moves", modalities=["video"]), chat("draw a cat and let me hear it"),
    ("/v1/images/generations", {"prompt": "a blue car", "n": 2, "generation": FEW}),
    ("/v1/audio/generate", {"prompt": "rain", "generation": FEW}),
]  # fmt: skip
HOSTILE = [
    chat([image_part(data_url(JPEG[:900]))]),
    chat([image_part(data_url(png_header(30_000, 30_000)))]),
    chat([]), chat("x " * 9999), chat("x", seed=2**70), chat("x", modalities=["smell"]), ("/v1/videos", []),
    chat([image_part("file:///etc/passwd")]),
    chat([image_part("http://169.254.169.254/")]),
    chat([{"type": "video_url", "video_url": {"url": data_url(b"ffconcat version 1.0\nfile x\n")}}]),
    chat([{"type": "audio_url", "audio_url": {"url": "data:audio/wav;base64,%%%"}}]), "gone", "junk",
]  # fmt: skip


class Command:
    """`anygen serve` as a process."""

    def __init__(self, *options: str):
        command = [sys.executable, "-c", "import sys; from anygen.cli import main; sys.exit(main())", "serve", "--port", "0"]
        environment = os.environ | {"MALLOC_ARENA_MAX": "2"}
        self.process = subprocess.Popen([*command, *options], cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment)
        self.lines = [self.process.stderr.readline()]
        self.port = int(re.search(r":(\d+)/v1", self.lines[0])[1])
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=300, trust_env=False)
        wait_until(self.is_ready, seconds=900)

    def is_ready(self) -> bool:
        """Whether it takes requests; on a busy machine a kept connection may be closed before it is used again."""
        try:
            return self.http.get("/ready").status_code == 200
        except httpx.TransportError:
            return False

    @property
    def memory(self) -> int:
        return psutil.Process(self.process.pid).memory_info().rss

    def end(self) -> tuple[int, str]:
        """Its exit status and what it said."""
        said = "".join(self.lines) + self.process.communicate(timeout=300)[1]
        self.http.close()
        return self.process.returncode, said


@pytest.fixture
def command():
    started = []

    def start(*options: str) -> Command:
        started.append(Command(*options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


def send(command: Command, request) -> bool:
    """Whether the reply is what it should be."""
    if isinstance(request, str):
        with socket.create_connection(("127.0.0.1", command.port)) as client:
            cut = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"
            client.sendall(cut if request == "gone" else b"\0\1\2\r\n\r\n")
        return True
    path, body = request
    reply = command.http.post(path, json=body)
    if any(request is good for good in GOOD):
        return reply.status_code == 200 and ('"error"' not in reply.text[-300:] or path == "/v1/audio/generate")
    return 400 <= reply.status_code < 500 and bool(error(reply)["code"])


def soak(command: Command, *, num_requests: int, num_first: int) -> float:
    """Growth of the memory from after `num_first` requests to the end, as a share."""
    rng = random.Random(0)
    requests = [rng.choice(HOSTILE) if i % 10 == 7 else GOOD[i % len(GOOD)] for i in range(num_requests)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        assert all(pool.map(lambda request: send(command, request), requests[:num_first]))
        first = command.memory
        assert all(pool.map(lambda request: send(command, request), requests[num_first:]))
    text = command.http.get("/metrics").text
    assert metric(text, "anygen_held_bytes") == metric(text, "anygen_requests_running") == 0
    growth = command.memory / first - 1
    last = command.memory
    print(f"{num_requests} requests: {first / 1e6:.0f} MB after {num_first}, {last / 1e6:.0f} MB at the end ({growth:+.1%})")
    return growth


def stop_at_work(command: Command, *, signals: int) -> tuple[int, str, int]:
    """Exit status, what was said, and the status (0: none came) of a request that was at work when the signals came."""
    body = GOOD[7][1] | {"generation": {"video": {"num_inference_steps": 200 if signals > 1 else 8}}}
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(command.http.post, GOOD[7][0], json=body)
        wait_until(lambda: metric(command.http.get("/metrics").text, "anygen_requests_running") == 1)
        for _ in range(signals):
            command.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
        try:
            status = reply.result().status_code
        except httpx.HTTPError:
            status = 0
    return *command.end(), status


def test_sixty_requests_then_a_signal(command):
    server = command("--grace", "60")
    assert soak(server, num_requests=60, num_first=30) < 0.08
    code, said, status = stop_at_work(server, signals=1)
    assert (code, status) == (130, 200), said
    assert "Traceback" not in said and "is ready" in said


@pytest.mark.slow
def test_five_hundred_requests(command):
    assert soak(command(), num_requests=500, num_first=50) < 0.05


@pytest.mark.slow
def test_a_second_signal_ends_it_at_once(command):
    server = command("--grace", "600")  # the film at work takes minutes
    code, said, status = stop_at_work(server, signals=2)
    assert code == -signal.SIGTERM and status == 0 and "Traceback" not in said


@pytest.mark.slow
def test_what_is_not_done_in_time_is_given_up(command):
    server = command("--grace", "1")
    server.http.post("/v1/videos", json={"prompt": "a ball", "generation": {"video": {"num_inference_steps": 200}}})
    server.process.send_signal(signal.SIGINT)
    code, said = server.end()
    assert code == 130 and "Traceback" not in said


def test_usage(capsys, monkeypatch):
    from anygen.cli import main

    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.delenv("ANYGEN_TOKEN", raising=False)
    for arguments, told in (
        (["--host", "0.0.0.0"], "ANYGEN_TOKEN"), (["--max-queue", "0"], "max_queue"), (["--media-root", "nowhere"], "media_root"),
        (["--url-network", "x"], "url_networks"), (["--port", "70000"], "port"),
    ):  # fmt: skip
        assert main(["serve", *arguments]) == 2
        assert told in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "--port", str(taken.getsockname()[1])]) == 2
        assert "cannot be listened on" in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_ends_the_server_with_status_1(tmp_path):
    command = [sys.executable, "-c", "import sys; from anygen.cli import main; sys.exit(main())", "serve", "--port", "0"]
    done = subprocess.run([*command, "--model", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 1 and "model_load_error" in done.stderr
