"""Which addresses may be read: spellings of private ones, names that change their mind, redirects, endless bodies."""

import asyncio
import contextlib
import dataclasses
import gzip
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from making import encoded, picture, raises_code

from anygen.media.limits import MediaLimits
from anygen.serve.fetch import fetch
from anygen.serve.settings import ServeSettings
from anygen.serve.url_guard import is_public, read_url, vetted_address

OPEN = ServeSettings(
    allow_urls=True, url_networks=("127.0.0.1/32",), fetch_seconds=3.0, media=MediaLimits(max_bytes=100_000)
)
"""Fetches from 127.0.0.1 too, and from there alone."""


@contextlib.contextmanager
def site(*replies: bytes, endless: bytes = b"") -> Iterator[tuple[str, list[bytes]]]:
    """A web server that gives one reply a connection, the last one again and again; yields its address and what it was sent."""
    heard: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, contextlib.suppress(OSError):
                    heard.append(client.recv(65536))
                    client.sendall(replies[min(len(heard), len(replies)) - 1])
                    while endless:
                        client.sendall(endless)
                        time.sleep(0.01)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", heard
    finally:
        listener.close()


def http(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    head = {"Content-Length": str(len(body)), "Connection": "close"} | {k.replace("_", "-"): v for k, v in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{key}: {value}" for key, value in head.items() if value), "", ""]
    return "\r\n".join(lines).encode() + body


def read(url: str, settings: ServeSettings = OPEN, **options) -> bytes:
    return asyncio.run(fetch(url, settings=settings, **options))


async def nowhere(host: str, port: int) -> list[str]:
    return {
        "public.example": ["93.184.216.34"], "inner.example": ["10.0.0.7"], "mixed.example": ["93.184.216.34", "127.0.0.1"],
        "six.example": ["::ffff:127.0.0.1"], "none.example": [],
    }[host]  # fmt: skip


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "198.18.0.1", "192.0.2.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1",
        "fd12:3456::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1",
        "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::", "2001:0:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_private_addresses_in_every_spelling(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_public_addresses(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://2130706433/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://017700000001/", "http://127.1/",
        "http://0177.0.0.1/", "http://127.0.0.1.nip.0x7f/", "http://1.1.1.256/", "http://ok\\@bad/", "http://ok@bad/",
        "http://user:word@public.example/", "http://bad%2eexample/", "http://[::1/", "http://[fe80::1%25eth0]/",
        "http:///etc/passwd", "http://", "http://public.example:99999/", "http://public.example:x/", "ftp://public.example/",
        "gopher://public.example/", "http://public.example/a b", "http://public.example/\r\nX: y", "http://pub\u0131ic.example/",
        "http://\u2460\u2461\u2466.0.0.1/", "http://public.example/" + "a" * 3000, "//public.example/", "http:/public.example",
    ],
)  # fmt: skip
def test_addresses_that_two_readers_might_read_differently(url):
    with raises_code("url_not_allowed"):
        read(url, resolve=nowhere)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "10.1.2.3", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"])
def test_private_hosts_are_refused_without_a_connection(host):
    with raises_code("url_not_allowed"):
        read(f"http://{host}:1/", dataclasses.replace(OPEN, url_networks=()))


@pytest.mark.parametrize("name", ["inner.example", "mixed.example", "six.example"])
def test_a_name_is_what_it_resolves_to(name):
    with raises_code("url_not_allowed"):
        read(f"http://{name}/", dataclasses.replace(OPEN, url_networks=()), resolve=nowhere)
    with raises_code("url_unreadable"):
        read("http://none.example/", resolve=nowhere)


def test_targets():
    target = read_url("HTTPS://Public.Example.:8443/a/b?c=d#e")
    assert (target.scheme, target.host, target.port, target.path) == ("https", "public.example", 8443, "/a/b?c=d")
    assert target.authority == "public.example:8443" and read_url("http://[2606::1]/").authority == "[2606::1]"
    assert asyncio.run(vetted_address(read_url("http://public.example/"), resolve=nowhere)) == "93.184.216.34"


def test_urls_are_off_unless_allowed():
    with site(http(b"x")) as (url, heard), raises_code("url_not_allowed"):
        read(url, dataclasses.replace(OPEN, allow_urls=False))
    assert not heard


