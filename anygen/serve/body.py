"""The body of a request: bounded in size, in time, and together with all other bodies; then JSON or a form, strictly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from anygen.errors import AnyGenError
from anygen.serve.access import ClientLeft
from anygen.serve.settings import ServeSettings

MAX_FORM_FIELDS = 32


class Holdings:
    """How many bytes of requests are in memory, and how many may be. Used by the event loop alone."""

    def __init__(self, limit: int):
        self.limit = limit
        self.held = 0

    @asynccontextmanager
    async def account(self) -> AsyncIterator[Holding]:
        """What one request holds, given back when the block ends."""
        holding = Holding(self)
        try:
            yield holding
        finally:
            self.held -= holding.num_bytes


class Holding:
    """The part of one request."""

    def __init__(self, holdings: Holdings):
        self.holdings = holdings
        self.num_bytes = 0

    def add(self, num_bytes: int) -> None:
        """Hold more. Raises `overloaded` where that is more than all requests may together."""
        if self.holdings.held + num_bytes > self.holdings.limit:
            detail = f"{self.holdings.held} bytes are held; expected at most {self.holdings.limit}"
            raise AnyGenError("overloaded", detail, limit=self.holdings.limit)
        self.holdings.held += num_bytes
        self.num_bytes += num_bytes


async def read_json(request: Request, *, settings: ServeSettings, holding: Holding) -> Any:
    """The body as JSON. Raises `invalid_request`, `request_too_large`, `request_timeout`, `overloaded`."""
    kind = _kind(request)
    if kind != "application/json" and not kind.endswith("+json"):  # a page elsewhere cannot send this without asking first
        raise AnyGenError("invalid_request", f"found the content type {kind!r}; expected application/json", where="content-type")
    return parse_json(await read_body(request, settings=settings, holding=holding))


async def read_form_or_json(request: Request, *, settings: ServeSettings, holding: Holding) -> Any:
    """The body as JSON, or the fields of a form; an uploaded file is its bytes."""
    if _kind(request) != "multipart/form-data":
        return await read_json(request, settings=settings, holding=holding)
    body = await read_body(request, settings=settings, holding=holding)

    async def pieces() -> AsyncIterator[bytes]:
        yield body

    try:
        parser = MultiPartParser(
            request.headers, pieces(), max_files=1, max_fields=MAX_FORM_FIELDS, max_part_size=settings.max_body_bytes
        )
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise AnyGenError("invalid_request", f"the form cannot be read: {error}", where="body") from error
    fields: dict[str, Any] = {}
    for key, value in form.multi_items():
        if key in fields:
            raise AnyGenError("invalid_request", f"found {key!r} twice", where=key[:100])
        fields[key] = await value.read() if isinstance(value, UploadFile) else value
    await form.close()
    if isinstance(fields.get("generation"), str):
        fields["generation"] = parse_json(fields["generation"].encode())
    return fields


async def read_body(request: Request, *, settings: ServeSettings, holding: Holding) -> bytes:
    """The bytes, given up as soon as they are known to be too many or too slow. Raises as `read_json`."""
    headers, limit = request.headers, settings.max_body_bytes
    _check_encoding(headers)
    claimed = headers.get("content-length", "")
    if claimed.isdecimal() and int(claimed) > limit:
        raise AnyGenError("request_too_large", f"found {claimed} bytes", limit=limit)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(settings.read_seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise AnyGenError("request_too_large", f"found more than {limit} bytes", limit=limit)
                holding.add(len(chunk))
                chunks.append(chunk)
    except TimeoutError as error:
        detail = f"the body was not there after {settings.read_seconds:g} s"
        raise AnyGenError("request_timeout", detail, limit=settings.read_seconds) from error
    except ClientDisconnect as error:
        raise ClientLeft from error
    return b"".join(chunks)


def parse_json(body: bytes) -> Any:
    """JSON as its standard has it. Raises `invalid_request`."""

    def refuse(name: str) -> None:
        raise ValueError(f"found {name}, which JSON does not have")

    try:
        return json.loads(body.decode("utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise AnyGenError("invalid_request", f"the body is not JSON: {str(error)[:200]}", where="body") from error


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_encoding(headers: Headers) -> None:
    encoding = headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise AnyGenError("invalid_request", f"found the content encoding {encoding!r}; expected none", where="content-encoding")
