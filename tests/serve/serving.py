"""A server in a thread, and small clients for it: OpenAI's, plain HTTP, and raw sockets that misbehave."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from anygen.serve.server import build_server, listen
from anygen.serve.settings import ServeSettings

FEW = {"image": {"num_inference_steps": 2}, "video": {"num_inference_steps": 2}, "audio": {"num_inference_steps": 2}}
"""Few denoising steps, for tests that do not look at what was made."""


class Running:
    """A server that runs while the block lasts."""

    def __init__(self, pipeline, load: Callable | None = None, *, resolve=None, **settings):
        self.settings = ServeSettings(port=0, **{"grace_seconds": 2.0} | settings)
        options = {} if resolve is None else {"resolve": resolve}
        self.server = build_server(self.settings, load=load or (lambda: pipeline), **options)
        self.engine = self.server.service.engine
        self.listener = listen(self.settings)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)

    def __enter__(self) -> Running:
        self.thread.start()
        self.http = httpx.Client(base_url=self.url, timeout=120.0, trust_env=False)
        wait_until(lambda: self.server.started)
        if not self.settings.token and self.server.service.engine.load.__name__ == "<lambda>":
            wait_until(lambda: self.engine.is_ready)
        return self

    def __exit__(self, *exception) -> None:
        self.http.close()
        self.server.should_exit = True
        self.thread.join(timeout=60)
        assert not self.thread.is_alive()

    def openai(self, **options):
        """OpenAI's client."""
        import openai

        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=options.pop("api_key", "none"), max_retries=0, **options)

    def chat(self, content: Any, **body) -> httpx.Response:
        """One turn of the user's."""
        return self.http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": content}], **body})

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric, 0 before it was ever counted."""
        return metric(self.http.get("/metrics").text, name, **labels)

    @contextlib.contextmanager
    def raw(self, path: str, body: bytes, *, length: int | None = None, headers: str = "") -> Iterator[socket.socket]:
        """A socket over which a POST of JSON was sent; `length` is what its head says."""
        length = len(body) if length is None else length
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {length}\r\n{headers}\r\n"
        )
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as client:
            client.sendall(head.encode() + body)
            yield client


def metric(text: str, name: str, **labels: str) -> float:
    """The value of a metric in Prometheus' text format."""
    wanted = ",".join(f'{key}="{value}"' for key, value in labels.items())
    for line in text.splitlines():
        if line.startswith(name + ("{" if labels else " ")) and wanted in line:
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def error(response: httpx.Response) -> dict[str, Any]:
    """The error of a reply, which is in OpenAI's shape and leaks nothing."""
    body = response.json()
    assert set(body) == {"error"} and {"message", "type", "param", "code"} <= set(body["error"]), body
    assert not re.search(r"Traceback|File \"|/work|/tmp|site-packages|0x[0-9a-f]{6}", response.text), response.text
    return body["error"]


def code(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a reply that is an error."""
    return response.status_code, error(response)["code"]


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def decoded(url: str) -> bytes:
    return base64.b64decode(url.partition(",")[2])


def image_part(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def request_body(content: Any, **more) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": content}], **more}).encode()


def wait_until(condition: Callable[[], bool], *, seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def received(client: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := client.recv(65536):
            data += piece
    return data
