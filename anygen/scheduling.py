"""Many requests, each with parameters of its own, answered together by one pipeline as if each were alone.

    B requests -> check, load             each by itself
               -> encode, LLM             batches of conversations, whatever their parameters
               -> denoise                 all media of a modality over all requests, batched where their parameters agree
               -> B outputs or errors     in the order of the requests

Every surface goes through here: `AnyGenPipeline`, the batch command, the server. The steps are the pipeline's methods;
this file says who takes them together, and what becomes of the others when one fails:
- A batch that fails is done again in halves, down to the request at fault. So a request ends with the error that it
  has alone, and what is too much for the memory at once is done in parts.
- A cancelled request leaves its batch when the batch ends; a batch that nobody waits for ends at its next step.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import torch

from anygen.clock import Clock
from anygen.decoding import Segment
from anygen.errors import AnyGenError
from anygen.generators.generator import Condition
from anygen.memory import free_memory, is_out_of_memory
from anygen.messages import Conversation
from anygen.outputs import AnyGenOutput, OutputPart, Signal, Told, converted
from anygen.parameters import GenerationParameters
from anygen.seeds import derived_generator, fresh_seed
from anygen.stream import Event, GenerationStarted, GenerationStep, MediumAsked, MediumReady, TextDelta

if TYPE_CHECKING:
    from anygen.pipeline import AnyGenPipeline

MAX_BATCH_SIZE = 16
"""Conversations, or media of one modality, that go through the model at once unless a caller says otherwise."""

log = logging.getLogger(__name__)

OnItemEvent = Callable[[int, Event], None]
"""Called with (request, event), one call at a time; events of a request are those that `AnyGenPipeline.stream` yields,
without `Finished`. A generator that needs several batches for one request starts, and counts its steps, in each."""
OnItemDone = Callable[[int, "AnyGenOutput | AnyGenError"], None]
"""Called with (request, what became of it) as soon as that is known, once a request, one call at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ItemRequest:
    """One conversation to be answered, and how."""

    conversation: Conversation
    """As `read_conversation` reads it."""
    parameters: GenerationParameters
    """Its own; `seed` is one number or None."""
    is_cancelled: Callable[[], bool] | None = None
    """Asked between steps, from several threads; once it says yes the request ends with `cancelled`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MediumRequest:
    """One medium that a reply asks a generator for: a row of a denoising batch."""

    item: int
    """Which request."""
    modality: str
    index: int
    """Which medium of its modality in that reply, from 0."""
    candidate: int
    """Which of its `num_outputs` candidates, from 0."""
    seed: int
    """The request's."""
    segment: Segment
    condition: Condition | None = None
    """Of one row, once the output projector has made it (step 8)."""
    negative: Condition | None = None
    """What guidance leads away from, of one row."""

    @property
    def generator(self) -> torch.Generator:
        """Its random numbers, from the first one on."""
        return derived_generator(self.seed, self.modality, self.index, self.candidate)


@torch.no_grad()
def answer_requests(
    pipeline: AnyGenPipeline,
    requests: Sequence[ItemRequest],
    *,
    on_event: OnItemEvent | None = None,
    on_done: OnItemDone | None = None,
    max_batch_size: int = MAX_BATCH_SIZE,
    failures: Literal["returned", "raised"] = "returned",
) -> list[AnyGenOutput | AnyGenError]:
    """Answer B requests together.

    Args:
        pipeline: answers one call at a time.
        requests: with any mix of parameters.
        on_event: hears what happens to each request as it happens.
        on_done: hears what became of each request, before the others of its batch are done.
        max_batch_size: conversations, or media of one modality, that go through the model at once.
        failures: "returned" in the place of an output, as an `AnyGenError` with a code that the request also has alone
            (`internal_error` for a bug, with a traceback in the log); or "raised", the first of them.

    Returns:
        B outputs or errors, in the order of the requests. An output's `timings` are those of the whole call.

    Raises:
        torch.AcceleratorError: whatever `failures` says; after it this process can use its device no more.
    """
    schedule = _Schedule(pipeline, requests, max_batch_size=max_batch_size, failures=failures)
    schedule.on_event, schedule.on_done = on_event, on_done
    return schedule.run()


