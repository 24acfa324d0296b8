"""One medium of the network, read within bounds: bytes, seconds, redirects, retries.

    URL -> vetted address (url_guard.py) -> connect to that address -> 2xx: the body, streamed | 3xx: the next URL, vetted
Nothing of this machine's set-up takes part: no proxy, no cookie, no credential.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from anygen.errors import AnyGenError
from anygen.serve.url_guard import Resolve, Target, read_url, resolve_host, vetted_address

if TYPE_CHECKING:
    import httpx

    from anygen.serve.settings import ServeSettings

log = logging.getLogger(__name__)

MAX_REDIRECTS = 3
MAX_TRIES = 3
REDIRECTS = (301, 302, 303, 307, 308)
WORTH_RETRYING = (429, 500, 502, 503, 504)
BACKOFF_SECONDS = 0.5
"""Before the second try; doubled before each further one."""


async def fetch(url: str, *, settings: ServeSettings, resolve: Resolve = resolve_host) -> bytes:
    """The bytes at an address.

    Raises `url_not_allowed` (URLs are off, or an address is not public, the target of a redirect included),
    `media_too_large`, `media_timeout`, and `url_unreadable` for whatever else goes wrong.
    """
    import httpx

    if not settings.allow_urls:
        raise AnyGenError("url_not_allowed", "found an address; this server reads data URLs only (--allow-urls)")
    try:
        async with asyncio.timeout(settings.fetch_seconds):
            return await _follow(url, settings=settings, resolve=resolve)
    except TimeoutError as error:
        detail = f"{url[:200]} was not read within {settings.fetch_seconds:g} s"
        raise AnyGenError("media_timeout", detail, limit=settings.fetch_seconds) from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise AnyGenError("url_unreadable", f"{url[:200]}: {type(error).__name__}") from error


async def _follow(url: str, *, settings: ServeSettings, resolve: Resolve) -> bytes:
    """Read through at most `MAX_REDIRECTS` redirects, each target vetted as the first was."""
    for _ in range(1 + MAX_REDIRECTS):
        target = read_url(url)
        found = await _try(target, settings=settings, resolve=resolve)
        if isinstance(found, bytes):
            return found
        url = urljoin(url, found)
    raise AnyGenError("url_unreadable", f"{url[:200]}: more than {MAX_REDIRECTS} redirects")


async def _try(target: Target, *, settings: ServeSettings, resolve: Resolve) -> bytes | str:
    """The body, or where it has moved to; asked again while the other side is busy."""
    for attempt in range(MAX_TRIES):
        if attempt:
            await asyncio.sleep(BACKOFF_SECONDS * 2 ** (attempt - 1))
        address = await vetted_address(target, resolve=resolve, networks=settings.url_networks)
        status, found = await _get(target, address, max_bytes=settings.media.max_bytes)
        if found is not None:
            return found
        if status not in WORTH_RETRYING:
            break
    raise AnyGenError("url_unreadable", f"{target.host}: status {status}", status=status)


async def _get(target: Target, address: str, *, max_bytes: int) -> tuple[int, bytes | str | None]:
    """The status, and the body of a 2xx or the `Location` of a redirect."""
    import httpx

    # The address stands in the URL, so there is no second look-up; the name is for the certificate and the other side.
    host = f"[{address}]" if ":" in address else address
    headers = {"Host": target.authority, "Accept-Encoding": "identity", "User-Agent": "anygen"}
    async with (
        httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=None) as client,
        client.stream(
            "GET",
            f"{target.scheme}://{host}:{target.port}{target.path}",
            headers=headers,
            extensions={"sni_hostname": target.host},
        ) as response,
    ):
        if response.status_code in REDIRECTS and "location" in response.headers:
            return response.status_code, response.headers["location"]
        if not response.is_success:
            return response.status_code, None
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise AnyGenError("url_unreadable", f"{target.host}: found a compressed body; it was asked for as it is")
        return response.status_code, await _read(response, max_bytes=max_bytes)


async def _read(response: httpx.Response, *, max_bytes: int) -> bytes:
    """The body, given up as soon as it is known to be too large. Raises `media_too_large`."""
    claimed = response.headers.get("content-length", "")
    size = int(claimed) if claimed.isdecimal() else 0
    chunks: list[bytes] = []
    if size <= max_bytes:
        size = 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > max_bytes:
                break
            chunks.append(chunk)
    if size > max_bytes:
        detail = f"found more than {max_bytes} bytes; expected at most that many"
        raise AnyGenError("media_too_large", detail, limit=max_bytes)
    return b"".join(chunks)
