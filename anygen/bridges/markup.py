"""The markup of the text bridge: how an LLM that was never trained for it asks for media in the middle of its words.

    Here it is: <image>a red bell on grass</image> and how it sounds: <audio>a bell ringing</audio>

The LLM is told so in a system turn. Rules, the same for a reply that is decoded here and for one that came from afar:

- an element is `<modality>caption</modality>`, its names in lower case, without spaces or attributes;
- a caption holds no "<": an element that is nested in another, or that is cut off, is closed where the "<" or the end
  is;
- an element without a caption, of an unknown modality or of one that is not made here, and a stray closing tag are
  words;
- what a user or a system turn says is never markup: its tags are shown to the LLM in other brackets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

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
LONGEST_TAG = max(len(f"</{modality}>") for modality in MEDIA)
_TAG = re.compile(rf"<(/?)({'|'.join(MEDIA)})>")
_INK = re.compile(r"\S")


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

    Every character is in a piece but for tags of elements, the blanks around captions, and blanks between media.
    """
    reader = Reader(modalities=modalities)
    return _joined([*reader.read(reply), *reader.finish()])


class Reader:
    """Reads a reply as it comes, in stretches cut anywhere, and never gives away a part of what may yet be a tag.

    `read` and `finish` give what has become certain: words as they come, a medium when its caption is whole. `begun` is
    the modality of the medium whose caption is being written.
    """

    def __init__(self, *, modalities: Sequence[str]):
        self.modalities = tuple(modalities)
        self.begun: str | None = None
        self._rest, self._at = "", 0
        """Characters that nothing can be said of yet: those of `_rest` from `_at` on."""
        self._held = ""
        """Blanks that are words only if words follow them."""
        self._caption = ""
        self._speaks = False
        """Whether the words of the present stretch were begun."""

    def read(self, stretch: str, *, is_last: bool = False) -> list[Piece]:
        """More of the reply."""
        self._rest, self._at = self._rest[self._at :] + stretch, 0
        pieces: list[Piece] = []
        while self._at < len(self._rest):
            step = self._read_caption if self.begun else self._read_words
            if not step(pieces, is_last):
                break
        return _joined(pieces)

    def finish(self) -> list[Piece]:
        """The reply has ended: what of it was undecided."""
        pieces = self.read("", is_last=True)
        self._end_caption(pieces)
        return _joined(pieces)

    def _up_to_mark(self) -> str:
        """What stands before the next "<", and step over it."""
        start, mark = self._at, self._rest.find("<", self._at)
        self._at = len(self._rest) if mark < 0 else mark
        return self._rest[start : self._at]

    def _read_words(self, pieces: list[Piece], is_last: bool) -> bool:
        """One step among words; False where more has to come first."""
        self._say(self._up_to_mark(), pieces)
        tag = _TAG.match(self._rest, self._at)
        if not tag:
            if not is_last and _may_become_tag(self._rest[self._at : self._at + LONGEST_TAG]):
                return False
            self._say(self._rest[self._at : self._at + 1], pieces)
            self._at += 1
            return True
        follows = _INK.search(self._rest, tag.end())
        opens = not tag[1] and tag[2] in self.modalities
        if opens and not follows and not is_last:
            return False
        if opens and follows and follows[0] != "<":
            self.begun, self._held, self._speaks = tag[2], "", False
        else:
            self._say(tag[0], pieces)
        self._at = tag.end()
        return True

    def _read_caption(self, pieces: list[Piece], is_last: bool) -> bool:
        """One step in a caption; False where more has to come first."""
        self._caption += self._up_to_mark()
        if self._at == len(self._rest):
            return True
        end = closing(self.begun)
        found = self._rest[self._at : self._at + len(end)]
        if found != end and end.startswith(found) and not is_last:
            return False
        self._at += len(end) if found == end else 0
        self._end_caption(pieces)
        return True

    def _end_caption(self, pieces: list[Piece]) -> None:
        if self.begun:
            pieces.append(Piece(type=self.begun, text=self._caption.strip()))
            self.begun, self._caption = None, ""

    def _say(self, words: str, pieces: list[Piece]) -> None:
        """Words, once they are more than blanks."""
        self._held += words
        if self._held and (self._speaks or self._held.strip()):
            pieces.append(Piece(type="text", text=self._held))
            self._held, self._speaks = "", True


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Words that follow each other as one piece."""
    joined: list[Piece] = []
    for kind, group in groupby(pieces, key=lambda piece: piece.type):
        joined += [Piece(type="text", text="".join(piece.text for piece in group))] if kind == "text" else group
    return joined


def _may_become_tag(start: str) -> bool:
    return any(form(modality).startswith(start) for modality in MEDIA for form in (opening, closing))


def num_shown(words: str) -> int:
    """How many characters of unfinished words are certainly words: those before what may yet become a tag."""
    start = words.rfind("<")
    return start if start >= 0 and _may_become_tag(words[start:]) else len(words)


def escape(text: str) -> str:
    """Somebody's words with their tags in other brackets (U+2039, U+203A), so that no reply can copy one."""
    return _TAG.sub("\u2039\\1\\2\u203a", text)


def instruct(
    conversation: Conversation, *, modalities: Sequence[str], instructions: str, has_system: bool
) -> Conversation:
    """A conversation as the LLM is shown it: told of the markup, tags of others escaped, its own media as elements.

    The instructions go in front of the system turn there is, or become one, or where the chat template knows none
    (`has_system`) stand before the first words of the user.
    """
    elements = " ".join(ELEMENT.format(what=WHAT_IT_IS[modality], modality=modality) for modality in modalities)
    told = instructions.replace("{elements}", elements)
    turns = list(escaped(conversation, modalities=modalities))
    if turns[0].role == "system":
        turns[0] = replace(turns[0], parts=(Part(type="text", text=f"{told}\n\n"), *turns[0].parts))
    elif has_system:
        turns.insert(0, Turn(role="system", parts=(Part(type="text", text=told),)))
    else:
        turns[0] = replace(turns[0], parts=(Part(type="text", text=f"{told}\n\n"), *turns[0].parts))
    return tuple(turns)


def escaped(conversation: Conversation, *, modalities: Sequence[str]) -> Conversation:
    """A conversation with the tags of others in other brackets, and the media of the assistant's turns as elements."""
    return tuple(
        replace(turn, parts=tuple(_shown(part, turn.role, modalities) for part in turn.parts)) for turn in conversation
    )


def _shown(part: Part, role: str, modalities: Sequence[str]) -> Part:
    if part.type == "text":
        return replace(part, text=escape(part.text))
    if role == "assistant" and part.type in modalities:
        caption = escape(part.caption) or f"{WHAT_IT_IS[part.type]} that was shown before"
        return Part(type="text", text=f"{opening(part.type)}{caption}{closing(part.type)}", where=part.where)
    return part