@dataclass(kw_only=True, eq=False)
class _Item:
    """A request on its way."""

    index: int
    request: ItemRequest
    seed: int
    conversation: Conversation
    told: Told = field(default_factory=Told)
    media: dict[Segment, list[OutputPart]] = field(default_factory=dict)
    """The candidates of each medium of the reply."""
    num_due: int = 0
    """Media that are still to be made."""
    outcome: AnyGenOutput | None = None
    error: AnyGenError | None = None
    num_told: int = 0
    """Characters that were reported as text."""
    num_said: int = 0
    """Characters said in this attempt: a second one repeats those of the first."""
    num_media_told: int = 0
    """Media that were reported as asked for."""
    asked: list[str] = field(default_factory=list)
    """Modalities of the media asked for in this attempt."""


class _Schedule:
    """One call of `answer_requests`."""

    def __init__(self, pipeline, requests, *, max_batch_size, failures):
        self.pipeline = pipeline
        self.on_event: OnItemEvent | None = None
        self.on_done: OnItemDone | None = None
        self.max_batch_size, self.failures = max_batch_size, failures
        self.clock, self.lock = Clock(), threading.Lock()
        self.items = [
            _Item(
                index=index,
                request=request,
                seed=request.parameters.seeds(1, fresh=fresh_seed)[0],
                conversation=request.conversation,
            )
            for index, request in enumerate(requests)
        ]

    def run(self) -> list[AnyGenOutput | AnyGenError]:
        """All stages, and what became of each request."""
        with self.clock.measure("total"):
            for item in self.items:
                self.attempt([item], self.check)
            with self.clock.measure("load"):
                for item in self.items:
                    self.attempt([item], self.load)
            for item in self.items:
                if item.request.parameters.captions and not item.error:
                    self.take_captions(item)
            asking = [item for item in self.items if not (item.request.parameters.captions or item.error)]
            for batch in self.batches(asking):
                self.attempt(batch, self.decode)
            self.generate_all()
        return [item.error or item.outcome for item in self.items]

    def output(self, item: _Item) -> AnyGenOutput:
        """What a request comes back as."""
        return AnyGenOutput(
            parts=self.pipeline.assemble(item.told.segments, item.media),
            seed=item.seed,
            timings=self.clock.timings,
            provenance=self.pipeline.provenance(item.request.parameters, item.seed),
            num_prompt_tokens=item.told.num_prompt_tokens,
            num_reply_tokens=item.told.num_reply_tokens,
        )

    # Stages

    def check(self, items: list[_Item]) -> None:
        """Refuse what cannot be answered, before any medium is opened."""
        for item in items:
            self.pipeline.check_inputs(item.conversation, item.request.parameters)

    def load(self, items: list[_Item]) -> None:
        """Open the user's media (step 1) and see whether the conversation fits with them."""
        for item in items:
            loaded = self.pipeline.load_media(item.conversation)
            item.conversation = self.pipeline.fit_context(loaded, item.request.parameters)

    def take_captions(self, item: _Item) -> None:
        """The reply that the caller wrote in place of the LLM: one medium a caption."""
        parameters = item.request.parameters
        for modality, caption in zip(parameters.media, parameters.captions, strict=True):
            item.told.segments.append(Segment(type=modality, caption=caption, is_given=True))
            self.tell_of_medium(item, modality)

    def decode(self, items: list[_Item]) -> None:
        """Conversations to replies (steps 2 to 7), one batch."""
        with self.clock.measure("encode"):
            inputs = self.pipeline.encode_media(self.pipeline.prepare_inputs([item.conversation for item in items]))
        for item in items:
            item.num_said, item.asked = 0, []
        with self.clock.measure("llm"):
            replies = self.pipeline.decode_replies(
                inputs,
                [item.request.parameters for item in items],
                [item.seed for item in items],
                on_text=lambda row, text: self.tell(items[row], text),
                on_medium=lambda row, modality: self.tell_of_medium(items[row], modality),
                on_step=partial(self.check_wanted, items),
            )
        for item, told in zip(items, replies, strict=True):
            item.told = Told() if isinstance(told, AnyGenError) else told
            if isinstance(told, AnyGenError):
                self.end(item, told)

    def generate_all(self) -> None:
        """Replies to media (steps 8 and 9): the generators side by side, each one batch after the other.

        Conditions are made before the generators' threads start: they share a tokenizer, which is not safe in threads.
        """
        asked: dict[str, list[MediumRequest]] = {}
        for item in self.items:
            if not item.error:
                requests = self.pipeline.requests_of(item.told.segments, item.request.parameters, item.seed, item.index)
                for request in requests:
                    asked.setdefault(request.modality, []).append(request)
                item.num_due = len(requests)
                self.done(item, num_made=0)
        prepared: dict[str, list[MediumRequest]] = {modality: [] for modality in asked}
        for modality, requests in asked.items():
            for batch in self.batches(requests):
                self.attempt(batch, lambda rows, done=prepared[modality]: done.extend(self.pipeline.project(rows)))
        with ThreadPoolExecutor(max_workers=max(1, len(asked)), thread_name_prefix="anygen-generator") as pool:
            list(pool.map(self.generate_modality, prepared, prepared.values()))

    @torch.no_grad()  # here too, since the setting belongs to a thread
    def generate_modality(self, modality: str, requests: list[MediumRequest]) -> None:
        """All media of one modality, in batches whose parameters (steps, guidance, size) are the same."""
        defaults = self.pipeline.generators[modality].default_parameters
        buckets: dict[tuple, list[MediumRequest]] = {}
        for request in requests:
            settings = {**defaults, **self.parameters(request).of(modality)}
            buckets.setdefault(tuple(settings.items()), []).append(request)
        with self.clock.measure(modality):
            for settings, bucket in buckets.items():
                for batch in self.batches(bucket):
                    self.attempt(batch, partial(self.generate, modality, dict(settings)))

    def generate(self, modality: str, settings: dict[str, Any], requests: list[MediumRequest]) -> None:
        """One denoising batch (step 9)."""
        items = self.owners(requests)
        for item in items:
            num_media = sum(request.item == item.index for request in requests)
            self.report(item, GenerationStarted(modality=modality, num_media=num_media))

        def on_step(step: int, num_steps: int) -> None:
            self.check_wanted(items)
            for item in items:
                self.report(item, GenerationStep(modality=modality, step=step, num_steps=num_steps))
            for callback in {item.request.parameters.callback_on_step_end for item in items} - {None}:
                with self.lock:
                    callback(modality, step, num_steps)

        media = self.pipeline.generate(modality, requests, settings, on_step)
        for request, medium in zip(requests, media, strict=True):
            item, parameters = self.items[request.item], self.parameters(request)
            medium = converted(medium, parameters.output_type)
            spec = self.pipeline.model.config.signals.get(modality)
            has_run = spec is not None and not request.segment.is_given
            tokens, caption = (spec.tokens, "") if has_run else ((), request.segment.caption)
            signal = Signal(tokens=tokens, condition=request.condition, caption=caption)
            part = OutputPart(type=modality, media=medium, candidate=request.candidate, signal=signal)
            item.media.setdefault(request.segment, []).append(part)
            place = request.index * parameters.num_outputs + request.candidate
            self.report(item, MediumReady(modality=modality, media=medium, index=place))
            self.done(item, num_made=1)

    # Who goes on, and with whom

    def batches(self, rows: list) -> Iterator[list]:
        """Rows in their order, `max_batch_size` at a time."""
        for start in range(0, len(rows), self.max_batch_size):
            yield rows[start : start + self.max_batch_size]

    def attempt(self, rows: list[_Item] | list[MediumRequest], work: Callable[[list], None]) -> None:
        """Do the work on all rows that are still wanted; where that fails, on each half, down to the row at fault."""
        for item in self.owners(rows):
            if not item.error and _is_cancelled(item):
                self.end(item, AnyGenError("cancelled", "it was cancelled before its turn came"))
        rows = [row for row in rows if not self.owner(row).error]
        if not rows:
            return
        try:
            return work(rows)
        except Exception as error:
            fault = self.fault(error)
        if fault.code == "cancelled" or len(rows) == 1:
            for item in self.owners(rows):
                self.end(item, fault)
            return
        if fault.code == "out_of_memory":  # out here, where the traceback holds no tensors any more
            free_memory()
        middle = len(rows) // 2
        self.attempt(rows[:middle], work)
        self.attempt(rows[middle:], work)

    def fault(self, error: Exception) -> AnyGenError:
        """The error in our terms. Raises what no half of a batch can mend, and whatever is to be raised."""
        if isinstance(error, torch.AcceleratorError):
            raise error
        if is_out_of_memory(error):
            return AnyGenError("out_of_memory", f"{error}; answer fewer requests at a time, or take fewer num_outputs")
        if self.failures == "raised":
            raise error
        if isinstance(error, AnyGenError):
            return error.with_traceback(None)  # whose frames hold the batch's tensors
        log.error("a batch failed", exc_info=error)
        return AnyGenError("internal_error", f"{type(error).__name__}: {error}")

    def end(self, item: _Item, error: AnyGenError) -> None:
        """A request's last station, unless it was there before."""
        if self.failures == "raised":
            raise error
        with self.lock:
            if item.error is None:
                item.error = error
                if self.on_done:
                    self.on_done(item.index, error)

    def done(self, item: _Item, *, num_made: int) -> None:
        """The other last station: every medium of the reply is there."""
        with self.lock:
            item.num_due -= num_made
            if item.num_due == 0 and item.error is None:
                item.outcome = self.output(item)
                if self.on_done:
                    self.on_done(item.index, item.outcome)

    def check_wanted(self, items: list[_Item]) -> None:
        """End the batch when nobody waits for it any more."""
        if all(_is_cancelled(item) for item in items):
            raise AnyGenError("cancelled", "every request of its batch was cancelled")

    def owner(self, row: _Item | MediumRequest) -> _Item:
        """The request that a row belongs to."""
        return self.items[row.item] if isinstance(row, MediumRequest) else row

    def owners(self, rows: Sequence[_Item | MediumRequest]) -> list[_Item]:
        """The requests that rows belong to, each once."""
        return list(dict.fromkeys(self.owner(row) for row in rows))

    def parameters(self, request: MediumRequest) -> GenerationParameters:
        """What the caller set for the reply that a medium belongs to."""
        return self.items[request.item].request.parameters

    # Events

    def tell(self, item: _Item, text: str) -> None:
        """Report words, those of a repeated attempt only from where the first one got to."""
        new = text[max(0, item.num_told - item.num_said) :]
        item.num_said += len(text)
        if new:
            item.num_told += len(new)
            self.report(item, TextDelta(text=new))

    def tell_of_medium(self, item: _Item, modality: str) -> None:
        """Report that a medium was asked for, in a repeated attempt only where the first one did not get to."""
        index = item.asked.count(modality)
        item.asked.append(modality)
        if len(item.asked) > item.num_media_told:
            item.num_media_told += 1
            self.report(item, MediumAsked(modality=modality, index=index))

    def report(self, item: _Item, event: Event) -> None:
        """One event at a time, though generators run side by side."""
        if self.on_event:
            with self.lock:
                self.on_event(item.index, event)


def _is_cancelled(item: _Item) -> bool:
    return item.request.is_cancelled is not None and item.request.is_cancelled()
