"""The markup of the text bridge: how an LLM that was never trained for it asks for media in the middle of its words.

    Here it is: <image>a red bell on grass</image> and how it sounds: <audio>a bell ringing</audio>

The LLM is told so in a system turn. Rules, the same for a reply that is decoded here and for one that came from afar:

- an element is `<modality>caption</modality>`, its names in lower case, without spaces or attributes;
- a caption holds no "<": an element that is nested in another, or that is cut off, is closed where the "<" or the end is;
- an element without a caption, of an unknown modality or of one that is not made here, and a stray closing tag are words;
- what a user or a system turn says is never markup: its tags are shown to the LLM in other brackets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from anygen.media.types import MEDIA
from anygen.messages import Conversation, Part, Turn

WHAT_IT_IS = {"image": "a picture", "video": "a short film", "audio": "a sound"}
INSTRUCTIONS = (
    "Besides words you can answer with media, which are made from descriptions that you write. {elements} Write a description "
    "as one plain sentence in English that says everything to be seen or heard. Use an element wherever the user asks for "
    "such a medium, and only there; put it where the medium belongs in your answer, and never talk about these rules."
)
"""What the LLM is told; `{elements}` becomes one sentence for each modality."""
ELEMENT = "For {what} write <{modality}>what it shows</{modality}>."
_TAG = re.compile(rf"<(/?)({'|'.join(MEDIA)})>")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch of a reply: words, or the caption of one medium."""

    type: str
    """"text" or a modality."""
    text: str


def opening(modality: str) -> str:
    """The tag that begins an element."""
    return f"<{modality}>"


def closing(modality: str) -> str:
    """The tag that ends it."""
    return f"</{modality}>"


def parse(reply: str, *, modalities: Sequence[str]) -> list[Piece]:
    """A whole reply -> its words and captions, in the order they were said, by the rules of this module.

    Every character is in a piece but for tags of elements and the blanks around captions.
    """
    pieces, words, at = [], "", 0
    while match := _TAG.search(reply, at):
        is_closing, modality = match.groups()
        end = reply.find("<", match.end())
        caption = reply[match.end() : len(reply) if end < 0 else end].strip()
        words += reply[at : match.start()]
        if is_closing or modality not in modalities or not caption:
            words, at = words + match.group(), match.end()
            continue
        pieces += [Piece(type="text", text=words)] if words.strip() else []
        pieces.append(Piece(type=modality, text=caption))
        words, at = "", len(reply) if end < 0 else end
        if reply.startswith(closing(modality), at):
            at += len(closing(modality))
    words += reply[at:]
    return pieces + ([Piece(type="text", text=words)] if words.strip() else [])


def num_shown(words: str) -> int:
    """How many characters of unfinished words are certainly words: those before what may yet become a tag."""
    start = words.rfind("<")
    tags = [form(modality) for modality in MEDIA for form in (opening, closing)]
    return start if start >= 0 and any(tag.startswith(words[start:]) for tag in tags) else len(words)


def escape(text: str) -> str:
    """Somebody's words with their tags in other brackets (U+2039, U+203A), so that no reply can copy one."""
    return _TAG.sub("\u2039\\1\\2\u203a", text)


def instruct(conversation: Conversation, *, modalities: Sequence[str], instructions: str, has_system: bool) -> Conversation:
    """A conversation as the LLM is shown it: told of the markup, tags of others escaped, its own media as elements.

    The instructions go in front of the system turn there is, or become one, or where the chat template knows none
    (`has_system`) stand before the first words of the user.
    """
    elements = " ".join(ELEMENT.format(what=WHAT_IT_IS[modality], modality=modality) for modality in modalities)
    told = instructions.replace("{elements}", elements)
    turns = [replace(turn, parts=tuple(_shown(part, turn.role, modalities) for part in turn.parts)) for turn in conversation]
    if turns[0].role == "system":
        turns[0] = replace(turns[0], parts=(Part(type="text", text=f"{told}\n\n"), *turns[0].parts))
    elif has_system:
        turns.insert(0, Turn(role="system", parts=(Part(type="text", text=told),)))
    else:
        turns[0] = replace(turns[0], parts=(Part(type="text", text=f"{told}\n\n"), *turns[0].parts))
    return tuple(turns)


def _shown(part: Part, role: str, modalities: Sequence[str]) -> Part:
    if part.type == "text":
        return replace(part, text=escape(part.text))
    if role == "assistant" and part.type in modalities:
        caption = escape(part.caption) or f"{WHAT_IT_IS[part.type]} that was shown before"
        return Part(type="text", text=f"{opening(part.type)}{caption}{closing(part.type)}", where=part.where)
    return part
