"""The any-to-any matrix: what nano is asked, and what a right reply holds.

`CELLS` is the matrix as data. `make_request(cell, ...)` draws one request: a dialogue of the world's grammar is spoken,
its user turn (words, rendered media) becomes the message, its assistant turn says what is expected. Seeds begin with
the word "evaluation": no render of training is met again. In the `test` split half of the wordings are ones that
training never says; a `held_out` request shows a pair of thing and attribute that training never shows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from PIL import Image

from anygen.evaluation.asking import ask_for_several, ask_in_words, edit_what_was_made, imply_the_media, name_the_media
from anygen.evaluation.edges import OUTSIDE, ask_at_the_edge
from anygen.media.types import MEDIA
from anygen.nano.world import crossings, questions, smalltalk
from anygen.nano.world.image import render_image
from anygen.nano.world.refusals import is_refusal
from anygen.nano.world.scene import SPLITS, Scene, is_held_out
from anygen.nano.world.sound import render_audio
from anygen.nano.world.turns import DialoguePart, DialogueTurn, Speaker, Turns
from anygen.nano.world.video import render_video


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One way from input to output."""

    name: str
    ask: Callable[[Speaker], Turns]
    """Speaks the dialogue, in which the user has one turn or, where what was made is edited, two; the right reply is the last."""
    reply: str
    """What is scored: "image", "video", "audio", "text", or "choice" (which media the reply holds)."""
    bars: Mapping[str, float] = field(default_factory=dict)
    """Attribute -> per cent of right replies wanted on the test split."""
    within: float = 8
    """Points by which `held_out` may fall behind `test`."""
    reported: tuple[str, ...] = ()
    """Attributes that are scored without a bar."""
    pairs: tuple[str, ...] = ()
    """Attributes whose pair with the thing may be held out here; none: the cell has no `held_out` figures."""
    edits: tuple[str, ...] = ()
    """Attributes of which the user's second turn changes one. "edited" is that one, "kept" are the others as they were made."""
    hears: str = "things"
    """Whether sounds of this cell are of "things" or "tones"."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Passed to the pipeline."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """All that is scored."""
        return (*self.bars, *self.reported)

    @property
    def modalities(self) -> list[str] | None:
        """The media that the pipeline is told to reply with; None where the choice itself is scored."""
        return None if self.reply == "choice" else [self.reply]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One message to the pipeline and what its reply should show."""

    content: tuple[dict[str, Any], ...]
    """Parts of the user's message, the last one where there are two, in the hub's chat format."""
    expected: dict[str, str]
    """Attribute -> value."""
    scene: Scene | None
    """What the right reply shows; None where it is words alone."""
    before: DialoguePart | None = None
    """What the reply to the user's first turn should show, where the second edits it."""
    first: tuple[dict[str, Any], ...] = ()
    """The parts of that first turn."""
    edited: str | None = None
    """The attribute that is edited."""

    @property
    def turns(self) -> tuple[tuple[dict[str, Any], ...], ...]:
        """The user's turns: one, or two where the second edits what the first asked for."""
        return (self.first, self.content) if self.first else (self.content,)

    @property
    def words(self) -> str:
        """The text of the message, with `<image>` and the like for its media."""
        return " ".join(part.get("text", f"<{part['type']}>") for part in self.content)


def make_request(cell: Cell, split: str, seed: int, index: int) -> Request:
    """Request number `index` of a cell, split and seed; the same arguments give the same request."""
    if split not in SPLITS:
        raise ValueError(f"split={split!r} is not one of {', '.join(SPLITS)}")
    rng = random.Random(f"evaluation {cell.name} {split} {seed} {index}")
    speaker = Speaker(rng, split=split)
    while True:
        *earlier, question, reply = cell.ask(speaker)
        if _is_of(cell, split, question, reply):
            break
    scene = _scored_scene(cell, question, reply)
    if not cell.edits:
        return Request(content=_content(question, rng), expected=_expected(cell, scene, reply), scene=scene)
    first, made = earlier
    (before,) = made.media
    (edited,) = (name for name in cell.edits if getattr(scene, name) != getattr(before.scene, name))
    return Request(
        content=_content(question, rng),
        expected={"edited": getattr(scene, edited), "kept": _all_but_edited(cell, edited, vars(before.scene))},
        scene=scene,
        before=before,
        first=_content(first, rng),
        edited=edited,
    )


