"""One request on its way through the server, and the lanes that requests wait in.

    Ticket (endpoint's thread) -> Lanes: one line a modality, fair shares of the model's time -> Engine (its own thread)
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from anygen.errors import AnyGenError
from anygen.messages import Conversation
from anygen.parameters import GenerationParameters

if TYPE_CHECKING:
    from anygen.outputs import AnyGenOutput
    from anygen.stream import Event

LANES = ("text", "image", "audio", "any", "video")
"""From the lightest to the heaviest. A request waits in the lane of the heaviest medium it asks for; "any" leaves it to
the LLM."""


@dataclass(kw_only=True, eq=False)
class Ticket:
    """A request that is to be answered once, and what became of it."""

    conversation: Conversation
    parameters: GenerationParameters
    deadline: float = float("inf")
    """Of `time.monotonic()`."""
    on_event: Callable[[Event], None] | None = None
    """Called from the engine's threads; must not block or raise."""
    outcome: Future = field(default_factory=Future)
    """An `AnyGenOutput`, or raises an `AnyGenError`."""
    left: threading.Event = field(default_factory=threading.Event)
    """Set when nobody waits for the reply any more."""

    @property
    def lane(self) -> str:
        """The line that it waits in."""
        if self.parameters.media is None:
            return "any"
        return max(["text", *self.parameters.media], key=LANES.index)

    @property
    def is_closed(self) -> bool:
        """Whether some of its media are still to be opened."""
        return any(part.type != "text" for turn in self.conversation if turn.role == "user" for part in turn.parts)

    def is_over(self) -> bool:
        """Whether an answer would come too late, or to nobody."""
        return self.left.is_set() or time.monotonic() > self.deadline

    def leave(self) -> None:
        """Say that nobody waits any more: the request ends at its next step."""
        self.left.set()

    def finish(self, result: AnyGenOutput | AnyGenError) -> None:
        """Its one end; later ones count for nothing."""
        if isinstance(result, AnyGenError) and result.code == "cancelled" and time.monotonic() > self.deadline:
            result = AnyGenError("deadline_exceeded", "the deadline passed before the reply was there")
        with suppress(InvalidStateError):
            if isinstance(result, AnyGenError):
                self.outcome.set_exception(result)
            else:
                self.outcome.set_result(result)


class Shares:
    """How many seconds of the model each lane has had; the next turn is that of the lane which had least."""

    def __init__(self):
        self.seconds = dict.fromkeys(LANES, 0.0)

    def charge(self, lanes: Iterable[str], seconds: float) -> None:
        """Divide the time of a batch among the lanes of its requests."""
        lanes = list(lanes)
        for lane in lanes:
            self.seconds[lane] += seconds / len(lanes)

    def enter(self, lane: str, *, busy: Iterable[str]) -> None:
        """A lane that was empty begins level with the others: idle time is no credit."""
        levels = [self.seconds[other] for other in busy]
        if levels:
            self.seconds[lane] = max(self.seconds[lane], min(levels))


class Lanes:
    """Requests that wait, a line for each lane, in the order they came."""

    def __init__(self):
        self.lines: dict[str, deque[Ticket]] = {lane: deque() for lane in LANES}

    def __len__(self) -> int:
        return sum(len(line) for line in self.lines.values())

    def add(self, ticket: Ticket) -> None:
        """To the end of its line."""
        self.lines[ticket.lane].append(ticket)

    def discard(self, ticket: Ticket) -> None:
        """Out of its line, if it is in it."""
        if ticket in self.lines[ticket.lane]:
            self.lines[ticket.lane].remove(ticket)

    def lengths(self) -> dict[str, int]:
        """How many wait in each lane."""
        return {lane: len(line) for lane, line in self.lines.items()}

    def take(self, limit: int, *, shares: Shares, lanes: Iterable[str] = LANES) -> list[Ticket]:
        """Up to `limit` requests that can be answered together: first from the lane that had least, then from the others.

        Video keeps to itself: it takes so long that the others go in between its steps.
        """
        order = sorted((lane for lane in lanes if self.lines[lane]), key=shares.seconds.__getitem__)
        if not order:
            return []
        together = [lane for lane in order if (lane == "video") == (order[0] == "video")]
        taken: list[Ticket] = []
        while len(taken) < limit and any(self.lines[lane] for lane in together):
            for lane in together:
                if self.lines[lane] and len(taken) < limit:
                    taken.append(self.lines[lane].popleft())
        return taken
