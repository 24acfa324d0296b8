"""Which of the world's names a text says: nano's answers in, attribute -> values out.

"This is a small blue car moving left at night." -> thing {car}, color {blue}, motion {moves left}, background {night}.
The phrases are those of `nano/world/words.py`, synonyms included. An answer is right about an attribute when it names
the true value and no other, so that listing everything scores nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache

from anygen.nano.world.scene import MOTIONS, PLACES, SOUNDING_THINGS, THINGS
from anygen.nano.world.words import (
    BACKGROUND_WORDS,
    COLOR_WORDS,
    CONTOUR_WORDS,
    COUNT_WORDS,
    HEIGHT_WORDS,
    MOTION_WORDS,
    NOUNS,
    PLACE_WORDS,
    RELATION_WORDS,
    SOUND_WORDS,
)

Named = dict[str, frozenset]

READING_ORDER = ("relation", "motion", "background", "place", "color", "thing", "count")
"""What is found is taken out of the text before the next attribute is looked for: "on white paper" names no colour."""


def named(text: str) -> Named:
    """Attribute -> the set of values that `text` names (empty where it names none).

    Attributes: those of `READING_ORDER`; `sound` (a sounding thing, or "tone"); `height` and `contour` of a tone.
    """
    text = " ".join(text.lower().replace("colour", "color").split())
    found = {attribute: _find(attribute, text)[0] for attribute in ("sound", "height", "contour")}
    if not found["sound"] and found["height"] and found["contour"]:
        found["sound"] = frozenset({"tone"})  # "a high rising sound"
    rest = text
    for attribute in READING_ORDER:
        found[attribute], rest = _find(attribute, rest)
    return found


def says(text: str, attribute: str, value: str | int) -> bool:
    """Whether `text` names `value`, and nothing else, for `attribute`."""
    return named(text).get(attribute, frozenset()) == {value}


def _find(attribute: str, text: str) -> tuple[frozenset, str]:
    """The values named in `text`, and the text without them."""
    values, pattern = _phrases(attribute)
    return frozenset(values[match.group()] for match in pattern.finditer(text)), pattern.sub("|", text)


@lru_cache(maxsize=None)
def _phrases(attribute: str) -> tuple[dict[str, str | int], re.Pattern]:
    """Phrase -> value of an attribute, and the pattern that finds the longest phrase first, at word boundaries."""
    nouns = {thing: (thing, *(form for forms in NOUNS[thing] for form in forms)) for thing in THINGS}
    table = {
        "relation": RELATION_WORDS,
        "motion": {motion: (*_finite_forms(motion), *MOTION_WORDS[motion]) for motion in MOTIONS},
        "background": {
            name: (*words, f"background is {name}", f"background is the {name}")
            for name, words in BACKGROUND_WORDS.items()
        },
        "place": {place: (*PLACE_WORDS[place], f"place is {place}") for place in PLACES},
        "color": COLOR_WORDS,
        "thing": nouns,
        "count": COUNT_WORDS | {1: ("one", "a single", "only one")},
        "sound": {thing: (*SOUND_WORDS[thing], *nouns[thing]) for thing in SOUNDING_THINGS}
        | {"tone": ("tone", "tones", "note", "pitch", "beep", "beeps", "beeping", "pitched")},
        "height": HEIGHT_WORDS,
        "contour": CONTOUR_WORDS,
    }[attribute]
    values = {phrase.lower().replace("colour", "color"): value for value, row in table.items() for phrase in row}
    longest_first = sorted(values, key=len, reverse=True)
    return values, re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest_first)) + r")(?!\w)")


def _finite_forms(motion: str) -> tuple[str, ...]:
    """ "moves left" -> moves left, moves to the left, move left; "grows" -> grows, grow."""
    verb, _, direction = motion.partition(" ")
    if direction in ("left", "right"):
        return motion, f"{verb} to the {direction}", f"{verb[:-1]} {direction}"
    return motion, f"{verb[:-1]} {direction}".strip()