def score_edit(
    cell: Cell, request: Request, before: Mapping[str, str], after: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """What was expected of an edit, and what is found: what was to be kept is what the first reply showed.

    Args:
        before: what is found in the reply to the first turn, empty where it made nothing; then nothing was kept.
        after: the same of the last reply.
    """
    expected = request.expected | {"kept": _all_but_edited(cell, request.edited, before) if before else "nothing was made"}
    return expected, dict(after) | {"edited": after.get(request.edited, "none"), "kept": _all_but_edited(cell, request.edited, after)}


def _all_but_edited(cell: Cell, edited: str, found: Mapping[str, str]) -> str:
    return ", ".join(found.get(name, "none") for name in cell.edits if name != edited)


def _content(turn: DialogueTurn, rng: random.Random) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"type": part.type, part.type: part.text if part.type == "text" else _render(part, rng)} for part in turn.parts
    )


def _is_of(cell: Cell, split: str, question: DialogueTurn, reply: DialogueTurn) -> bool:
    """Whether a dialogue belongs to the cell: its kind of reply, one thing alone, a held-out pair where wanted."""
    if cell.reply in MEDIA and [part.type for part in reply.media] != [cell.reply]:
        return False
    scenes = [part.scene for part in (*question.media, *reply.media)]
    if any(scene.count > 1 or scene.companion is not None for scene in scenes) and "count" not in cell.attributes:
        return False
    if any(scene.tone is not None for scene in scenes) != (cell.hears == "tones"):
        return False
    if split != "held_out" or cell.reply == "choice":
        return True
    scene = _scored_scene(cell, question, reply)
    return any(is_held_out(scene.thing, getattr(scene, attribute)) for attribute in cell.pairs)


def _scored_scene(cell: Cell, question: DialogueTurn, reply: DialogueTurn) -> Scene | None:
    """What the reply should show, or where it answers in words, what they should describe."""
    media = question.media if cell.reply == "text" else reply.media
    return media[0].scene if media else None


def _expected(cell: Cell, scene: Scene | None, reply: DialogueTurn) -> dict[str, str]:
    readers = {
        "answer": lambda: reply.text,
        "refused": lambda: "yes" if is_refusal(reply.text) else "no",
        "media": lambda: "+".join(part.type for part in reply.media),
        "sound": lambda: "tone" if scene.tone else scene.thing,
        "height": lambda: scene.tone.height,
        "contour": lambda: scene.tone.contour,
        "tone": lambda: f"{scene.tone.height} {scene.tone.contour}",
    }
    return {name: readers[name]() if name in readers else str(getattr(scene, name)) for name in cell.attributes}


def _render(part: DialoguePart, rng: random.Random) -> Any:
    if part.type == "image":
        return Image.fromarray(render_image(part.scene, rng))
    return {"video": render_video, "audio": render_audio}[part.type](part.scene, rng)


LOOKS = ("color", "background")
FEW_STEPS = {modality: {"num_inference_steps": 2} for modality in MEDIA}
"""Where only the choice of media counts, they need not be good."""

