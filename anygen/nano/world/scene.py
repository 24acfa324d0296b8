"""The closed world of nano: what a scene is, and which scenes are trained on.

A `Scene` is the ground truth behind one drawing, film or recording. Renderers (`image.py`, `video.py`, `sound.py`)
turn it into media, `captions.py` into words. Everything that the judges of `anygen eval nano` ask about is an attribute
here, so a data set needs no labels and no licences.

Splits are a pure function of names: a (thing, colour), (thing, motion) or (thing, background) pair is held out when the
SHA-256 of its two words is 0 modulo 10. `train` and `test` scenes hold no such pair; `held_out` scenes hold at least one.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

Split = Literal["train", "test", "held_out"]
SPLITS: tuple[str, ...] = ("train", "test", "held_out")

SOUNDING_THINGS = (
    "bell", "drum", "clock", "car", "train", "bird", "cat", "dog",
    "bee", "rain", "boat", "ambulance", "phone", "piano", "rocket", "heart",
)
SILENT_THINGS = ("house", "tree", "flower", "sun", "moon", "fish", "apple", "ball")
SHAPES = ("circle", "square", "triangle", "star", "diamond", "cross", "ring", "crescent")
THINGS = SOUNDING_THINGS + SILENT_THINGS + SHAPES
COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "white", "black")
SIZES = ("small", "large")
PLACES = ("left", "right", "top", "bottom", "center")
BACKGROUNDS = ("white", "black", "gray", "sky", "grass", "night")
COUNTS = (1, 2, 3)
RELATIONS = ("left of", "above")
MOTIONS = (
    "moves left", "moves right", "moves up", "moves down", "grows", "shrinks", "spins", "blinks", "bounces", "stays still",
)
TONE_HEIGHTS = ("low", "middle", "high")
TONE_CONTOURS = ("steady", "rising", "falling", "warbling", "slow beeps", "fast beeps")

INVISIBLE_PAIRS = {("white", "white"), ("black", "black"), ("black", "night"), ("green", "grass"), ("blue", "sky")}
"""(colour, background) pairs that no split contains: the thing could not be told from what is behind it."""


@dataclass(frozen=True, kw_only=True)
class Tone:
    """A plain synthetic tone: its height and how it goes on in time."""

    height: str
    """One of `TONE_HEIGHTS`."""
    contour: str
    """One of `TONE_CONTOURS`."""

    def __post_init__(self):
        _check("height", self.height, TONE_HEIGHTS)
        _check("contour", self.contour, TONE_CONTOURS)


@dataclass(frozen=True, kw_only=True)
class Companion:
    """A second, single thing in the scene and where the main thing stands to it: main `relation` companion."""

    thing: str
    color: str
    relation: str
    """One of `RELATIONS`: the main thing is left of, or above, the companion."""

    def __post_init__(self):
        _check("thing", self.thing, THINGS)
        _check("color", self.color, COLORS)
        _check("relation", self.relation, RELATIONS)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Ground truth of one picture, film or sound.

    A picture shows `count` equal things (or the thing and its `companion`) of one colour and size at `place` before
    `background`. A film adds `motion`. A sound is the thing's own sound, or `tone` where that is given.
    `place` holds for a lone thing only: with `count` > 1 or a companion it is "center" (the group fills the picture).
    """

    thing: str
    color: str
    size: str = "large"
    place: str = "center"
    background: str = "white"
    count: int = 1
    motion: str = "stays still"
    companion: Companion | None = None
    tone: Tone | None = None

    def __post_init__(self):
        _check("thing", self.thing, THINGS)
        _check("color", self.color, COLORS)
        _check("size", self.size, SIZES)
        _check("place", self.place, PLACES)
        _check("background", self.background, BACKGROUNDS)
        _check("count", self.count, COUNTS)
        _check("motion", self.motion, MOTIONS)
        if self.count > 1 and self.companion is not None:
            raise ValueError(f"count={self.count} and companion={self.companion}: a scene has one or the other")
        if self.place != "center" and (self.count > 1 or self.companion is not None):
            raise ValueError(f"place={self.place!r} holds for a lone thing; with count > 1 or a companion use 'center'")

    @property
    def sounds(self) -> bool:
        """Whether the scene can be heard: its thing has a sound of its own, or a tone is given."""
        return self.tone is not None or self.thing in SOUNDING_THINGS


def _check(name: str, value, valid: tuple) -> None:
    if value not in valid:
        raise ValueError(f"{name}={value!r} is not in the world; one of {', '.join(map(str, valid))}")


@lru_cache(maxsize=None)
def is_held_out(thing: str, attribute: str) -> bool:
    """Whether the pair of a thing and a colour, motion or background never occurs in training (a tenth of all pairs)."""
    return int(hashlib.sha256(f"{thing}|{attribute}".encode()).hexdigest(), 16) % 10 == 0


def held_out_pairs(scene: Scene) -> list[tuple[str, str]]:
    """The pairs of this scene that are held out of training; empty for `train` and `test` scenes."""
    pairs = [(scene.thing, scene.color), (scene.thing, scene.background), (scene.thing, scene.motion)]
    if scene.companion is not None:
        pairs += [(scene.companion.thing, scene.companion.color), (scene.companion.thing, scene.background)]
    return [pair for pair in pairs if is_held_out(*pair)]


def sample_scene(rng: random.Random, split: Split = "train", *, sounding: bool = False, lone: bool = False) -> Scene:
    """Draw a scene of a split.

    `sounding` asks for a scene that can be heard with its thing's own sound; `lone` for one thing alone (no count, no
    companion). Things are drawn uniformly (in `held_out`, of those that have a held-out pair); everything else is drawn
    again until the split's filter lets it pass. `train` and `test` have the same law: a test scene is a fresh draw, and
    only its seed is unseen.
    """
    _check("split", split, SPLITS)
    things = SOUNDING_THINGS if sounding else THINGS
    if split == "held_out":
        things = [thing for thing in things if any(is_held_out(thing, word) for word in COLORS + BACKGROUNDS + MOTIONS)]
    thing = rng.choice(things)
    while True:
        scene = _draw(thing, rng, lone=lone)
        if bool(held_out_pairs(scene)) == (split == "held_out") and not _is_invisible(scene):
            return scene


def _draw(thing: str, rng: random.Random, *, lone: bool) -> Scene:
    kind = "lone" if lone else rng.choices(("lone", "several", "pair"), weights=(0.8, 0.1, 0.1))[0]
    scene = Scene(
        thing=thing,
        color=rng.choice(COLORS),
        size=rng.choice(SIZES),
        background=rng.choice(BACKGROUNDS),
        motion=rng.choice(MOTIONS),
    )
    if kind == "lone":
        return replace(scene, place=rng.choice(PLACES))
    if kind == "several":
        return replace(scene, count=rng.choice(COUNTS[1:]))
    other = rng.choice([thing for thing in THINGS if thing != scene.thing])
    return replace(
        scene, companion=Companion(thing=other, color=rng.choice(COLORS), relation=rng.choice(RELATIONS))
    )


def _is_invisible(scene: Scene) -> bool:
    colors = [scene.color] + ([scene.companion.color] if scene.companion else [])
    return any((color, scene.background) in INVISIBLE_PAIRS for color in colors)


def sample_tone(rng: random.Random) -> Tone:
    """Draw a tone; all eighteen occur in training."""
    return Tone(height=rng.choice(TONE_HEIGHTS), contour=rng.choice(TONE_CONTOURS))
