"""From conversations to token rows, the same for training and inference (between steps 3 and 5 of the data flow).

A conversation becomes a `Script`: its tokens with every medium already expanded, so that a position in it is a position
in the LLM's sequence. Worked example, an image of K = 2 embeddings and runs of R = 2 signal tokens:

    user: [image] "draw it"        assistant: "Here:" [image]
    ids     <bos> <user> <media> .. .. </media> draw it <end> <assistant> Here : <image_0> <image_1> <end>
    labels    -      -      -    -  -     -      -   -    -        -      Here :  <image_0> <image_1> <end>
    slots                        ^start, length 2                                 runs: ^start

Text that somebody wrote never yields a special token: the chat template is filled with sentinels, and each part's text
is tokenized by itself, blind to special tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from anygen.backbones import Backbone
from anygen.bridges import SignalSpec
from anygen.errors import AnyGenError
from anygen.messages import Conversation, Part, Turn

IGNORED = -100
"""The label of a position that no loss counts."""


@dataclass(frozen=True, kw_only=True)
class MediaSlot:
    """Where the embeddings of one medium go."""

    item: int
    """Row of the batch."""
    start: int
    """First position of the medium in its row."""
    length: int
    """K, the number of embeddings."""
    part: Part
    words: str = ""
    """What was said in the same turn."""


@dataclass(frozen=True, kw_only=True)
class SignalRun:
    """Where the signal tokens of one medium of the reply, or of the history, stand."""

    item: int
    """Row of the batch."""
    start: int
    """Position of the run's first token in its row."""
    length: int
    """R, the number of signal tokens."""
    part: Part


@dataclass(kw_only=True)
class Script:
    """One conversation as tokens; `item` is 0 in its slots and runs."""

    ids: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    slots: list[MediaSlot] = field(default_factory=list)
    runs: list[SignalRun] = field(default_factory=list)
    reply_start: int = 0
    """Position of the first token of the last reply, or where it will be."""

    def say(self, ids: Sequence[int], *, learned: bool) -> None:
        """Append tokens, as targets of the text loss or not; learned queries, whose ids are negative, never are."""
        self.ids += ids
        self.labels += [index if learned and index >= 0 else IGNORED for index in ids]

    def show(self, ids: Sequence[int], part: Part, *, turn: Turn) -> None:
        """Append the places of a medium that was shown in `turn`."""
        words = " ".join(other.text for other in turn.parts if other.type == "text")
        self.slots.append(MediaSlot(item=0, start=len(self.ids), length=len(ids), part=part, words=words))
        self.say(ids, learned=False)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """A batch for `AnyGenModel.forward`: rows of one length, with the places of media and signal runs."""

    input_ids: Tensor
    """int64[B, T]; padding and media positions hold the padding id."""
    attention_mask: Tensor
    """int64[B, T], 1 where a row has a token."""
    labels: Tensor
    """int64[B, T], -100 where no loss is counted."""
    reply_starts: Tensor
    """int64[B]: where the last reply of each row begins."""
    slots: list[MediaSlot]
    runs: list[SignalRun]

    @property
    def position_ids(self) -> Tensor:
        """int64[B, T]: tokens counted from 0 in each row, padding left out."""
        return (self.attention_mask.cumsum(dim=1) - 1).clamp(min=0)

    def runs_of(self, modality: str) -> list[SignalRun]:
        """The runs of one modality, in row order and then in the order said."""
        return [run for run in self.runs if run.part.type == modality]

    def to(self, device: torch.device | str) -> Inputs:
        """The same inputs with the token rows on `device`; media move when they are encoded."""
        names = ("input_ids", "attention_mask", "labels", "reply_starts")
        rows = {name: getattr(self, name).to(device) for name in names}
        return Inputs(**rows, slots=self.slots, runs=self.runs)


