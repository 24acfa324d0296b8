"""Every bound and every permission of the server in one place."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from anygen.errors import AnyGenError
from anygen.media.limits import MediaLimits
from anygen.parameters import MAX_ENLARGEMENT


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """What the server may do, how much it takes in, and how long it waits. Times are seconds, sizes bytes."""

    model: str = "nano"
    """"nano", a model folder, or a repository of the hub."""
    host: str = "127.0.0.1"
    port: int = 8000
    """0 takes a free one."""
    token: str | None = None
    """What clients send as `Authorization: Bearer ...`. May be left out only where nobody but this machine connects."""

    allow_urls: bool = False
    """Whether media may be fetched from addresses of the network."""
    url_networks: tuple[str, ...] = ()
    """Networks that may be fetched from although they are not public, e.g. "10.1.0.0/16"."""
    media_root: Path | None = None
    """A folder from which media may be named by `file://` addresses; None allows no path at all."""

    max_queue: int = 64
    """Requests that may wait; more are `overloaded` (503)."""
    max_batch: int = 8
    """Requests that are answered together."""
    max_body_bytes: int = 64 * 2**20
    """Of one request."""
    max_held_bytes: int = 512 * 2**20
    """Of the bodies and the fetched media of all requests together; more are `overloaded`."""
    max_media: int = 16
    """Media of one request."""
    max_decoded_bytes: int = 256 * 2**20
    """Of one request's media, as pixels and samples."""
    max_connections: int = 1024
    max_steps: int = 200
    """Denoising steps that a request may ask for."""
    max_outputs: int = 4
    """Candidates of one medium that a request may ask for."""
    max_enlargement: float = MAX_ENLARGEMENT
    """How many times as large as the model's own a medium may be that a request asks for."""
    media: MediaLimits = field(
        default_factory=lambda: MediaLimits(
            max_bytes=48 * 2**20,
            max_image_pixels=24_000_000,
            max_seconds=120.0,
            max_frames=128,
            max_frame_side=384,
            decode_seconds=20.0,
        )
    )
    """Bounds on one medium, tighter than those for one's own files."""

    header_seconds: float = 10.0
    """For the head of a request to arrive, from the first byte of the connection or of the request."""
    read_seconds: float = 30.0
    """For a request's body to arrive."""
    write_seconds: float = 60.0
    """For a client to take in a piece of the reply."""
    fetch_seconds: float = 15.0
    """For one medium of the network, redirects and retries included."""
    deadline_seconds: float = 300.0
    """From a request's arrival to its reply."""
    grace_seconds: float = 30.0
    """For requests to finish after the signal to stop."""

    max_jobs: int = 64
    """Video jobs that are kept, finished ones among them."""
    job_seconds: float = 3600.0
    """How long a finished video job is kept."""

    def __post_init__(self):
        for name, value in vars(self).items():
            if name != "port" and isinstance(value, (int, float)) and not isinstance(value, bool) and not value > 0:
                raise AnyGenError("invalid_parameter", f"{name}: found {value}; expected more than 0", where=name)
        if not 0 <= self.port <= 65535:
            raise AnyGenError("invalid_parameter", f"port: found {self.port}; expected 0 to 65535", where="port")
        if not self.token and not is_loopback(self.host):
            detail = (
                f"found the address {self.host} and no token; expected one, for others than this machine can connect: "
                "set ANYGEN_TOKEN, or pass --token, or bind to 127.0.0.1"
            )
            raise AnyGenError("invalid_parameter", detail, where="token")
        if self.media_root is not None and not self.media_root.is_dir():
            detail = f"media_root: found no folder {self.media_root}; make it, or leave it out"
            raise AnyGenError("invalid_parameter", detail, where="media_root")
        for network in self.url_networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                detail = f"url_networks: found {network!r}; expected networks such as 10.1.0.0/16"
                raise AnyGenError("invalid_parameter", detail, where="url_networks") from error


def is_loopback(host: str) -> bool:
    """Whether a server bound to `host` is reached from this machine only: localhost, 127.0.0.0/8, ::1."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
