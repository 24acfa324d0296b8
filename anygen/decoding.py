"""The LLM speaks: batched decoding with a cache, in which a run of signal tokens is one step (step 7 of the data flow).

Each step feeds every row either one token, a whole run of R signal tokens, or nothing (the row is done). Rows that
bring fewer tokens than the longest are padded on the left, and the padding stays masked, so a row never feels others:

    step        1 (prompt)      2       3                     4
    row 0       ... Here     "bell"  <i_0> <i_1> <i_2> <i_3>  <end>: done
    row 1       ... It's     "a"       -     -     -   "dog"  <end>: done

Only the first token of a run is ever chosen. The states of a run are those at its own tokens. A medium with a text bridge
has no run: its tags are forced, what stands between them is the LLM's (`bridges/markup.py` has the rules), and inside a
caption the wish for a "<", a new line or the end is the wish to close it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from anygen.bridges import Spoken, markup
from anygen.chat import Inputs
from anygen.errors import AnyGenError
from anygen.model import AnyGenModel

OnText = Callable[[int, str], None]
"""Called with (row, new characters) as the words of a reply come in."""
OnMedium = Callable[[int, str], None]
"""Called with (row, modality) as the LLM asks for a medium."""


@dataclass(frozen=True, kw_only=True)
class DecodingConfig:
    """What one reply is to hold, how its tokens are chosen and how much it may say."""

    media: Sequence[str] | None = None
    """Exactly these media, in this order; None leaves it to the LLM."""
    max_new_tokens: int = 160
    """Tokens of a reply, signal tokens included."""
    temperature: float = 0.0
    """0 takes the likeliest token; above, tokens are drawn."""
    top_p: float = 1.0
    """Draw from the likeliest tokens that together have this probability (nucleus sampling, Holtzman et al. 2020)."""
    max_media: int = 4
    """Media of a reply that the LLM may decide on itself."""
    max_words: int = 48
    """Text tokens before a medium that was asked for is due."""


@dataclass(kw_only=True, eq=False)
class Segment:
    """A stretch of a reply: words, or one medium."""

    type: str
    """"text", "image", "video" or "audio"."""
    ids: list[int] = field(default_factory=list)
    """The tokens said."""
    states: Tensor | None = None
    """float[R, D_llm] of a medium: last hidden states at the run."""
    embeddings: Tensor | None = None
    """float[R, D_llm] of a medium: the embeddings of the run's tokens."""
    text: str | None = None
    """Of words that a tag follows: the words without it. Otherwise they are what `ids` say."""
    caption: str = ""
    """Of a medium: its caption, or where a run asks for it, the words that lead to it."""
    is_given: bool = False
    """Whether the caption is the caller's, to be read by the generator itself."""


def spoken_by(segments: Sequence[Segment]) -> Spoken:
    """What the LLM said of N media of one modality, for its bridge."""
    runs = segments[0].states is not None
    return Spoken(
        states=torch.stack([segment.states for segment in segments]) if runs else None,
        embeddings=torch.stack([segment.embeddings for segment in segments]) if runs else None,
        captions=[segment.caption for segment in segments],
    )


