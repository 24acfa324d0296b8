"""Other words for what the world holds, said by the user in training alone, so that words nobody listed are understood.

The grammar's own words are in `words.py`; what is evaluated is asked for in those. The edges (`anygen/evaluation/edges.tsv`) were
written before this file and apart from it; about one in eight of their requests has a phrase that stands here too.
"""

from __future__ import annotations

import random
import re

OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "bell": ("handbell", "jingle bell", "doorbell"), "drum": ("snare drum", "bongo drum", "kettledrum"),
    "clock": ("wall clock", "timepiece", "clock with hands"), "car": ("motorcar", "motor car", "sedan", "vehicle", "passenger car"),
    "train": ("steam train", "railroad train", "choo-choo train"), "bird": ("songbird", "birdy", "feathered bird"),
    "cat": ("pussycat", "tomcat", "kitty cat", "feline", "tabby"), "dog": ("pooch", "doggie", "pup", "mutt", "hound dog"),
    "bee": ("bumble bee", "honey bee", "buzzy bee"), "rain cloud": ("shower cloud", "cloud with rain", "cloud that rains"),
    "boat": ("sailing boat", "sailing ship", "vessel", "fishing boat"), "ambulance": ("emergency ambulance", "rescue ambulance"),
    "phone": ("mobile phone", "cellphone", "cell phone", "handset"), "piano": ("upright piano", "concert piano", "pianoforte"),
    "rocket": ("space rocket", "rocketship", "moon rocket"), "heart": ("love heart", "heart shape", "heart symbol"),
    "house": ("farmhouse", "family house", "bungalow", "country house"), "tree": ("leafy tree", "oak tree", "oak"),
    "flower": ("bloom", "daisy", "wildflower"), "fish": ("trout", "river fish", "finned fish"), "apple": ("ripe apple", "juicy apple"),
    "ball": ("toy ball", "bouncy ball", "rubber ball"), "circle": ("round shape", "filled circle"), "square": ("square shape",),
    "triangle": ("triangular shape", "triangle shape"), "star": ("five-pointed star", "star shape"),
    "diamond": ("diamond shape", "lozenge"), "cross": ("cross shape", "plus shape", "plus"), "crescent": ("sickle shape", "crescent form"),
    "red": ("ruby", "bright red", "cherry red", "blood red"), "orange": ("tangerine", "bright orange"),
    "yellow": ("sunny yellow", "bright yellow", "gold-colored"), "green": ("bright green", "dark green", "leaf green"),
    "blue": ("dark blue", "light blue", "azure", "royal blue"), "purple": ("mauve", "lilac", "deep purple"),
    "pink": ("rosy", "hot pink", "light pink"), "brown": ("dark brown", "light brown", "hazel"),
    "white": ("snowy", "pure white", "plain white"), "black": ("pitch black", "coal black", "ebony"),
    "small": ("wee", "mini", "miniature", "itty-bitty", "smallish"), "large": ("enormous", "massive", "gigantic", "jumbo", "great big"),
    "big": ("enormous", "massive", "gigantic", "great big"),
    "on grass": ("in the grass", "over grass", "on turf", "on grassy ground"), "on a meadow": ("on grassy ground", "in the grass"),
    "in the sky": ("up in the sky", "high in the sky", "in the blue sky", "in the air", "against a blue sky"),
    "at night": ("in the dark", "after dark", "at midnight", "in the middle of the night", "on a dark night", "under the stars"),
    "on white": ("with a white background", "with white behind it", "over white", "white background"),
    "on black": ("with a black background", "with black behind it", "over black", "black background"),
    "on gray": ("with a gray background", "with grey behind it", "over grey", "grey background"),
    "on the left": ("at left", "in the left half", "at the left edge", "off to the left", "left-hand side"),
    "on the right": ("at right", "in the right half", "at the right edge", "off to the right", "right-hand side"),
    "at the top": ("up top", "high up", "at the upper edge", "in the upper half", "at the very top"),
    "at the bottom": ("down low", "at the lower edge", "in the lower half", "at the very bottom", "low down"),
    "in the center": ("dead center", "centered", "in the very middle"), "in the middle": ("dead center", "centered", "in the very middle"),
    "moving left": ("heading left", "flying left", "drifting left", "that goes left", "leftwards", "from right to left", "leaving to the left"),
    "moving right": ("heading right", "flying right", "drifting right", "that goes right", "rightwards", "from left to right",
                     "leaving to the right"),
    "moving up": ("heading up", "flying up", "ascending", "that goes up", "rising", "from bottom to top", "climbing"),
    "moving down": ("heading down", "sinking", "descending", "that goes down", "dropping", "from top to bottom", "falling"),
    "moves left": ("goes left", "travels left", "heads left", "runs to the left", "drifts to the left"),
    "moves right": ("goes right", "travels right", "heads right", "runs to the right", "drifts to the right"),
    "moves up": ("goes up", "rises", "ascends", "climbs", "floats up"), "moves down": ("goes down", "sinks", "descends", "drops", "falls"),
    "growing": ("expanding", "swelling", "that gets bigger", "inflating", "enlarging"), "grows": ("expands", "swells", "gets larger", "inflates"),
    "shrinking": ("contracting", "that gets smaller", "diminishing", "deflating"), "shrinks": ("contracts", "gets smaller", "dwindles"),
    "spinning": ("whirling", "twirling", "turning", "that turns round", "revolving"), "spins": ("whirls", "twirls", "rotates", "turns round"),
    "blinking": ("twinkling", "winking", "that goes on and off", "appearing and vanishing"), "blinks": ("twinkles", "flickers", "goes on and off"),
    "bouncing": ("leaping", "that hops", "jumping", "springing"), "bounces": ("hops", "leaps", "jumps", "springs up and down"),
    "staying still": ("motionless", "unmoving", "that does not move", "at rest", "frozen"), "stays still": ("does not move", "stands", "rests"),
    "rising tone": ("tone that goes up", "tone going up", "note that rises", "tone getting higher", "tone that slides up", "upward tone"),
    "falling tone": ("tone that goes down", "tone going down", "note that falls", "tone getting lower", "tone that slides down", "downward tone"),
    "steady tone": ("tone that stays the same", "tone that does not change", "tone on one pitch", "flat tone", "level note", "held tone"),
    "warbling tone": ("tone that wobbles", "tone with vibrato", "tone that shakes", "vibrating tone", "quavering note", "fluctuating tone"),
    "slow beeps": ("a slow series of beeps", "unhurried beeps", "beeps, one at a time", "lazy beeps", "beeps with long pauses"),
    "fast beeps": ("hurried beeps", "beeps in quick succession", "a quick series of beeps", "speedy beeps", "frantic beeps"),
    "low": ("bass", "dark"), "high": ("treble", "bright", "piercing", "squeaky"),
    "rising": ("upward", "soaring", "ever higher"), "falling": ("downward", "dropping", "ever lower"),
    "steady": ("flat", "level", "unvarying", "sustained"), "warbling": ("shaky", "vibrating", "quavering", "oscillating"),
}  # fmt: skip
"""A phrase of the grammar -> others for it."""

_KEYS = re.compile(rf"\b({'|'.join(sorted(map(re.escape, OTHER_WORDS), key=len, reverse=True))})\b(?![-']| paper| background)")


def reworded(words: str, rng: random.Random) -> str:
    """About half of the phrases that have other words said in one of these."""

    def other(match: re.Match) -> str:
        return rng.choice(OTHER_WORDS[match.group()]) if rng.random() < 0.5 else match.group()

    words = _KEYS.sub(other, words)
    return re.sub(r"\ban (?=[^aeiou\W])", "a ", re.sub(r"\ba (?=[aeiou])", "an ", words))
