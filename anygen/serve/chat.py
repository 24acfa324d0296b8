"""`POST /v1/chat/completions`: any mix in, any mix out, at once or as it comes.

A stream is OpenAI's: one `chat.completion.chunk` an event, words in `delta.content`, then each medium as it is ready in
`delta.parts`, at last the reason for the end and, if it was asked for, the usage. With `stream_options.include_progress`
there are chunks with an `anygen` object too: {"event": "asked" | "started" | "step", "modality", ...}.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from anygen.errors import AnyGenError
from anygen.outputs import AnyGenOutput
from anygen.serve import replies
from anygen.serve.body import Holding, read_json
from anygen.serve.chat_schema import Ask, read_chat
from anygen.serve.problems import as_anygen_error, error_body
from anygen.serve.service import Service, while_connected
from anygen.serve.tickets import Ticket
from anygen.stream import Event, GenerationStarted, GenerationStep, MediumAsked, MediumReady, TextDelta

PING_SECONDS = 15.0
"""A stream that has nothing to say for so long says that it is alive."""


async def chat_completions(request: Request) -> Response:
    """Answer a conversation."""
    service: Service = request.app.state.service
    async with service.holdings.account() as holding:
        body = await read_json(request, settings=service.settings, holding=holding)
        ask = read_chat(body, settings=service.settings)
        del body
        if ask.is_stream:
            return await _stream(service, request, ask, holding=holding)
        output = await service.answer(request, ask, holding=holding)
        options = {"audio_format": ask.audio_format, "provenance": service.provenance(output)}
        parts = await asyncio.to_thread(replies.encode_parts, output, ask.parameters, **options)
        reason = replies.finish_reason(output, ask.parameters, context_length=service.context_length)
        return JSONResponse(replies.completion(output, parts, model=service.model_name, finish_reason=reason))


async def _stream(service: Service, request: Request, ask: Ask, *, holding: Holding) -> StreamingResponse:
    """A stream that begins with its first event: what fails before that has a status of its own."""
    ticket = await while_connected(request, asyncio.ensure_future(service.prepare(ask, holding=holding)))
    feed = Feed(ticket)
    service.submitted(ticket)
    try:
        await while_connected(request, asyncio.ensure_future(feed.fill()))
        if feed.failed is not None:
            raise feed.failed
    except BaseException:
        service.engine.leave(ticket)
        raise
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_events(service, request, ask, feed), media_type="text/event-stream", headers=headers)


class Feed:
    """A ticket's events, carried over from the engine's threads; None is the last."""

    def __init__(self, ticket: Ticket):
        self.ticket = ticket
        self.events: asyncio.Queue[Event | None] = asyncio.Queue()
        self.first: Event | None = None
        self.failed: AnyGenError | None = None
        loop = asyncio.get_running_loop()

        def put(event: Event | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens
                loop.call_soon_threadsafe(self.events.put_nowait, event)

        ticket.on_event = put
        ticket.outcome.add_done_callback(lambda _: put(None))

    async def next(self, *, seconds: float) -> Event | None:
        """The next event, or None when there is none any more. Raises `TimeoutError`, and `deadline_exceeded`."""
        left = self.ticket.deadline - time.monotonic()
        try:
            return await asyncio.wait_for(self.events.get(), timeout=max(0.0, min(seconds, left)))
        except TimeoutError as error:
            if left > seconds:
                raise
            raise AnyGenError("deadline_exceeded", "the deadline passed in the middle of the stream") from error

    async def fill(self) -> None:
        """Wait for the first event."""
        try:
            self.first = await self.next(seconds=float("inf"))
            if self.first is None and self.ticket.outcome.exception() is not None:
                self.failed = self.ticket.outcome.exception()
        except AnyGenError as error:
            self.failed = error


async def _events(service: Service, request: Request, ask: Ask, feed: Feed) -> AsyncIterator[bytes]:
    """The body of the stream; a client that leaves closes this generator."""
    head = {"id": replies.completion_id(), "object": "chat.completion.chunk", "created": int(time.time())}
    writer = ChunkWriter(head | {"model": service.model_name})
    ticket = feed.ticket
    try:
        yield writer.chunk({"role": "assistant", "content": ""})
        event = feed.first
        while event is not None:
            if isinstance(event, MediumReady):
                yield await _medium(service, ask, event, writer)
            elif piece := writer.told(event, with_progress=ask.with_progress):
                yield piece
            while True:
                try:
                    event = await feed.next(seconds=PING_SECONDS)
                    break
                except TimeoutError:
                    yield b": ping\n\n"
        output: AnyGenOutput = ticket.outcome.result()
        reason = replies.finish_reason(output, ask.parameters, context_length=service.context_length)
        yield writer.chunk({}, finish_reason=reason, anygen={"seed": output.seed})
        if ask.with_usage:
            yield writer.data({"choices": [], "usage": replies.usage(output)})
        yield b"data: [DONE]\n\n"
    except Exception as error:
        fault = as_anygen_error(error)
        request.scope["state"]["code"] = fault.code
        yield f"data: {json.dumps(error_body(fault))}\n\n".encode()
    finally:
        service.engine.leave(ticket)


async def _medium(service: Service, ask: Ask, event: MediumReady, writer: ChunkWriter) -> bytes:
    """A medium as a chunk."""
    suffix = replies.suffix_of(event.modality, audio_format=ask.audio_format)
    provenance = {"model": service.model_name, "version": service.version}
    data = await asyncio.to_thread(replies.encode, event.media, suffix, provenance=provenance)
    num_outputs = ask.parameters.num_outputs
    part = replies.media_part(event.modality, data, suffix, index=event.index, num_outputs=num_outputs)
    return writer.chunk({"parts": [part]})


class ChunkWriter:
    """Events as the lines of a stream; `head` is what all its chunks have in common."""

    def __init__(self, head: dict[str, Any]):
        self.head = head

    def told(self, event: Event, *, with_progress: bool) -> bytes | None:
        """What a client hears of an event, if anything."""
        match event:
            case TextDelta():
                return self.chunk({"content": event.text})
            case MediumAsked() if with_progress:
                return self.chunk({}, anygen={"event": "asked", "modality": event.modality, "index": event.index})
            case GenerationStarted() if with_progress:
                told = {"event": "started", "modality": event.modality, "num_media": event.num_media}
                return self.chunk({}, anygen=told)
            case GenerationStep() if with_progress:
                told = {"event": "step", "modality": event.modality, "step": event.step, "num_steps": event.num_steps}
                return self.chunk({}, anygen=told)
        return None

    def chunk(self, delta: dict[str, Any], *, finish_reason: str | None = None, **more: Any) -> bytes:
        """One chunk with one choice."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        return self.data({"choices": [choice], **more})

    def data(self, more: dict[str, Any]) -> bytes:
        """One event of the stream."""
        return f"data: {json.dumps(self.head | more)}\n\n".encode()