@torch.no_grad()
def decode(
    model: AnyGenModel,
    inputs: Inputs,
    *,
    configs: Sequence[DecodingConfig],
    generators: Sequence[torch.Generator],
    on_text: OnText | None = None,
    on_medium: OnMedium | None = None,
    on_step: Callable[[], None] | None = None,
) -> list[list[Segment]]:
    """Continue B conversations that are padded on the left; returns the segments of each reply.

    `configs` and `generators`, for drawing tokens: one a row. `on_step` is called before each forward pass, and may
    raise to end them all. Raises `context_length_exceeded` where a prompt leaves too little room for the reply.
    """
    backbone, rows = model.backbone, _start_rows(model, inputs, configs)
    choices = _Choices(model)
    session = backbone.start(inputs)
    block, mask = model.embed(inputs), inputs.attention_mask
    while True:
        if on_step:
            on_step()
        hidden = session.feed(block, mask=mask)
        for row, states, embeddings in zip(rows, hidden, block, strict=True):
            row.hear(states, embeddings)
        logits = backbone.logits(hidden[:, -1]).float()
        if logits.isnan().any():
            raise AnyGenError("generation_not_finite", "the LLM gave values that are not finite; check its weights")
        logits = choices.restrict(logits, rows)
        likeliest = logits.argmax(dim=-1).tolist()
        for index, row in enumerate(rows):
            drawn = row.config.temperature > 0 and not row.is_done
            row.speak(_draw(logits[index], row.config, generators[index]) if drawn else likeliest[index])
        if on_text:
            _report(rows, on_text)
        if on_medium:
            _report_media(rows, on_medium)
        width = max(len(row.said) for row in rows)
        if not width:
            return [row.segments for row in rows]
        padded = [[backbone.pad_id] * (width - len(row.said)) + row.said for row in rows]
        block = model.embed_ids(torch.tensor(padded, device=mask.device))
        fresh = [[0] * (width - len(row.said)) + [1] * len(row.said) for row in rows]
        mask = torch.tensor(fresh, device=mask.device)