def test_a_medium_is_fetched_from_the_vetted_address_by_its_name(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # of no account
    data, asked = encoded(picture(), "PNG"), []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    with site(http(data)) as (url, heard):
        port = url.rpartition(":")[2]
        assert read(f"http://films.example:{port}/bell.png?x=1", resolve=rebinding) == data
    assert asked == ["films.example"]  # once: a second look-up could say something else
    assert heard[0].startswith(b"GET /bell.png?x=1 HTTP/1.1\r\n") and f"Host: films.example:{port}".encode() in heard[0]
    assert b"authorization" not in heard[0].lower() and b"cookie" not in heard[0].lower()


def test_redirects_are_followed_three_times_each_vetted():
    with site(http(b"found")) as (target, _):
        with site(http(status="302 Found", Location=target)) as (url, _):
            assert read(url) == b"found"
    moved = http(status="302 Found", Location="/again")
    with site(moved, moved, moved, http(b"found")) as (url, heard):
        assert read(url) == b"found" and len(heard) == 4
    with site(moved) as (url, heard), raises_code("url_unreadable"):
        read(url)
    assert len(heard) == 4
    for private in ("http://127.0.0.2/", "http://169.254.169.254/latest", "file:///etc/passwd", "http://[::1]/", "//10.0.0.1/"):
        with site(http(status="307 Temporary Redirect", Location=private)) as (url, _), raises_code("url_not_allowed"):
            read(url)


def test_a_public_name_that_redirects_to_a_private_one():
    async def resolve(host: str, port: int) -> list[str]:
        return {"outer.example": ["127.0.0.1"], "inner.example": ["192.168.0.1"]}[host]

    with site(http(status="301 Moved", Location="http://inner.example/")) as (url, heard), raises_code("url_not_allowed"):
        read(url.replace("127.0.0.1", "outer.example"), resolve=resolve)
    assert len(heard) == 1


def test_bodies_are_bounded_while_they_come():
    with site(http(Content_Length="200000")) as (url, _), raises_code("media_too_large"):
        read(url)  # by what it claims
    chunk = b"1000\r\n" + bytes(4096) + b"\r\n"
    with site(http(Content_Length="", Transfer_Encoding="chunked"), endless=chunk) as (url, _), raises_code("media_too_large"):
        read(url)
    with site(http(Content_Length="", Connection="close"), endless=bytes(4096)) as (url, _), raises_code("media_too_large"):
        read(url)


def test_slow_bodies_end_at_the_deadline():
    settings = dataclasses.replace(OPEN, fetch_seconds=0.5)
    started = time.monotonic()
    with site(http(Content_Length="90000"), endless=b"x") as (url, _), raises_code("media_timeout"):
        read(url, settings)
    with site(b"HTTP/1.1 200 OK\r\nX-Slow: ", endless=b"y") as (url, _), raises_code("media_timeout"):
        read(url, settings)
    assert time.monotonic() - started < 5


def test_wrong_lengths_and_compressed_bodies():
    with site(http(b"short", Content_Length="500")) as (url, _), raises_code("url_unreadable"):
        read(url)
    with site(http(b"long" * 20, Content_Length="4")) as (url, _):
        assert read(url) == b"long"
    bomb = gzip.compress(bytes(10_000_000))
    with site(http(bomb, Content_Encoding="gzip")) as (url, heard), raises_code("url_unreadable"):
        read(url)
    assert b"Accept-Encoding: identity" in heard[0]
    with site(b"\x00\x01 no HTTP") as (url, _), raises_code("url_unreadable"):
        read(url)


def test_a_busy_site_is_asked_three_times_and_a_refusing_one_once():
    with site(http(status="429 Too Many"), http(status="503 Busy"), http(b"found")) as (url, heard):
        assert read(url) == b"found" and len(heard) == 3
    with site(http(status="500 Broken")) as (url, heard), raises_code("url_unreadable"):
        read(url)
    assert len(heard) == 3
    with site(http(status="404 Not Found")) as (url, heard), raises_code("url_unreadable"):
        read(url)
    assert len(heard) == 1
