"""Scenes put into words: `caption` as a user might say it, `canonical_caption` as the assistant always says it.

A caption is lower-case words without a final stop: "a large red bell on grass in the center" (image), "a small blue car
moving left at night" (video), "the sound of a bell" (audio). Captions condition the generators' text encoders and fill
the dialogues; the words themselves stand in `words.py`.

A film of a travelling motion has no place (the thing crosses the picture), and a sound has neither colour nor place.
"""

from __future__ import annotations

import random
from collections.abc import Collection

from anygen.nano.world.scene import Scene, Tone
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
    SIZE_WORDS,
    SOUND_WORDS,
)

TRAVELLING_MOTIONS = ("moves left", "moves right", "moves up", "moves down", "bounces")
"""Motions that carry the thing through the picture, so that a film with them has no place."""

SAYABLE = ("color", "size", "place", "background")
"""Attributes that words may leave out; thing, count, companion, motion and tone are always said."""

SAID_OFTEN = {"size": 0.75, "place": 0.75, "background": 0.85}
"""How often `caption` names each attribute that it may leave out."""


def canonical_caption(scene: Scene, modality: str) -> str:
    """The one fixed wording of a scene, with every attribute that shows in an image, video or audio.

    Raises ValueError for another modality, and for the sound of a thing that makes none.
    """
    _check_sayable(scene, modality)
    if modality == "audio":
        return _canonical_tone(scene.tone) if scene.tone else f"the sound of {_sound_noun(scene.thing)}"
    words = [_canonical_subject(scene)]
    if modality == "video":
        words.append(MOTION_WORDS[scene.motion][0])
    words.append(BACKGROUND_WORDS[scene.background][0])
    if has_place(scene, modality):
        words.append(PLACE_WORDS[scene.place][0])
    return " ".join(words)


def caption(scene: Scene, modality: str, rng: random.Random, *, said: Collection[str] | None = None) -> str:
    """One of many wordings of a scene.

    `said` lists which of `SAYABLE` are named; without it the colour always is, and size, place and background mostly.
    Raises ValueError as `canonical_caption` does.
    """
    _check_sayable(scene, modality)
    if modality == "audio":
        return _say_tone(scene.tone, rng) if scene.tone else _say_sound(scene.thing, rng)
    if said is None:
        said = {"color"} | {name for name, often in SAID_OFTEN.items() if rng.random() < often}
    subject = _say_subject(scene, rng, said)
    if modality == "video":
        subject = f"{subject} {_say_motion(scene, rng)}"
    background = choose(BACKGROUND_WORDS[scene.background], rng) if "background" in said else ""
    place = choose(PLACE_WORDS[scene.place], rng) if "place" in said and has_place(scene, modality) else ""
    return _arrange(subject, background, place, rng)


def has_place(scene: Scene, modality: str) -> bool:
    """Whether the scene's place shows: a lone thing in a picture, or in a film whose motion does not travel."""
    lone = scene.count == 1 and scene.companion is None
    return lone and not (modality == "video" and scene.motion in TRAVELLING_MOTIONS)


def choose(words: tuple[str, ...], rng: random.Random) -> str:
    """The canonical word half of the time, else any of the row."""
    return words[0] if rng.random() < 0.5 else rng.choice(words)


def with_article(words: str) -> str:
    """`words` behind "a" or "an"."""
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _check_sayable(scene: Scene, modality: str) -> None:
    if modality not in ("image", "video", "audio"):
        raise ValueError(f"modality={modality!r}: a caption is for one of image, video, audio")
    if modality == "audio" and not scene.sounds:
        raise ValueError(f"a {scene.thing} makes no sound; caption an audio only where scene.sounds is true")


def _canonical_subject(scene: Scene) -> str:
    singular, plural = NOUNS[scene.thing][0]
    if scene.count > 1:
        return f"{COUNT_WORDS[scene.count][0]} {scene.size} {scene.color} {plural}"
    subject = with_article(f"{scene.size} {scene.color} {singular}")
    if scene.companion is None:
        return subject
    other = with_article(f"{scene.companion.color} {NOUNS[scene.companion.thing][0][0]}")
    return f"{subject} {scene.companion.relation} {other}"


