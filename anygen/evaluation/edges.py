"""Requests at the edges of nano's language: `edges.tsv`, written by hand apart from the grammar that it learns from.

One a line: what it asks for ("image", "video", "audio", "choice": several media, or "outside": nothing of the world), what
is right (`name=value` of a scene, `tone=HEIGHT CONTOUR`, `media=image+audio`), and the words. Unseen wordings, slips, word
order, spellings of both sides of the Atlantic, digits. Training never reads this file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files

from anygen.nano.world.scene import Scene, Tone
from anygen.nano.world.refusals import REFUSAL
from anygen.nano.world.turns import DialoguePart, DialogueTurn, Speaker, Turns, answer, defaults, medium, show

OUTSIDE = "outside"
KINDS = ("image", "video", "audio", "choice", OUTSIDE)


@dataclass(frozen=True, kw_only=True)
class Edge:
    """One request."""

    kind: str
    """One of `KINDS`."""
    media: tuple[str, ...]
    """What the right reply holds; none outside the world."""
    scene: Scene
    """What they show: what the words leave unsaid is at its default. Of several media and of none it says nothing."""
    words: str


@lru_cache
def read_edges() -> tuple[Edge, ...]:
    """All of the file. Raises ValueError that names a line which cannot be read."""
    lines = (files("anygen.evaluation") / "edges.tsv").read_text(encoding="utf-8").splitlines()
    edges = []
    for number, line in enumerate(lines, start=1):
        try:
            kind, right, words = line.split("\t")
            edges.append(_read(kind, dict(re.findall(r"(\w+)=(.+?)(?=$| \w+=)", right)), words))
        except (KeyError, ValueError) as error:
            raise ValueError(f"edges.tsv, line {number}: {error}") from error
    return tuple(edges)


def _read(kind: str, right: dict[str, str], words: str) -> Edge:
    if kind not in KINDS:
        raise ValueError(f"found {kind!r}; expected one of {', '.join(KINDS)}")
    media = {"choice": tuple(right.pop("media", "").split("+")), OUTSIDE: ()}.get(kind, (kind,))
    thing = right.pop("thing", None) or right.pop("sound", "bell")
    scene = Scene(thing=thing, **defaults(thing))
    if "tone" in right:
        height, contour = right.pop("tone").split(" ", 1)
        scene = replace(scene, tone=Tone(height=height, contour=contour))
    numbers = {"count": int(right.pop("count"))} if "count" in right else {}
    return Edge(kind=kind, media=media, scene=replace(scene, **right, **numbers), words=words)


def ask_at_the_edge(speaker: Speaker, *, kinds: tuple[str, ...]) -> Turns:
    """One of the requests of these kinds, whose scene the speaker's split may hold, and the right reply."""
    fitting = [edge for edge in read_edges() if edge.kind in kinds and speaker.allows(edge.scene)]
    edge = speaker.rng.choice(fitting)
    question = DialogueTurn(role="user", parts=(DialoguePart(type="text", text=edge.words),))
    return question, show(*(medium(each, edge.scene) for each in edge.media)) if edge.media else answer(REFUSAL)
