"""The engine for one machine: processes that hold the model, and processes that decode and encode media beside them.

    chunk --media processes: load--> --a model process: answer--> --media processes: save--> results
Several chunks are under way at once, so that films are decoded and encoded while the model works; how many is fixed,
and so is the memory. A process that dies costs its chunk a second attempt, and then one by one: the item that kills a
process when it is alone ends with `worker_died`, the others have their results.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from anygen.batch.folder import LOG, MEDIA
from anygen.batch.items import BatchItem
from anygen.batch.processes import DIED, Failure, Pool, finished
from anygen.batch.work import Answered, Answerer, Chunk, EngineSettings, Reply, load_item, save_reply, text_reply
from anygen.errors import AnyGenError
from anygen.messages import Conversation

if TYPE_CHECKING:
    from anygen.outputs import AnyGenOutput

MAX_ATTEMPTS = 2
"""Of a whole chunk, and of loading or saving one item."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SaveJob:
    """An output to be written."""

    item: BatchItem
    output: AnyGenOutput


@dataclass(kw_only=True, eq=False)
class _Flight:
    """A chunk under way."""

    chunk: Chunk
    conversations: dict[int, Conversation] = field(default_factory=dict)
    """Those whose media are loaded, by position."""
    num_loading: int = 0
    good: list[int] = field(default_factory=list)
    """Positions of the items that the model is asked."""
    open: set[int] = field(default_factory=set)
    """Positions of the items that have not ended."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Task:
    """Something for a process to do."""

    flight: _Flight
    positions: list[int]
    output: AnyGenOutput | None = None
    attempt: int = 1


class LocalEngine:
    """Answers chunks; see the module."""

    def __init__(self, settings: EngineSettings):
        self.settings = settings
        log_file = settings.folder / LOG
        answerers = [partial(Answerer, settings, index=index) for index in range(settings.workers)]
        media_works = [partial(open_media_work, settings)] * settings.workers
        self.models = Pool(answerers, name="anygen-model", log_file=log_file)
        self.media = Pool(media_works, name="anygen-media", log_file=log_file)
        self.flights: list[_Flight] = []
        self.to_load: deque[_Task] = deque()
        self.to_answer: deque[_Task] = deque()
        self.to_save: deque[_Task] = deque()

    def run(self, chunks: Iterator[Chunk]) -> Iterator[Answered]:
        """The wanted items of all chunks, as they end.

        Raises what no item is at fault for: `model_load_error`, `storage_error`, `worker_died` at the start.
        """
        try:
            while True:
                while len(self.flights) < 2 * self.settings.workers and (chunk := next(chunks, None)):
                    self.take_off(chunk)
                if not self.flights:
                    return
                self.give_out()
                for pool, task, result in finished([self.models, self.media]):
                    yield from self.land(pool, task, result)
                self.flights = [flight for flight in self.flights if flight.open]
        finally:
            self.models.stop()
            self.media.stop()

    def take_off(self, chunk: Chunk) -> None:
        """Begin with a chunk: load its media, or where there are none, ask for answers at once."""
        flight = _Flight(chunk=chunk, open=set(range(len(chunk.items))), good=list(range(len(chunk.items))))
        self.flights.append(flight)
        for position, item in enumerate(chunk.items):
            if item.has_media:
                flight.num_loading += 1
                self.to_load.append(_Task(flight=flight, positions=[position]))
        self.ask_if_loaded(flight)

    def ask_if_loaded(self, flight: _Flight) -> None:
        """Queue a chunk for the model once all its media are there."""
        if not flight.num_loading and flight.good:
            self.to_answer.append(_Task(flight=flight, positions=flight.good))

    def give_out(self) -> None:
        """Give tasks to the processes that wait for one; saving goes first, for it frees memory."""
        self.models.start()
        if self.to_load or self.to_save:
            self.media.start()
        while self.models.has_room and self.to_answer:
            task = self.to_answer.popleft()
            flight = task.flight
            self.models.give(task, [(flight.chunk.items[p], flight.conversations.get(p)) for p in task.positions])
        while self.media.has_room and (self.to_save or self.to_load):
            task = (self.to_save or self.to_load).popleft()
            item = task.flight.chunk.items[task.positions[0]]
            self.media.give(task, item if task.output is None else SaveJob(item=item, output=task.output))

    def land(self, pool: Pool, task: _Task, result: Any) -> Iterator[Answered]:
        """Go on with what a process has finished."""
        if result == DIED:
            yield from self.again(pool, task)
        elif pool is self.models:
            if isinstance(result, Failure):
                result = [result.error] * len(task.positions)
            for position, outcome in zip(task.positions, result, strict=True):
                yield from self.answered(task.flight, position, outcome)
        elif task.output is not None:
            yield from self.saved(task, result)
        else:
            yield from self.loaded(task, result)

    def loaded(self, task: _Task, result: Conversation | Failure) -> Iterator[Answered]:
        """The media of one item are there, or it ends here."""
        (position,), flight = task.positions, task.flight
        flight.num_loading -= 1
        if isinstance(result, Failure):
            flight.good.remove(position)
            yield from self.end(flight, position, result.error)
        else:
            flight.conversations[position] = result
        self.ask_if_loaded(flight)

    def answered(self, flight: _Flight, position: int, outcome: AnyGenOutput | AnyGenError) -> Iterator[Answered]:
        """The model has said what it says to one item; only media of items that are wanted are saved."""
        flight.conversations.pop(position, None)
        reply = outcome if isinstance(outcome, AnyGenError) else text_reply(outcome)
        if reply is None and flight.chunk.items[position].name in flight.chunk.wanted:
            self.to_save.append(_Task(flight=flight, positions=[position], output=outcome))
        else:
            yield from self.end(flight, position, reply)

    def saved(self, task: _Task, result: list[dict[str, str]] | Failure) -> Iterator[Answered]:
        """The files of one item are there."""
        if isinstance(result, Failure):
            if result.error.code == "storage_error":
                raise result.error
            outcome = result.error
        else:
            outcome = Reply(text=task.output.text, parts=result)
        yield from self.end(task.flight, task.positions[0], outcome)

    def again(self, pool: Pool, task: _Task) -> Iterator[Answered]:
        """A process died over a task: try once more, then one by one, then give the item up."""
        queue = self.to_answer if pool is self.models else self.to_load if task.output is None else self.to_save
        retry = partial(_Task, flight=task.flight, output=task.output)
        if task.attempt < MAX_ATTEMPTS:
            queue.appendleft(retry(positions=task.positions, attempt=task.attempt + 1))
        elif len(task.positions) > 1:
            queue.extendleft(retry(positions=[p], attempt=MAX_ATTEMPTS) for p in reversed(task.positions))
        else:
            if pool is self.media and task.output is None:
                task.flight.num_loading -= 1
                task.flight.good.remove(task.positions[0])
            error = AnyGenError("worker_died", f"a process died {task.attempt} times over it; see {LOG}")
            yield from self.end(task.flight, task.positions[0], error)
            if pool is self.media:
                self.ask_if_loaded(task.flight)

    def end(self, flight: _Flight, position: int, outcome: Reply | AnyGenError | None) -> Iterator[Answered]:
        """The last station of an item."""
        item = flight.chunk.items[position]
        flight.open.discard(position)
        if item.name in flight.chunk.wanted:
            yield Answered(item=item, outcome=outcome)


class MediaWork:
    """What a media process does: it loads the media of an item, or saves those of a reply."""

    def __init__(self, settings: EngineSettings):
        self.settings = settings

    def __call__(self, job: BatchItem | SaveJob) -> Conversation | list[dict[str, str]]:
        if isinstance(job, BatchItem):
            return load_item(job)
        shard = f"{MEDIA}/{job.item.name[:2]}"
        return save_reply(
            job.item,
            job.output,
            folder=self.settings.folder / shard,
            place=shard,
            provenance=self.settings.has_provenance,
        )


def open_media_work(settings: EngineSettings) -> MediaWork:
    """Start a media process."""
    return MediaWork(settings)
