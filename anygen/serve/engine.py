"""The one thread that runs the pipeline, and what waits for it.

    submit -> media still closed: opened by a few threads, a bounded number ahead -> ready
           -> engine thread: whatever is ready, up to `max_batch` requests, through `answer_requests` -> each ticket's outcome
Fairness: lanes (`tickets.py`) get equal shares of the model's time. A batch of films is long, so between two of its
denoising steps requests of lighter lanes are answered when they had less than their share. Only ever one thread computes:
the film stands still meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anygen.errors import AnyGenError
from anygen.serve.loading import open_media
from anygen.serve.memory import Trimmer
from anygen.serve.problems import as_anygen_error
from anygen.serve.tickets import LANES, Lanes, Shares, Ticket
from anygen.stream import Event, GenerationStep

if TYPE_CHECKING:
    from anygen.pipeline import AnyGenPipeline
    from anygen.serve.metrics import Metrics
    from anygen.serve.settings import ServeSettings

log = logging.getLogger(__name__)

NUM_OPENERS = 4
"""Threads that open media; films and sounds are decoded in processes of their own."""
BETWEEN_STEPS = tuple(lane for lane in LANES if lane not in ("any", "video"))
"""Lanes whose requests surely leave the film generator alone."""


@dataclass(kw_only=True, eq=False)
class _Turn:
    """A batch at work."""

    tickets: list[Ticket]
    since: float = field(default_factory=time.perf_counter)
    """Its time is charged up to here."""
    is_nested: bool = False

    @property
    def has_room(self) -> bool:
        """Whether others may be answered between its steps: all it does is denoise films."""
        return not self.is_nested and all(set(ticket.parameters.media or ()) == {"video"} for ticket in self.tickets)


class Engine:
    """Answers tickets.

    Args:
        load: makes the pipeline; called once, in the engine's thread.
        on_end: called when the thread ends: with None after `close`, or with the error that it cannot go on after.
    """

    def __init__(
        self,
        load: Callable[[], AnyGenPipeline],
        *,
        settings: ServeSettings,
        metrics: Metrics,
        on_end: Callable[[BaseException | None], None] | None = None,
    ):
        self.load, self.settings, self.metrics, self.on_end = load, settings, metrics, on_end
        self.pipeline: AnyGenPipeline | None = None
        self.changed = threading.Condition()  # guards all below
        self.closed, self.ready = Lanes(), Lanes()
        self.shares = Shares()
        self.num_opening = 0
        self.running: list[Ticket] = []
        self.seconds_each = 1.0
        self.is_stopping = False
        self.openers = ThreadPoolExecutor(NUM_OPENERS, thread_name_prefix="anygen-open")
        self.thread = threading.Thread(target=self._run, name="anygen-engine", daemon=True)

    def start(self) -> None:
        """Begin to load the model."""
        self.thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread does its work."""
        return self.thread.is_alive()

    @property
    def is_ready(self) -> bool:
        """Whether requests are taken in."""
        return self.pipeline is not None and self.is_alive and not self.is_stopping

    @property
    def num_waiting(self) -> int:
        """Requests that are not at work yet."""
        return len(self.closed) + self.num_opening + len(self.ready)

    def num_waiting_by_lane(self) -> dict[str, int]:
        """Requests in each line, those whose media are just being opened left out."""
        closed, ready = self.closed.lengths(), self.ready.lengths()
        return {lane: closed[lane] + ready[lane] for lane in LANES}

    @property
    def retry_after(self) -> int:
        """Seconds after which there should be room again."""
        return max(1, min(60, round(self.num_waiting * self.seconds_each / 2)))

    def loaded(self) -> AnyGenPipeline:
        """The pipeline. Raises `not_ready` while there is none, and after `close`."""
        pipeline = self.pipeline
        if pipeline is None or not self.is_ready:
            raise AnyGenError("not_ready", "the model is being loaded, or the server is stopping")
        return pipeline

    def check_room(self) -> None:
        """Raises `overloaded` where as many wait as may."""
        if self.num_waiting >= self.settings.max_queue:
            raise AnyGenError("overloaded", f"{self.num_waiting} requests wait", limit=self.settings.max_queue)

    def submit(self, ticket: Ticket) -> None:
        """Take a request in. Raises `overloaded` and `not_ready`."""
        with self.changed:
            self.loaded()
            self.check_room()
            busy = {each.lane for each in self.running}
            busy |= {lane for lanes in (self.closed, self.ready) for lane, length in lanes.lengths().items() if length}
            if ticket.lane not in busy:
                self.shares.enter(ticket.lane, busy=busy)
            (self.closed if ticket.is_closed else self.ready).add(ticket)
            self._open_more()
            self.changed.notify_all()

    def leave(self, ticket: Ticket) -> None:
        """Forget a request that nobody waits for: at once while it waits, at its next step while it is at work."""
        ticket.leave()
        with self.changed:
            self.closed.discard(ticket)
            self.ready.discard(ticket)
            if ticket not in self.running:
                ticket.finish(AnyGenError("cancelled", "nobody waits for the reply"))
            self._open_more()
            self.changed.notify_all()

    def close(self, *, grace_seconds: float) -> None:
        """Finish what was taken in, for so long; then end it at its next step, and the thread with it."""
        deadline = time.monotonic() + grace_seconds
        with self.changed:
            self.is_stopping = True
            self.changed.notify_all()
            self.changed.wait_for(lambda: self._is_idle() or not self.is_alive, timeout=max(0, deadline - time.monotonic()))
            rest = [*self.closed.take(10**6, shares=self.shares), *self.ready.take(10**6, shares=self.shares), *self.running]
        for ticket in rest:
            self.leave(ticket)
        self.openers.shutdown(wait=False, cancel_futures=True)
        self.thread.join(timeout=max(5.0, grace_seconds))

    # Opening media

    def _open_more(self) -> None:
        """Start as many as may be under way; the lock is held. What is open and waits is bounded too: it is large."""
        while self.num_opening < NUM_OPENERS and len(self.ready) + self.num_opening < 2 * self.settings.max_batch:
            taken = self.closed.take(1, shares=self.shares)
            if not taken:
                return
            self.num_opening += 1
            self.openers.submit(self._open, taken[0])

    def _open(self, ticket: Ticket) -> None:
        try:
            if not ticket.is_over():
                ticket.conversation = open_media(ticket.conversation, settings=self.settings)
        except BaseException as error:  # its thread's pool would keep it to itself
            ticket.finish(as_anygen_error(error))
        with self.changed:
            self.num_opening -= 1
            if ticket.is_over():
                ticket.finish(AnyGenError("cancelled", "it was over before its media were open"))
            if not ticket.outcome.done():
                self.ready.add(ticket)
            self._open_more()
            self.changed.notify_all()

    # The engine's thread

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self.pipeline = self.load()
            log.info("the model is loaded")
            trimmer = Trimmer()
            while tickets := self._next():
                self._answer(_Turn(tickets=tickets))
                del tickets
                trimmer.trim()
        except BaseException as fault:  # a model that cannot be loaded, or a lost device
            error = fault
            log.error("the engine ends", exc_info=fault)
        with self.changed:
            rest = [*self.closed.take(10**6, shares=self.shares), *self.ready.take(10**6, shares=self.shares), *self.running]
            self.changed.notify_all()
        for ticket in rest:
            ticket.finish(AnyGenError("worker_died", "the engine ended before the reply was there"))
        if self.on_end:
            self.on_end(error)

    def _is_idle(self) -> bool:
        return not (self.num_waiting or self.running)

    def _next(self) -> list[Ticket]:
        """The next batch, waited for; empty when the engine is to stop and nothing is left."""
        with self.changed:
            while True:
                if tickets := self._take(LANES):
                    return tickets
                if self.is_stopping and self._is_idle():
                    self.changed.notify_all()
                    return []
                self.changed.wait(timeout=1.0)

    def _take(self, lanes: tuple[str, ...]) -> list[Ticket]:
        """Ready requests for one batch; the lock is held. Those that are over by now end here."""
        while tickets := self.ready.take(self.settings.max_batch, shares=self.shares, lanes=lanes):
            for ticket in tickets:
                if ticket.is_over():
                    ticket.finish(AnyGenError("cancelled", "it was over before its turn came"))
            tickets = [ticket for ticket in tickets if not ticket.outcome.done()]
            self._open_more()
            if tickets:
                self.running += tickets
                break
        return tickets

    def _answer(self, turn: _Turn) -> None:
        """One batch, to the outcome of each of its tickets."""
        from anygen.scheduling import ItemRequest, answer_requests

        tickets = turn.tickets
        requests = [
            ItemRequest(conversation=each.conversation, parameters=each.parameters, is_cancelled=each.is_over)
            for each in tickets
        ]
        started = time.perf_counter()
        self.metrics.batch_started(len(tickets))

        def on_event(index: int, event: Event) -> None:
            self.metrics.happened(event)
            if tickets[index].on_event:
                tickets[index].on_event(event)
            if isinstance(event, GenerationStep) and turn.has_room:
                self._let_others_in(turn)

        def on_done(index: int, result) -> None:
            tickets[index].finish(result)

        try:
            answer_requests(
                self.pipeline, requests, on_event=on_event, on_done=on_done, max_batch_size=self.settings.max_batch
            )
        except BaseException:
            for ticket in tickets:
                ticket.finish(AnyGenError("worker_died", "the engine ended before the reply was there"))
            raise
        finally:
            with self.changed:
                self._charge(turn)
                self.running = [ticket for ticket in self.running if ticket not in tickets]
                each = (time.perf_counter() - started) / len(tickets)
                self.seconds_each += 0.2 * (each - self.seconds_each)
                self.changed.notify_all()

    def _let_others_in(self, turn: _Turn) -> None:
        """Between two steps of a film: a batch of what is light and had less than its share."""
        with self.changed:
            self._charge(turn)
            late = [lane for lane in BETWEEN_STEPS if self.shares.seconds[lane] < self.shares.seconds["video"]]
            others = self._take(tuple(late))
        if others:
            self._answer(_Turn(tickets=others, is_nested=True))
            turn.since = time.perf_counter()

    def _charge(self, turn: _Turn) -> None:
        now = time.perf_counter()
        self.shares.charge((ticket.lane for ticket in turn.tickets), now - turn.since)
        turn.since = now
