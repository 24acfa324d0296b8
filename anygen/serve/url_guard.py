"""Which addresses of the network may be read, decided on the resolved address and not on the name.

    text -> Target (scheme, host, port, path) -> addresses of the host -> the one address to connect to
A host any of whose addresses is not public is refused as a whole. `fetch.py` connects to the very address that was
vetted here, so that a name cannot change its mind between the check and the connection.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from anygen.errors import AnyGenError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, as text."""

MAX_URL_LENGTH = 2048
_PORTS = {"http": 80, "https": 443}
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9!$&'()*+,;=:@._~%/?#\[\]-]+", re.ASCII | re.IGNORECASE)
_HOST_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
"""A last label of digits, or of 0x and digits, is an IPv4 address in one of its old spellings: never a name."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, kw_only=True)
class Target:
    """An address of the network, taken apart."""

    scheme: str
    host: str
    """In lower case; an IPv6 address without its brackets."""
    port: int
    path: str
    """With the query."""

    @property
    def authority(self) -> str:
        """The value of the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def read_url(text: str) -> Target:
    """Take a URL apart. Raises `url_not_allowed` for all that two readers might read differently."""
    if len(text) > MAX_URL_LENGTH or not _PLAIN_URL.fullmatch(text):
        raise AnyGenError("url_not_allowed", f"found {text[:100]!r}; expected http:// or https:// and plain characters")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise AnyGenError("url_not_allowed", f"found {text[:100]!r}: {error}") from error
    if "@" in parts.netloc or "%" in parts.netloc or not parts.hostname:
        raise AnyGenError("url_not_allowed", f"found {text[:100]!r}; expected a host without a user name or escapes")
    host = parts.hostname.rstrip(".")
    if _address(host) is None and not _HOST_NAME.fullmatch(host):
        raise AnyGenError("url_not_allowed", f"found the host {host[:100]!r}; expected a name or a plain IP address")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme=parts.scheme.lower(), host=host, port=_PORTS[parts.scheme.lower()] if port is None else port, path=path)


async def vetted_address(target: Target, *, resolve: Resolve, networks: Sequence[str] = ()) -> str:
    """The address to connect to. Raises `url_not_allowed` where one that the host has may not be read."""
    addresses = [target.host] if _address(target.host) is not None else await resolve(target.host, target.port)
    if not addresses:
        raise AnyGenError("url_unreadable", f"found no address of {target.host}")
    allowed = [ipaddress.ip_network(network) for network in networks]
    for text in addresses:
        address = _address(text)
        inside = address is not None and any(address in network for network in allowed)
        if address is None or not (inside or is_public(address)):
            raise AnyGenError("url_not_allowed", f"{target.host} is at {text}; expected a public address")
    return addresses[0]


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet, and so is every IPv4 address that is hidden in it."""
    if isinstance(address, ipaddress.IPv6Address):
        hidden = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64 or int(address) < 2**32:  # the second: IPv4-compatible, of old
            hidden.append(ipaddress.IPv4Address(int(address) & (2**32 - 1)))
        if any(each is not None and not is_public(each) for each in hidden):
            return False
        if address.ipv4_mapped is not None:
            return True
    reserved = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    return address.is_global and not (reserved or address.is_link_local or address.is_private)


async def resolve_host(host: str, port: int) -> list[str]:
    """The addresses of a host, as the machine resolves names. Raises `url_unreadable`."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise AnyGenError("url_unreadable", f"{host} cannot be resolved: {error}") from error
    return list(dict.fromkeys(entry[4][0] for entry in found))


def _address(text: str) -> Address | None:
    """`text` as an address in its one plain spelling, or None."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
