"""Short phrases for each attribute of a scene: what nano's encoder is contrasted with, beside whole captions.

A whole caption tells apart only what differs within a batch; a phrase a value ("a bell", "red", "on grass", "moving left")
makes every attribute count in every step. A family is one attribute: value -> its wordings, the canonical one first.
"""

from __future__ import annotations

from anygen.nano.world.captions import has_place, with_article
from anygen.nano.world.scene import COLORS, SOUNDING_THINGS, THINGS, Scene
from anygen.nano.world.words import (
    BACKGROUND_WORDS,
    COLOR_WORDS,
    CONTOUR_WORDS,
    HEIGHT_WORDS,
    MOTION_WORDS,
    NOUNS,
    PLACE_WORDS,
    RELATION_WORDS,
    SIZE_WORDS,
    SOUND_WORDS,
)

FAMILIES_OF: dict[str, tuple[str, ...]] = {
    "image": ("thing", "color", "size", "place", "background", "count", "relation", "companion", "companion color"),
    "video": ("thing", "color", "size", "place", "background", "motion"),
    "audio": ("thing", "sound", "height", "contour"),
}
"""Which attributes show in a medium."""


def phrase_families() -> dict[str, dict[object, tuple[str, ...]]]:
    """family -> value -> wordings."""
    nouns = {thing: tuple(with_article(singular) for singular, _ in NOUNS[thing]) for thing in THINGS}
    sounds = {thing: (f"the sound of {nouns[thing][0]}", *SOUND_WORDS[thing]) for thing in SOUNDING_THINGS}
    contours = {
        contour: words if contour.endswith("beeps") else tuple(f"{with_article(word)} tone" for word in words)
        for contour, words in CONTOUR_WORDS.items()
    }
    return {
        "thing": nouns,
        "color": COLOR_WORDS,
        "size": SIZE_WORDS,
        "place": PLACE_WORDS,
        "background": BACKGROUND_WORDS,
        "count": {1: ("one thing",), 2: ("two things", "a pair of things"), 3: ("three things", "a trio of things")},
        "relation": RELATION_WORDS,
        "companion": {thing: (f"next to {nouns[thing][0]}",) for thing in THINGS},
        "companion color": {color: (f"next to something {color}",) for color in COLORS},
        "motion": MOTION_WORDS,
        "sound": sounds | {"tone": ("a tone", "a plain tone")},
        "height": {height: tuple(f"{with_article(word)} tone" for word in words) for height, words in HEIGHT_WORDS.items()},
        "contour": contours,
    }


def attribute(scene: Scene, modality: str, family: str) -> object | None:
    """The scene's value in a family; None where it has none, or where it does not show in that medium."""
    if modality == "audio":
        return {
            "thing": None if scene.tone else scene.thing,
            "sound": "tone" if scene.tone else scene.thing,
            "height": scene.tone and scene.tone.height,
            "contour": scene.tone and scene.tone.contour,
        }[family]
    if family == "place":
        return scene.place if has_place(scene, modality) else None
    if family in ("relation", "companion", "companion color"):
        beside = scene.companion
        return beside and {"relation": beside.relation, "companion": beside.thing, "companion color": beside.color}[family]
    return getattr(scene, family)
