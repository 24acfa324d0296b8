"""A real HTTP server on a free port of this machine, whose answers a test writes down beforehand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(kw_only=True)
class Answer:
    """One response."""

    body: Any = b""
    """Bytes, or what becomes JSON."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] | None = None
    """In place of a body: sent one after the other, then the connection closes."""
    pause: float = 0.0
    """Seconds before each piece."""


@dataclass(kw_only=True)
class Asked:
    """One request."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any] | None


class Peer:
    """`answers`: what is sent, in order, the last one for ever; or a function of the request."""

    def __init__(self):
        self.asked: list[Asked] = []
        self.answers: list[Answer] | Callable[[Asked], Answer] = []
        peer, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                length = int(self.headers.get("content-length", 0))
                body = json.loads(self.rfile.read(length)) if length else None
                with lock:
                    asked = Asked(path=self.path, headers=dict(self.headers), body=body)
                    peer.asked.append(asked)
                    if callable(peer.answers):
                        answer = peer.answers(asked)
                    else:
                        answer = peer.answers[min(len(peer.asked), len(peer.answers)) - 1]
                self.send(answer)

            do_GET = do_POST

            def send(self, answer: Answer) -> None:
                self.send_response(answer.status)
                data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                headers = {"content-length": str(len(data))} if answer.pieces is None else {"connection": "close"}
                for name, value in (headers | answer.headers).items():
                    self.send_header(name, value)
                self.end_headers()
                try:
                    for piece in [data] if answer.pieces is None else answer.pieces:
                        time.sleep(answer.pause)
                        self.wfile.write(piece)
                        self.wfile.flush()
                except OSError:
                    pass  # the client has left
                self.close_connection = True

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def __enter__(self) -> Peer:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        self.server.shutdown()
        self.server.server_close()


def says(reply: str, *, size: int = 7, usage: tuple[int, int] = (11, 5)) -> Answer:
    """A chat completion as a stream, in stretches of `size` characters, whose bytes are cut anywhere."""
    deltas = [reply[start : start + size] for start in range(0, len(reply), size)]
    chunks = [{"choices": [{"index": 0, "delta": {"content": delta}, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [], "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1]}})
    stream = (
        b": hello\n\n" + b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n"
    )
    return Answer(
        pieces=[stream[at : at + 50] for at in range(0, len(stream), 50)], headers={"content-type": "text/event-stream"}
    )