def _say_subject(scene: Scene, rng: random.Random, said: Collection[str]) -> str:
    singular, plural = NOUNS[scene.thing][0] if rng.random() < 0.7 else rng.choice(NOUNS[scene.thing])
    color = _mostly_plain(COLOR_WORDS[scene.color], rng) if "color" in said else ""
    size = choose(SIZE_WORDS[scene.size], rng) if "size" in said else ""
    noun = singular if scene.count == 1 else plural
    order = rng.random()
    if size and color and order < 0.06:
        noun = rng.choice((f"{color} {size} {noun}", f"{size}, {color} {noun}"))
    elif color and scene.companion is None and order < 0.14:
        noun = f"{size} {noun} in {color}".strip()
    else:
        noun = " ".join(filter(None, (size, color, noun)))
    subject = _counted(noun, scene.count, rng)
    if scene.companion is None:
        return subject
    other = scene.companion
    other_noun = NOUNS[other.thing][0][0] if rng.random() < 0.8 else rng.choice(NOUNS[other.thing])[0]
    other_words = with_article(f"{_mostly_plain(COLOR_WORDS[other.color], rng)} {other_noun}")
    return f"{subject} {choose(RELATION_WORDS[other.relation], rng)} {other_words}"


def _mostly_plain(words: tuple[str, ...], rng: random.Random) -> str:
    return words[0] if rng.random() < 0.9 else rng.choice(words)


def _counted(noun: str, count: int, rng: random.Random) -> str:
    if count > 1:
        return f"{choose(COUNT_WORDS[count], rng)} {noun}"
    if rng.random() < 0.75:
        return with_article(noun)
    determiner = rng.choice(COUNT_WORDS[1][1:] + ("",))
    return f"{determiner} {noun}".strip()


def _say_motion(scene: Scene, rng: random.Random) -> str:
    participle = choose(MOTION_WORDS[scene.motion], rng)
    if scene.count > 1 or scene.companion is not None:
        return participle
    form = rng.random()
    if form < 0.6:
        return participle
    if form < 0.8:
        return rng.choice((f"that is {participle}", f"which is {participle}", f"is {participle}"))
    return rng.choice((scene.motion, f"that {scene.motion}", f"which {scene.motion}"))


def _arrange(subject: str, background: str, place: str, rng: random.Random) -> str:
    order = rng.random()
    if background and order < 0.1:
        return f"{background}, {subject} {place}".strip()
    if place and order < 0.18:
        return f"{place}, {subject} {background}".strip()
    first, second = (background, place) if order < 0.65 else (place, background)
    joint = ", " if first and second and rng.random() < 0.1 else " "
    return f"{subject} {joint.join(filter(None, (first, second)))}".strip()


def _sound_noun(thing: str) -> str:
    return "rain" if thing == "rain" else with_article(NOUNS[thing][0][0])


def _say_sound(thing: str, rng: random.Random) -> str:
    if rng.random() < 0.45:
        return choose(SOUND_WORDS[thing], rng)
    noun = NOUNS[thing][0][0] if rng.random() < 0.7 else rng.choice(NOUNS[thing])[0]
    if thing == "rain":
        noun = "rain"
    a_noun = noun if thing == "rain" else with_article(noun)
    frame = rng.random()
    if frame < 0.5:
        return f"the sound of {a_noun}"
    return rng.choice((
        f"a sound of {a_noun}", f"sound of {a_noun}", f"the noise of {a_noun}", f"the sound {a_noun} makes",
        f"the noise {a_noun} makes", f"{with_article(noun)} sound", f"{noun} sound", f"{noun} noise",
        f"{a_noun} making its sound",
    ))  # fmt: skip


def _canonical_tone(tone: Tone) -> str:
    if tone.contour.endswith("beeps"):
        return f"{tone.contour} at {with_article(tone.height)} pitch"
    return f"{with_article(tone.height)} {tone.contour} tone"


def _say_tone(tone: Tone, rng: random.Random) -> str:
    height = choose(HEIGHT_WORDS[tone.height], rng)
    contour = choose(CONTOUR_WORDS[tone.contour], rng)
    plain = tone.height if rng.random() < 0.7 else HEIGHT_WORDS[tone.height][1]
    if tone.contour.endswith("beeps"):
        beeps = contour if contour[:4] != "beep" else f"a tone {contour}"
        return rng.choice((
            f"{beeps} at {with_article(plain)} pitch", f"{height} {tone.contour}", f"{plain} pitched {tone.contour}",
            f"{tone.contour}, {height}", f"{beeps} with {with_article(plain)} pitch",
        ))  # fmt: skip
    thing = rng.choice(("tone", "tone", "tone", "note", "sound"))
    return rng.choice((
        with_article(f"{height} {contour} {thing}"),
        with_article(f"{height} {contour} {thing}"),
        with_article(f"{contour} {height} {thing}"),
        f"{height} {contour} {thing}",
        with_article(f"{contour} {thing} at {with_article(plain)} pitch"),
        f"the sound of {with_article(f'{height} {contour} tone')}",
    ))
