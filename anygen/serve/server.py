"""The process around the application: the socket, slow connections, signals, and a model that will not load.

The first SIGTERM or SIGINT stops taking requests in and lets those at work finish within the time of grace; the second
ends the process at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
from collections.abc import Callable

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from anygen.errors import AnyGenError
from anygen.serve.app import build_app
from anygen.serve.problems import error_body
from anygen.serve.service import Service
from anygen.serve.settings import ServeSettings

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Uvicorn's server, which tells the service of the signal to stop, and stops when the service's engine has ended."""

    def __init__(self, config: uvicorn.Config, *, service: Service):
        super().__init__(config)
        self.service = service
        self.fault: BaseException | None = None

    def handle_exit(self, sig: int, frame) -> None:
        """A signal's handler."""
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        self._captured_signals.append(sig)
        self.service.begin_stop()
        self.should_exit = True

    def engine_ended(self, fault: BaseException | None) -> None:
        """Called from the engine's thread."""
        if fault is not None:
            self.fault = fault
            self.service.begin_stop()
            self.should_exit = True


def serve(settings: ServeSettings, *, load: Callable, on_start: Callable[[str], None] | None = None) -> None:
    """Serve until a signal says to stop. `load` makes the pipeline; `on_start` is told the address.

    Raises what the model could not be loaded for, `storage_error` where the address is taken, and `KeyboardInterrupt`
    after a signal, as the command line's handlers do.
    """
    server = build_server(settings, load=load)
    listener = listen(settings)
    if on_start:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        on_start(f"http://{host}:{listener.getsockname()[1]}")
    server.run(sockets=[listener])
    if server.fault is not None:
        raise server.fault


def build_server(settings: ServeSettings, *, load: Callable, **options) -> Server:
    """A server that is not running yet; `options` go to `Service`."""
    servers: list[Server] = []
    service = Service(settings, load=load, on_end=lambda fault: servers[0].engine_ended(fault), **options)

    def protocol(*arguments, **named) -> PatientProtocol:
        return PatientProtocol(*arguments, settings=settings, **named)

    config = uvicorn.Config(
        build_app(service),
        log_config=None,
        access_log=False,
        ws="none",
        limit_concurrency=settings.max_connections,
        timeout_graceful_shutdown=round(settings.grace_seconds),
        server_header=False,
        h11_max_incomplete_event_size=64 * 1024,
    )
    config.load()
    config.http_protocol_class = protocol
    servers.append(Server(config, service=service))
    return servers[0]


def listen(settings: ServeSettings) -> socket.socket:
    """The listening socket. Raises `storage_error` where the address cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host.strip("[]"), settings.port))
        listener.listen(min(settings.max_connections, 1024))
    except OSError as error:
        listener.close()
        detail = f"{settings.host}:{settings.port} cannot be listened on: {error.strerror or error}; choose another --port"
        raise AnyGenError("invalid_parameter", detail, where="port") from error
    return listener


class PatientProtocol(H11Protocol):
    """HTTP/1.1 with an end to its patience: for the head of a request to arrive, and for a reply to be taken in."""

    def __init__(self, *arguments, settings: ServeSettings, **named):
        super().__init__(*arguments, **named)
        self.settings = settings
        self.head_timer: asyncio.TimerHandle | None = None
        self.write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        for timer in (self.head_timer, self.write_timer):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """A head that came in part has to be whole soon; one that is whole is waited for no longer."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._await_head()
        elif self.head_timer is not None:
            self.head_timer.cancel()
            self.head_timer = None

    def pause_writing(self) -> None:
        """The client takes nothing in: it has some time to go on."""
        super().pause_writing()
        self.write_timer = self.loop.call_later(self.settings.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        if self.write_timer is not None:
            self.write_timer.cancel()
            self.write_timer = None

    def on_response_complete(self) -> None:
        """What of the reply is still in the buffer has to go soon, where the connection is to close."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later()

    def timeout_keep_alive_handler(self) -> None:
        """A connection on which nothing more was asked is closed, in any case."""
        super().timeout_keep_alive_handler()
        self._abort_later()

    def send_400_response(self, msg: str) -> None:
        """Bytes that are no HTTP are answered in the shape of all other errors."""
        body = json.dumps(error_body(AnyGenError("invalid_request", msg))).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event))
        self.transport.close()
        self._abort_later()

    def _await_head(self) -> None:
        if self.head_timer is None:
            self.head_timer = self.loop.call_later(self.settings.header_seconds, self._give_up)

    def _give_up(self) -> None:
        self.head_timer = None
        is_busy = self.cycle is not None and not self.cycle.response_complete
        if not is_busy:
            self.transport.abort()

    def _abort_later(self) -> None:
        if self.write_timer is None:
            self.write_timer = self.loop.call_later(self.settings.write_seconds, self.transport.abort)