class _Row:
    """One reply in the making: what was said, what is due, how much room is left."""

    def __init__(self, model: AnyGenModel, config: DecodingConfig):
        self.config = config
        self.decode_text, self.encode_text = model.backbone.decode_text, model.backbone.encode_text
        self.runs = {modality: list(signal.run) for modality, signal in model.config.signals.items()}
        self.captioned = {m: model.config.bridges[m].max_caption_tokens for m in model.config.text_modalities}
        self.modality_of = {ids[0]: modality for modality, ids in self.runs.items()}
        self.makeable = set(model.generators) or set(self.runs)  # a generator that was not loaded is not asked for
        self.end_id = model.backbone.end_id
        self.stops = [list(stop) for stop in model.backbone.stops]
        self.due = deque(config.media or ())
        self.num_free = config.max_media if config.media is None else 0
        self.room = config.max_new_tokens
        self.words = 0
        self.said: list[int] = []
        self.segments: list[Segment] = []
        self.is_done = False
        self.begun: str | None = None
        """Modality of the medium that the last step began."""
        self.writes: str | None = None
        """Modality of the medium whose caption is being written."""
        self.wants_to_close = False
        self.num_reported = 0
        """Characters of the words from `first_unreported` on that were reported."""
        self.first_unreported = 0

    @property
    def due_tokens(self) -> int:
        """Tokens that the media still due take at least, and the caption that is open."""
        open_tokens = len(self.encode_text(markup.closing(self.writes))) if self.writes else 0
        return open_tokens + sum(self.fewest_tokens(modality) for modality in self.due)

    def fewest_tokens(self, modality: str) -> int:
        """A run, or two tags and one token of a caption."""
        if modality in self.runs:
            return len(self.runs[modality])
        return len(self.encode_text(markup.opening(modality))) + 1 + len(self.encode_text(markup.closing(modality)))

    def may_show(self, modality: str) -> bool:
        """Whether the LLM may begin a medium; while one is due, any wish for a medium is a wish for that one."""
        is_possible = modality in self.makeable and self.fewest_tokens(modality) <= self.room
        return bool(self.due) or (is_possible and self.num_free > 0)

    def hear(self, states: Tensor, embeddings: Tensor) -> None:
        """Keep the states of the run that was just fed; `states` float[T, D] end with those of `said`."""
        if self.said and self.segments[-1].type in self.runs:
            length = len(self.said)
            self.segments[-1].states, self.segments[-1].embeddings = states[-length:], embeddings[-length:]

    def ends(self, choice: int) -> bool:
        """Whether a choice ends the reply: the end token, or the last of a stop sequence, whose other tokens are unsaid."""
        said = self.segments[-1].ids if self.segments and self.segments[-1].type == "text" else []
        for *before, last in self.stops:
            if choice == last and said[len(said) - len(before) :] == before:
                del said[len(said) - len(before) :]
                if before and not said:
                    self.segments.pop()
                return True
        return choice == self.end_id

    def speak(self, choice: int) -> None:
        """Turn the LLM's choice into what is said next: nothing, one token, a whole run, or a tag."""
        self.begun = None
        if self.is_done:
            self.said = []
        elif self.writes:
            self._write(choice)
        elif self.due and self.due[0] in self.captioned:
            self._open(self.due.popleft())
        else:
            self._say(choice)
        self.room -= len(self.said)

    def _say(self, choice: int) -> None:
        """A word, the end, or the first token of a run."""
        modality, is_end = self.modality_of.get(choice), self.ends(choice)
        if self.due:
            forced = self.words >= self.config.max_words or self.room <= self.due_tokens
            modality = self.due.popleft() if modality or forced or is_end else None
        self.is_done = not modality and (is_end or not self.room)
        if self.is_done:
            self.said = []
        elif modality:
            self.said, self.begun = self.runs[modality], modality
            lead = self.segments[-1] if self.segments and self.segments[-1].type == "text" else None
            self.segments.append(Segment(type=modality, ids=self.said, caption=self.words_of(lead).strip() if lead else ""))
            self.words, self.num_free = 0, self.num_free - 1
        else:
            self.said = [choice]
            if not self.segments or self.segments[-1].type != "text":
                self.segments.append(Segment(type="text"))
            self.segments[-1].ids.append(choice)
            self.words += 1
            self._see_tag()

    def _see_tag(self) -> None:
        """Begin a caption where the words now end with the tag of a medium that may be made."""
        words = self.words_of(self.segments[-1]) if self.captioned and self.config.media is None else ""
        for modality in self.captioned:
            if words.endswith(markup.opening(modality)) and self.may_show(modality):
                self.segments[-1].text = words[: -len(markup.opening(modality))]
                self.segments.append(Segment(type=modality))
                self.begun = self.writes = modality
                self.num_free -= 1

    def _open(self, modality: str) -> None:
        """Say the opening tag of a medium that is due."""
        self.said = self.encode_text(markup.opening(modality))
        self.segments.append(Segment(type=modality))
        self.begun = self.writes = modality

    def _write(self, choice: int) -> None:
        """One more token of a caption, or its closing tag; after the last medium that was asked for the reply is whole."""
        segment = self.segments[-1]
        caption = self.decode_text(segment.ids).strip()
        full = len(segment.ids) >= self.captioned[self.writes] or self.room <= self.due_tokens
        if caption and (self.wants_to_close or full):
            segment.caption = caption
            self.said = self.encode_text(markup.closing(self.writes))
            self.writes, self.words = None, 0
            self.is_done = not self.due and self.config.media is not None
            self.said = [] if self.is_done else self.said
        else:
            self.said = [choice]
            segment.ids.append(choice)
            if self.room <= 1:
                segment.caption, self.is_done = self.decode_text(segment.ids).strip(), True

    def words_of(self, segment: Segment) -> str:
        """What a segment of words says."""
        return self.decode_text(segment.ids) if segment.text is None else segment.text

    @property
    def num_held(self) -> int:
        """How many of the last tokens may be the beginning of a stop sequence, and are not reported yet."""
        said = [] if self.is_done or self.writes else self.segments[-1].ids
        lengths = [n for stop in self.stops for n in range(1, len(stop)) if said[-n:] == stop[:n]]
        return max(lengths, default=0)

    def new_words(self) -> str:
        """Characters that the last step completed; what may yet be part of a tag, or half a character, waits."""
        new = ""
        while self.first_unreported < len(self.segments):
            segment = self.segments[self.first_unreported]
            is_last = self.first_unreported == len(self.segments) - 1
            if segment.type == "text":
                words = self.words_of(segment)
                if is_last and not self.is_done and segment.text is None:
                    words = self.decode_text(segment.ids[: len(segment.ids) - self.num_held])
                    words = words[: markup.num_shown(words)] if self.captioned else words
                    if words.endswith("\ufffd"):
                        return new
                new += words[self.num_reported :]
                self.num_reported = max(self.num_reported, len(words))
            if is_last:
                return new
            self.first_unreported += 1
            self.num_reported = 0
        return new


