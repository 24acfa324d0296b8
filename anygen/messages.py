"""What a user may write as a conversation, checked and brought into one form: a tuple of `Turn`s of `Part`s.

This is the door of the data flow (before step 1, load). Accepted are a plain string, one conversation in the hub's chat
format, or a list of either (a batch):

    [{"role": "user", "content": [{"type": "image", "image": <PIL, path, array ...>}, {"type": "text", "text": "..."}]}]

A media part holds the medium under its own type, or `features`: what its encoder made of it, shape (P, D_enc), for
training. In an assistant turn it stands for that modality's run of signal tokens and may hold only a `caption`.
Nothing is opened or decoded here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anygen.errors import AnyGenError
from anygen.media.types import MEDIA

ROLES = ("system", "user", "assistant")
PART_TYPES = ("text", *MEDIA)


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """One piece of a turn: words, or one medium."""

    type: str
    """"text", "image", "video" or "audio"."""
    text: str = ""
    """The words of a text part."""
    media: Any = None
    """The medium as it was handed in, or as loaded."""
    features: Any = None
    """In place of the medium: its encoder tokens, float[P, D_enc]."""
    caption: str = ""
    """What a medium of an assistant turn shows, in words: the target of alignment."""
    where: str = ""
    """Where the part stands in the request, for error messages: "messages[0].content[2]"."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Turn:
    """What one speaker says at once."""

    role: str
    """"system", "user" or "assistant"."""
    parts: tuple[Part, ...]


Conversation = tuple[Turn, ...]


def is_batch(messages: Any) -> bool:
    """Whether `messages` is a list of conversations rather than one conversation."""
    if isinstance(messages, str):
        return False
    if not isinstance(messages, Sequence) or not messages:
        raise _invalid("messages", f"found {_kind(messages)}; expected a string, a list of messages or a list of these")
    return not isinstance(messages[0], (Mapping, Turn))


def read_conversations(messages: Any) -> list[Conversation]:
    """Check a request and bring it into one form; one conversation is a batch of one.

    Raises `AnyGenError("invalid_request")` that names the place (`messages[0].content[2]`), what was found and what
    was expected.
    """
    if not is_batch(messages):
        return [read_conversation(messages)]
    return [read_conversation(item, where=f"messages[{index}]") for index, item in enumerate(messages)]


def read_conversation(messages: Any, *, where: str = "messages") -> Conversation:
    """Check one conversation: a string (one user turn), or a list of messages."""
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, Sequence) or not messages:
        raise _invalid(where, f"found {_kind(messages)}; expected a string or a list of one or more messages")
    return tuple(_read_turn(message, where=f"{where}[{index}]") for index, message in enumerate(messages))


def _read_turn(message: Any, *, where: str) -> Turn:
    if isinstance(message, Turn):
        return message
    if not isinstance(message, Mapping):
        raise _invalid(where, f"found {_kind(message)}; expected a dict with 'role' and 'content'")
    _check_keys(message, required=("role", "content"), where=where)
    role, content = message["role"], message["content"]
    if role not in ROLES:
        raise _invalid(f"{where}.role", f"found {role!r}; expected one of {', '.join(ROLES)}")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, Sequence):
        raise _invalid(f"{where}.content", f"found {_kind(content)}; expected a string or a list of parts")
    if not content and role != "assistant":
        raise _invalid(f"{where}.content", "found no part; expected one or more")
    return Turn(
        role=role,
        parts=tuple(_read_part(part, role=role, where=f"{where}.content[{i}]") for i, part in enumerate(content)),
    )


def _read_part(part: Any, *, role: str, where: str) -> Part:
    if isinstance(part, Part):
        return part
    if not isinstance(part, Mapping):
        raise _invalid(where, f"found {_kind(part)}; expected a dict with 'type'")
    if part.get("type") not in PART_TYPES:
        raise _invalid(f"{where}.type", f"found {part.get('type')!r}; expected one of {', '.join(PART_TYPES)}")
    kind = part["type"]
    if kind == "text":
        _check_keys(part, required=("type", "text"), where=where)
        if not isinstance(part["text"], str):
            raise _invalid(f"{where}.text", f"found {_kind(part['text'])}; expected a string")
        _check_encodable(part["text"], where=f"{where}.text")
        return Part(type="text", text=part["text"], where=where)
    if role == "system":
        raise _invalid(where, f"found a part of type {kind!r} in a system turn; expected text only")
    _check_keys(part, required=("type",), optional=(kind, "features", "caption"), where=where)
    media, features, caption = part.get(kind), part.get("features"), part.get("caption", "")
    if not isinstance(caption, str):
        raise _invalid(f"{where}.caption", f"found {_kind(caption)}; expected a string")
    if role == "user" and (media is None) == (features is None):
        found = "neither" if media is None else "both"
        raise _invalid(where, f"found {found} of {kind!r} and 'features'; expected one of them")
    return Part(type=kind, media=media, features=features, caption=caption, where=where)


def _check_keys(given: Mapping, *, required: tuple[str, ...], optional: tuple[str, ...] = (), where: str) -> None:
    missing = [key for key in required if key not in given]
    unknown = [key for key in given if key not in required + optional]
    if missing or unknown:
        allowed = ", ".join(required + optional)
        raise _invalid(
            where,
            f"found the keys {sorted(map(str, given))}; expected {allowed} (missing {missing}, unknown {unknown})",
        )


def _check_encodable(text: str, *, where: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _invalid(
            where, f"found a lone surrogate at character {error.start}; expected valid Unicode text"
        ) from None


def _kind(value: Any) -> str:
    empty = isinstance(value, Sequence) and not len(value)
    return f"an empty {type(value).__name__}" if empty else f"a value of type {type(value).__name__}"


def _invalid(where: str, detail: str) -> AnyGenError:
    return AnyGenError("invalid_request", f"{where}: {detail}", where=where)