CELLS: tuple[Cell, ...] = (
    Cell(
        name="text -> image",
        ask=partial(ask_in_words, modality="image"),
        reply="image",
        bars={"thing": 97, "color": 98, "background": 98, "place": 95},
        within=5,
        pairs=LOOKS,
    ),
    Cell(
        name="text -> video",
        ask=partial(ask_in_words, modality="video"),
        reply="video",
        bars={"thing": 93, "motion": 95, "color": 95},
        within=6,
        reported=("background",),
        pairs=(*LOOKS, "motion"),
    ),
    Cell(
        name="text -> audio",
        ask=partial(ask_in_words, modality="audio"),
        reply="audio",
        bars={"sound": 97},
    ),
    Cell(
        name="text -> audio, tones",
        ask=partial(ask_in_words, modality="audio"),
        reply="audio",
        bars={"tone": 95},
        reported=("height", "contour"),
        hears="tones",
    ),
    Cell(
        name="image -> text",
        ask=questions.describe_image,
        reply="text",
        bars=dict.fromkeys(("thing", *LOOKS, "place"), 97),
        within=5,
        pairs=LOOKS,
    ),
    Cell(
        name="video -> text",
        ask=questions.describe_video,
        reply="text",
        bars=dict.fromkeys(("thing", "motion", *LOOKS), 97),
        within=5,
        pairs=(*LOOKS, "motion"),
    ),
    Cell(name="audio -> text", ask=questions.describe_audio, reply="text", bars={"sound": 97}),
    Cell(
        name="image -> audio",
        ask=crossings.image_to_audio,
        reply="audio",
        bars={"sound": 92},
        pairs=LOOKS,
    ),
    Cell(
        name="audio -> image",
        ask=crossings.audio_to_image,
        reply="image",
        bars={"thing": 92},
        pairs=LOOKS,
    ),
    Cell(
        name="choice of media",
        ask=name_the_media,
        reply="choice",
        bars={"media": 99},
        parameters=FEW_STEPS,
    ),
    Cell(
        name="choice of media, implied",
        ask=imply_the_media,
        reply="choice",
        bars={"media": 99},
        parameters=FEW_STEPS,
    ),
    Cell(name="text -> text", ask=smalltalk.about_the_world, reply="text", reported=("answer",)),
    Cell(
        name="text -> image, several",
        ask=ask_for_several,
        reply="image",
        bars={"thing": 97, "color": 98, "count": 92},
        within=5,
        pairs=LOOKS,
    ),
    Cell(
        name="text -> image, edited",
        ask=partial(edit_what_was_made, modality="image", kinds=("thing", *LOOKS, "place")),
        reply="image",
        bars={"edited": 93, "kept": 93},
        pairs=LOOKS,
        edits=("thing", *LOOKS, "place"),
    ),
    Cell(
        name="text -> video, edited",
        ask=partial(edit_what_was_made, modality="video", kinds=("thing", *LOOKS, "motion")),
        reply="video",
        bars={"edited": 93, "kept": 93},
        pairs=LOOKS,
        edits=("thing", *LOOKS, "motion"),
    ),
    Cell(
        name="image -> image",
        ask=crossings.change_medium,
        reply="image",
        bars=dict.fromkeys(("thing", *LOOKS, "place"), 92),
        pairs=LOOKS,
    ),
    Cell(
        name="image -> video",
        ask=crossings.image_to_video,
        reply="video",
        bars=dict.fromkeys(("thing", "motion", *LOOKS), 92),
        pairs=LOOKS,
    ),
    Cell(
        name="video -> image",
        ask=crossings.video_to_image,
        reply="image",
        bars=dict.fromkeys(("thing", *LOOKS), 92),
        pairs=LOOKS,
    ),
    Cell(
        name="video -> video",
        ask=crossings.change_medium,
        reply="video",
        bars=dict.fromkeys(("thing", "motion", *LOOKS), 92),
        pairs=LOOKS,
    ),
    Cell(
        name="video -> audio",
        ask=crossings.video_to_audio,
        reply="audio",
        bars={"sound": 92},
        pairs=(*LOOKS, "motion"),
    ),
    Cell(
        name="audio -> video",
        ask=crossings.audio_to_video,
        reply="video",
        bars={"thing": 92},
        pairs=LOOKS,
    ),
    Cell(
        name="audio -> text, tones",
        ask=questions.describe_audio,
        reply="text",
        bars={"tone": 97},
        reported=("height", "contour"),
        hears="tones",
    ),
    Cell(
        name="edges -> image",
        ask=partial(ask_at_the_edge, kinds=("image",)),
        reply="image",
        reported=("thing", *LOOKS, "place"),
    ),
    Cell(
        name="edges -> video",
        ask=partial(ask_at_the_edge, kinds=("video",)),
        reply="video",
        reported=("thing", "motion", "color"),
    ),
    Cell(name="edges -> audio", ask=partial(ask_at_the_edge, kinds=("audio",)), reply="audio", reported=("sound",)),
    Cell(
        name="edges -> audio, tones",
        ask=partial(ask_at_the_edge, kinds=("audio",)),
        reply="audio",
        reported=("tone", "height", "contour"),
        hears="tones",
    ),
    Cell(
        name="edges, choice of media",
        ask=partial(ask_at_the_edge, kinds=(*MEDIA, "choice")),
        reply="choice",
        reported=("media", "refused"),
        parameters=FEW_STEPS,
    ),
    Cell(
        name="outside the world",
        ask=partial(ask_at_the_edge, kinds=(OUTSIDE,)),
        reply="choice",
        reported=("refused",),
        parameters=FEW_STEPS,
    ),
)
"""Bars are what a release worth showing reaches; the edges have none of their own. audio -> audio is left out: nano's grammar has no request for it."""


def find_cells(names: list[str] | tuple[str, ...] | None) -> tuple[Cell, ...]:
    """Cells by name, all where `names` is None. Raises ValueError with the names there are."""
    known = {cell.name: cell for cell in CELLS}
    for name in names or ():
        if name not in known:
            raise ValueError(f"cells: {name!r} is not one of {', '.join(known)}")
    return CELLS if names is None else tuple(known[name] for name in names)