class _Choices:
    """Which tokens may be chosen at all: words, the end, and the first token of a run where a row may show it."""

    def __init__(self, model: AnyGenModel):
        backbone = self.backbone = model.backbone
        self.modalities = list(model.config.signals)
        firsts = [model.config.signals[modality].ids[0] for modality in self.modalities]
        never = set(backbone.special_token_ids) - {backbone.end_id, *firsts}
        self.never = torch.tensor(sorted(never), device=backbone.device)
        self.firsts = torch.tensor(firsts, dtype=torch.long, device=backbone.device)

    @cached_property
    def closers(self) -> Tensor:
        """Tokens that no caption holds: those with a "<" or a new line, those of no word at all, the end."""
        return torch.tensor(sorted({*self.backbone.ids_outside_captions, self.backbone.end_id}), device=self.backbone.device)

    def restrict(self, logits: Tensor, rows: list[_Row]) -> Tensor:
        """float[B, V] with -inf at what may not be chosen."""
        logits.index_fill_(-1, self.never, -torch.inf)
        closed = [[not row.may_show(modality) for modality in self.modalities] for row in rows]
        if self.modalities:
            closed = torch.tensor(closed, device=logits.device)
            logits[:, self.firsts] = logits[:, self.firsts].masked_fill(closed, -torch.inf)
        for index, row in enumerate(rows):
            if row.writes:
                row.wants_to_close = bool((self.closers == logits[index].argmax()).any())
                logits[index, self.closers] = -torch.inf
                logits[index, self.firsts] = -torch.inf
        return logits


def _start_rows(model: AnyGenModel, inputs: Inputs, configs: Sequence[DecodingConfig]) -> list[_Row]:
    """A row for each prompt, its room bounded by the context."""
    limit, rows = model.backbone.context_length, []
    for length, config in zip(inputs.attention_mask.sum(dim=1).tolist(), configs, strict=True):
        row = _Row(model, config)
        row.room = min(config.max_new_tokens, model.backbone.room_for_reply(length))
        if config.max_new_tokens < row.due_tokens:
            raise AnyGenError(
                "invalid_parameter",
                f"max_new_tokens: found {config.max_new_tokens}; the media asked for take {row.due_tokens}",
            )
        if row.room < max(1, row.due_tokens):
            needed = length + max(1, row.due_tokens)
            raise AnyGenError(
                "context_length_exceeded",
                f"found {needed} tokens with the reply; this model takes {limit}; shorten it, or pass truncate=True",
                found=needed,
                limit=limit,
            )
        rows.append(row)
    return rows


def _draw(logits: Tensor, config: DecodingConfig, generator: torch.Generator) -> int:
    """One token from float[V], by temperature and nucleus."""
    probabilities, ids = (logits / config.temperature).softmax(dim=-1).sort(descending=True, stable=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    nucleus = probabilities.masked_fill(before >= config.top_p, 0.0)
    return int(ids[torch.multinomial(nucleus.cpu(), 1, generator=generator).to(ids.device)])


def _report(rows: list[_Row], on_text: OnText) -> None:
    """Hand on the characters that the last step completed."""
    for index, row in enumerate(rows):
        if new := row.new_words():
            on_text(index, new)


def _report_media(rows: list[_Row], on_medium: OnMedium) -> None:
    """Tell of the media that the last step began."""
    for index, row in enumerate(rows):
        if row.begun:
            on_medium(index, row.begun)
