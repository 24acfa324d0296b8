"""What one visitor and the model have said so far: the state of a session, and the history of the next turn.

    visitor's parts + settings -> pipeline -> Exchange -> Conversation.messages (for the model), .shown (for the page)

Values here do not change: sending, regenerating, undoing and editing each give a new `Conversation`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from anygen.errors import AnyGenError
from anygen.outputs import AnyGenOutput

MAX_EXCHANGES = 100
"""Turns of one conversation; the page asks for a new one then."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ShownPart:
    """Words, or a medium with the file that the page shows it from."""

    type: str
    """"text", "image", "video" or "audio"."""
    text: str = ""
    """The words of a text part."""
    media: Any = None
    """The medium of another part: a PIL image, `Video` or `Audio`."""
    path: str = ""
    """Its file; named by this program, never by a visitor."""

    @property
    def part(self) -> dict[str, Any]:
        """The part in the hub's chat format."""
        return {"type": self.type, self.type: self.text if self.type == "text" else self.media}

    @property
    def content(self) -> str | dict[str, str]:
        """The part as the page's chat takes it."""
        return self.text if self.type == "text" else {"path": self.path}


@dataclass(frozen=True, kw_only=True, eq=False)
class Exchange:
    """One turn of the visitor's and what became of it: a reply or an error; neither while it is being answered."""

    asked: tuple[ShownPart, ...]
    reply: tuple[ShownPart, ...] = ()
    output: AnyGenOutput | None = None
    error: AnyGenError | None = None
    attempt: int = 0
    """How often the reply was regenerated."""

    @property
    def text(self) -> str:
        """The words of the visitor."""
        return "\n".join(part.text for part in self.asked if part.type == "text")

    @property
    def asked_messages(self) -> list[dict[str, Any]]:
        """The visitor's turn as messages of the page's chat."""
        return [{"role": "user", "content": part.content} for part in self.asked]

    @property
    def question(self) -> dict[str, Any]:
        """The visitor's turn as a message."""
        return {"role": "user", "content": [part.part for part in self.asked]}

    def asking(self, text: str) -> Exchange:
        """The same media with other words, not answered yet."""
        media = tuple(part for part in self.asked if part.type != "text")
        return Exchange(asked=(*media, ShownPart(type="text", text=text)) if text else media)

    def again(self) -> Exchange:
        """The same question, not answered yet."""
        return Exchange(asked=self.asked, attempt=self.attempt + 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Conversation:
    """The exchanges of one session, oldest first."""

    exchanges: tuple[Exchange, ...] = ()
    folder: str = ""
    """Where the files of this session are; "" before there is one."""

    def with_exchange(self, exchange: Exchange) -> Conversation:
        """One exchange more. Raises `context_length_exceeded` for a conversation without end."""
        if not self.has_room:
            found = len(self.exchanges) + 1
            detail = f"found {found} turns; expected at most {MAX_EXCHANGES}; begin a new conversation"
            raise AnyGenError("context_length_exceeded", detail, found=found, limit=MAX_EXCHANGES)
        return replace(self, exchanges=(*self.exchanges, exchange))

    def before(self, index: int) -> Conversation:
        """The exchanges before number `index`."""
        return replace(self, exchanges=self.exchanges[:index])

    @property
    def has_room(self) -> bool:
        """Whether another exchange may follow."""
        return len(self.exchanges) < MAX_EXCHANGES

    @property
    def last(self) -> Exchange | None:
        """The newest exchange."""
        return self.exchanges[-1] if self.exchanges else None

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All that was answered, in the hub's chat format: the history of the next turn."""
        answered = [exchange for exchange in self.exchanges if exchange.output is not None]
        return [message for exchange in answered for message in (exchange.question, exchange.output.message)]

    @property
    def shown(self) -> list[dict[str, Any]]:
        """Everything as messages of the page's chat, one for each part."""
        return [message for exchange in self.exchanges for message in shown_messages(exchange)]

    def exchange_at(self, position: int) -> int:
        """Which exchange holds message number `position` of `shown`. Raises `invalid_request` where none does."""
        owners = [index for index, exchange in enumerate(self.exchanges) for _ in shown_messages(exchange)]
        if not 0 <= position < len(owners):
            raise AnyGenError("invalid_request", f"found message {position}; expected one of {len(owners)}")
        return owners[position]

    @property
    def num_made(self) -> Counter[str]:
        """How many media of each modality the model has made."""
        return Counter(part.type for exchange in self.exchanges for part in exchange.reply if part.path)

    @property
    def paths(self) -> list[str]:
        """The files that the model has made, oldest first."""
        return [part.path for exchange in self.exchanges for part in exchange.reply if part.path]


def shown_messages(exchange: Exchange) -> list[dict[str, Any]]:
    """One exchange as messages of the page's chat."""
    reply = [{"role": "assistant", "content": part.content} for part in exchange.reply]
    if exchange.output is None and exchange.error is None:
        reply = [{"role": "assistant", "content": error_note(AnyGenError("cancelled"))}]
    elif exchange.error is not None:
        reply = [{"role": "assistant", "content": error_note(exchange.error)}]
    return exchange.asked_messages + reply


def error_note(error: AnyGenError) -> str:
    """What a visitor is told: the fixed sentence of the error's code, and what else is safe to show."""
    public, more = error.public(), ""
    if {"found", "limit"} <= public.keys():
        more = f" ({public['found']}, at most {public['limit']})"
    elif {"where", "expected"} <= public.keys():
        more = escape(f" ({public['where']}: {public['expected']})")
    return f'<div class="fault">{public["message"]}{more} <code>{public["code"]}</code></div>'
