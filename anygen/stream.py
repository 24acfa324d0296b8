"""A reply as it comes into being: the events that `AnyGenPipeline.stream` yields, and the thread behind them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anygen.errors import AnyGenError

if TYPE_CHECKING:
    from anygen.outputs import AnyGenOutput


@dataclass(frozen=True, kw_only=True)
class TextDelta:
    """More words of the reply."""

    text: str


@dataclass(frozen=True, kw_only=True)
class MediumAsked:
    """The LLM asks for a medium: here is its place among the words. Generators begin when all is said."""

    modality: str
    index: int
    """Which medium of its modality in the reply, from 0; candidates are not counted."""


@dataclass(frozen=True, kw_only=True)
class GenerationStarted:
    """A generator begins with all media of one modality."""

    modality: str
    num_media: int


@dataclass(frozen=True, kw_only=True)
class GenerationStep:
    """A denoising step is done."""

    modality: str
    step: int
    """Counted from 1."""
    num_steps: int


@dataclass(frozen=True, kw_only=True, eq=False)
class MediumReady:
    """A medium is done."""

    modality: str
    media: Any
    index: int
    """Its place among the media of its modality: `output.of(modality)[index]`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Finished:
    """The whole reply; always the last event."""

    output: AnyGenOutput


Event = TextDelta | MediumAsked | GenerationStarted | GenerationStep | MediumReady | Finished
OnEvent = Callable[[Event], None]


def events_of(work: Callable[[OnEvent], None]) -> Iterator[Event]:
    """What `work(on_event)` reports, as it reports it.

    `work` runs in a thread of its own; what it raises is raised here. A consumer that leaves early stops the work at
    its next event.
    """
    events: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()
    left = threading.Event()

    def on_event(event: Event) -> None:
        if left.is_set():
            raise AnyGenError("cancelled", "nobody reads the stream any more")
        events.put(event)

    def run() -> None:
        try:
            work(on_event)
            events.put(None)
        except BaseException as error:  # handed to the consumer, who raises it
            events.put(error)

    worker = threading.Thread(target=run, name="anygen-stream")
    try:
        worker.start()  # in here, for an interrupt may come while the thread starts
        while (event := events.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        left.set()
        if worker.is_alive():
            worker.join()
