"""The outermost layer: who may ask, how long a reply may take to be taken in, and that every request ends in order.

Without a token only this machine can connect, but so can any page in a browser on it: requests that name another host
(DNS rebinding), or that come from a page of another origin, are refused.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from anygen.errors import AnyGenError
from anygen.serve.metrics import Metrics
from anygen.serve.problems import as_anygen_error, error_response
from anygen.serve.settings import ServeSettings, is_loopback

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

OPEN_PATHS = ("/health", "/ready")
"""What is answered without a token: it says nothing but yes or no."""
PIECE_BYTES = 64 * 1024
"""A reply goes out in pieces of this size, so that the time for each bounds how slow a reader may be."""


class ClientLeft(Exception):
    """There is nobody to answer any more."""


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(self, app, *, settings: ServeSettings, metrics: Metrics, retry_after: Callable[[], int]):
        self.app, self.settings, self.metrics, self.retry_after = app, settings, metrics, retry_after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, reply = time.perf_counter(), _Reply(send)
        scope.setdefault("state", {})["code"] = ""
        try:
            self.check(scope)
            await self.app(scope, receive, reply.send)
        except ClientLeft:
            scope["state"]["code"] = "cancelled"
        except Exception as error:
            fault = as_anygen_error(error)
            scope["state"]["code"] = fault.code
            if reply.status:
                raise  # half a reply is out: only a closed connection says that there is no more
            await error_response(fault, retry_after=self.retry_after())(scope, receive, reply.send)
        finally:
            route = scope.get("route")
            endpoint = route.path if route is not None else "other"
            self.metrics.answered(endpoint, reply.status or 499, scope["state"]["code"], time.perf_counter() - started)

    def check(self, scope: Scope) -> None:
        """Raises `unauthorized` and `origin_not_allowed`."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if self.settings.token:
            kind, _, given = headers.get(b"authorization", "").partition(" ")
            right = hmac.compare_digest(given.strip().encode(), self.settings.token.encode())
            if scope["path"] not in OPEN_PATHS and not (kind.lower() == "bearer" and right):
                raise AnyGenError("unauthorized", "found no token, or another one")
            return
        host = headers.get(b"host", "localhost")
        if not is_loopback(_host_of(f"//{host}")):
            raise AnyGenError("origin_not_allowed", f"the request is for the host {host!r}; expected this machine")
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise AnyGenError("origin_not_allowed", f"the request is of a page at {origin!r}")


class _Reply:
    """The sending side: remembers the status, and cuts the body into pieces."""

    def __init__(self, send: Send):
        self._send = send
        self.status = 0

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        body = message.get("body", b"")
        if message["type"] != "http.response.body" or len(body) <= PIECE_BYTES:
            await self._send(message)
            return
        for start in range(0, len(body), PIECE_BYTES):
            piece, is_last = body[start : start + PIECE_BYTES], start + PIECE_BYTES >= len(body)
            await self._send({**message, "body": piece, "more_body": message.get("more_body", False) or not is_last})


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
