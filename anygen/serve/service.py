"""What every endpoint does with a request once it is read: see that it can be answered, wait for its turn, watch both ends.

    Ask -> checks against the model -> media fetched -> Ticket -> Engine -> AnyGenOutput
A client that goes away, and a deadline that passes, take the request out of the engine at its next step.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request

import anygen
from anygen.errors import AnyGenError
from anygen.outputs import AnyGenOutput
from anygen.serve.access import ClientLeft
from anygen.serve.body import Holding, Holdings
from anygen.serve.chat_schema import Ask
from anygen.serve.engine import Engine
from anygen.serve.loading import fetch_media, num_held
from anygen.serve.metrics import Metrics
from anygen.serve.settings import ServeSettings
from anygen.serve.tickets import LANES, Ticket
from anygen.serve.url_guard import Resolve, resolve_host

MAX_CHARACTERS_A_TOKEN = 64
"""A conversation of more characters than this for each token of the context is too long, and not even tokenized."""


class Service:
    """The server without its HTTP. `load` makes the pipeline; `resolve` looks up the names of hosts."""

    def __init__(
        self,
        settings: ServeSettings,
        *,
        load: Callable,
        on_end: Callable[[BaseException | None], None] | None = None,
        resolve: Resolve = resolve_host,
    ):
        self.settings, self.resolve = settings, resolve
        self.started = int(time.time())
        self.stop_at = math.inf
        self.metrics = Metrics()
        self.holdings = Holdings(settings.max_held_bytes)
        self.engine = Engine(load, settings=settings, metrics=self.metrics, on_end=on_end)
        metrics, engine = self.metrics, self.engine
        metrics.watch(metrics.running, lambda: len(engine.running))
        metrics.watch(metrics.held, lambda: self.holdings.held)
        metrics.watch(metrics.ready, lambda: float(engine.is_ready))
        metrics.watch_labels(metrics.waiting, LANES, engine.num_waiting_by_lane)

    @property
    def model_name(self) -> str:
        """What clients call the model: of a folder its name, for its path is nobody's business."""
        folder = Path(self.settings.model)
        return folder.resolve().name if folder.is_dir() else self.settings.model

    @property
    def version(self) -> str:
        """Of this package."""
        return anygen.__version__

    @property
    def context_length(self) -> int:
        """Tokens that a conversation with its reply may have, once one was answered; the server may be stopping by then."""
        return self.engine.pipeline.model.backbone.context_length

    def provenance(self, output: AnyGenOutput) -> dict[str, Any]:
        """How a reply was made, for its files."""
        return output.provenance | {"model": self.model_name}

    def begin_stop(self) -> None:
        """Take no new requests in, and count the time of grace from now on; may be called from a signal's handler."""
        self.engine.is_stopping = True
        self.stop_at = min(self.stop_at, time.monotonic() + self.settings.grace_seconds)

    @property
    def grace_left(self) -> float:
        """Seconds until what is not finished is ended."""
        return max(0.0, self.stop_at - time.monotonic())

    def check(self, ask: Ask) -> None:
        """Refuse what need not wait to be refused.

        Raises `model_not_found`, `not_ready`, `modality_not_supported`, `invalid_parameter`, `context_length_exceeded`,
        `overloaded`.
        """
        if ask.model not in (None, self.model_name):
            detail = f"found the model {ask.model[:100]!r}; expected {self.model_name}"
            raise AnyGenError("model_not_found", detail, available=self.model_name)
        pipeline = self.engine.loaded()
        model = pipeline.model
        for modality in ask.parameters.media or ():
            if modality not in model.output_modalities:
                made = ", ".join(model.output_modalities)
                raise AnyGenError("modality_not_supported", f"found {modality}", found=modality, available=made)
        ask.parameters.check_generators(pipeline.generators, max_enlargement=self.settings.max_enlargement)
        num_characters = sum(len(part.text) for turn in ask.conversation for part in turn.parts)
        limit = MAX_CHARACTERS_A_TOKEN * model.backbone.context_length
        if num_characters > limit:
            detail = f"found {num_characters} characters; this model takes {model.backbone.context_length} tokens"
            raise AnyGenError("context_length_exceeded", detail, found=num_characters, limit=limit, unit="characters")
        self.engine.check_room()

    async def prepare(self, ask: Ask, *, holding: Holding, seconds: float | None = None) -> Ticket:
        """A ticket with all that is needed from outside; it does not wait in line yet."""
        deadline = time.monotonic() + (seconds or self.settings.deadline_seconds)
        self.check(ask)
        conversation = await fetch_media(ask.conversation, settings=self.settings, resolve=self.resolve)
        holding.add(max(0, num_held(conversation) - num_held(ask.conversation)))
        return Ticket(conversation=conversation, parameters=ask.parameters, deadline=deadline)

    async def answer(self, request: Request, ask: Ask, *, holding: Holding) -> AnyGenOutput:
        """The reply. Raises its error, and `ClientLeft`."""
        preparing = asyncio.ensure_future(self.prepare(ask, holding=holding))
        ticket = await while_connected(request, preparing)
        waiting = asyncio.wrap_future(self.submitted(ticket).outcome)
        try:
            async with asyncio.timeout(max(0.0, ticket.deadline - time.monotonic())):
                return await while_connected(request, waiting)
        except TimeoutError as error:
            raise AnyGenError("deadline_exceeded", "the deadline passed before the reply was there") from error
        finally:
            self.engine.leave(ticket)

    def submitted(self, ticket: Ticket) -> Ticket:
        """The ticket, in line now."""
        self.engine.submit(ticket)
        return ticket


async def while_connected(request: Request, work: asyncio.Future):
    """What the work gives, unless the client goes away first: `ClientLeft`, and the work is cancelled."""
    leaving = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientLeft
        return await work
    finally:
        for each in (work, leaving):
            each.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