def write_script(
    conversation: Conversation,
    backbone: Backbone,
    *,
    signals: dict[str, SignalSpec],
    num_tokens: Callable[[Part], int],
    add_generation_prompt: bool = False,
    certain_tokens: str = "learned",
) -> Script:
    """One conversation as tokens and labels.

    `num_tokens` says how many embeddings a user's medium takes. With `add_generation_prompt` the script ends where the
    assistant begins to speak. `certain_tokens`: "learned" labels all R tokens of a run, as NExT-GPT does; "ignored"
    labels only the first, the one decision there is, since decoding forces the others.
    """
    ahead = backbone.parts_ahead(conversation)
    outline = tuple((turn.role, sum(part not in ahead for part in turn.parts)) for turn in conversation)
    opening, *frames = backbone.template_ids(outline, add_generation_prompt=add_generation_prompt)
    script = Script()
    for turn in conversation:
        for part in turn.parts:
            if part in ahead:
                script.show(backbone.media_ids(part, after=script.ids), part, turn=turn)
    script.say(opening, learned=False)
    spoken = [(turn, part) for turn in conversation for part in turn.parts if part not in ahead]
    first_of_reply = conversation[-1].parts[0] if conversation[-1].role == "assistant" and conversation[-1].parts else None
    for (turn, part), frame in zip(spoken, frames, strict=True):
        is_reply = turn.role == "assistant"
        if part is first_of_reply:
            script.reply_start = len(script.ids)
        if part.type == "text":
            is_lowered = turn.role == "user" and backbone.config.lowercase_users
            words = backbone.words_begin + (part.text.lower() if is_lowered else part.text)
            script.say(backbone.encode_text(words), learned=is_reply)
        elif is_reply:
            first, *others = _signal_of(part, signals).run
            script.runs.append(SignalRun(item=0, start=len(script.ids), length=1 + len(others), part=part))
            script.say([first], learned=True)
            script.say(others, learned=certain_tokens == "learned")
        elif part.type in backbone.reads:
            script.show(backbone.media_ids(part, after=script.ids), part, turn=turn)
        else:
            script.say(backbone.media_start_ids, learned=False)
            script.show([backbone.pad_id] * num_tokens(part), part, turn=turn)
            script.say(backbone.media_end_ids, learned=False)
        ends_reply = is_reply and part is turn.parts[-1] and frame[:1] == [backbone.end_id]
        script.say(frame[:1], learned=ends_reply)
        script.say(frame[1:], learned=False)
    if first_of_reply is None:
        script.reply_start = len(script.ids)
    if backbone.replies_learned == "last":
        script.labels[: script.reply_start] = [IGNORED] * script.reply_start
    return script


def _signal_of(part: Part, signals: dict[str, SignalSpec]) -> SignalSpec:
    if part.type not in signals:
        made = ", ".join(["text", *signals])
        detail = f"{part.where or 'a part of a reply'}: found {part.type}; this model answers in {made}"
        raise AnyGenError("modality_not_supported", detail, found=part.type)
    return signals[part.type]


def pad_scripts(scripts: Sequence[Script], *, pad_id: int, side: str) -> Inputs:
    """Scripts as one batch, padded on the "left" (to decode on from the end) or on the "right"."""
    length = max(len(script.ids) for script in scripts)
    offsets = [length - len(script.ids) if side == "left" else 0 for script in scripts]

    def rows(lists: list[list[int]], filler: int) -> Tensor:
        batch = torch.full((len(lists), length), filler)
        for row, offset, values in zip(batch, offsets, lists, strict=True):
            row[offset : offset + len(values)] = torch.tensor(values)
        return batch

    def shifted(places: list[list]) -> list:
        return [
            replace(place, item=item, start=offsets[item] + place.start)
            for item, row in enumerate(places)
            for place in row
        ]

    return Inputs(
        input_ids=rows([script.ids for script in scripts], pad_id),
        attention_mask=rows([[1] * len(script.ids) for script in scripts], 0),
        labels=rows([script.labels for script in scripts], IGNORED),
        reply_starts=torch.tensor([script.reply_start + offset for script, offset in zip(scripts, offsets, strict=True)]),
        slots=shifted([script.slots for script in scripts]),
        runs=shifted([script.runs for script in scripts]),
    )
