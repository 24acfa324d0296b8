"""How the cells of the matrix ask for what the world's grammar has no task of its own for.

Every function takes a `Speaker` and gives the turns of one dialogue, as those of `anygen/nano/world` do.
"""

from __future__ import annotations

import re
from dataclasses import replace

from anygen.nano.world import requests, several
from anygen.nano.world.captions import SAYABLE, caption
from anygen.nano.world.edits import edit
from anygen.nano.world.scene import sample_tone
from anygen.nano.world.turns import MEDIA, Speaker, Turns, Wordings, medium, show


def ask_in_words(speaker: Speaker, modality: str) -> Turns:
    """One medium from words that say all of a lone scene: a bare caption, or one within a request."""
    scene = speaker.scene("video" if modality == "image" else modality)
    if modality == "audio" and speaker.chance(0.5):
        scene = replace(scene, tone=sample_tone(speaker.rng))
    x = caption(scene, modality, speaker.rng, said=SAYABLE)
    form = speaker.rng.choice(("bare", "verb", "noun"))
    words = x if form == "bare" else _in_a_request(speaker, modality, x, requests.NOUN if form == "noun" else None)
    return speaker.user(words), show(medium(modality, scene))


def ask_for_several(speaker: Speaker) -> Turns:
    """A picture of two or three equal things, all said."""
    scene = speaker.scene("image", where=lambda scene: scene.count > 1)
    x = caption(scene, "image", speaker.rng, said=SAYABLE)
    return speaker.user(_in_a_request(speaker, "image", x)), show(medium("image", scene))


def name_the_media(speaker: Speaker) -> Turns:
    """A request that names one medium ("a film of ...") or several ("draw and film ..."); the choice is the reply's."""
    if speaker.chance(0.4):
        return several.several_media(speaker)
    modality = speaker.rng.choice(MEDIA)
    scene = speaker.scene("video" if modality == "image" else modality)
    x = caption(scene, modality, speaker.rng)
    while True:
        words = _in_a_request(speaker, modality, x, speaker.rng.choice((None, requests.NOUN)))
        if _names(words.replace(x, ""), modality):
            return speaker.user(words), show(medium(modality, scene))


def imply_the_media(speaker: Speaker) -> Turns:
    """A request for one medium that does not name it: "film a red bell", "how does a bell sound?", "a red bell on grass"."""
    while True:
        asked = requests.bare_caption(speaker) if speaker.chance(0.3) else requests.request(speaker, speaker.rng.choice(MEDIA))
        if not any(_names(asked[0].text.lower(), modality) for modality in MEDIA):
            return asked


def edit_what_was_made(speaker: Speaker, modality: str, kinds: tuple[str, ...]) -> Turns:
    """A request that says all of a lone scene, and "now make it blue" or the like, which changes one of `kinds`."""
    scene = speaker.scene("video")
    question = speaker.user(_in_a_request(speaker, modality, caption(scene, modality, speaker.rng, said=SAYABLE)))
    _, changed, words = edit(speaker, modality, scene, kinds=kinds)
    return question, show(medium(modality, scene)), speaker.user(words), show(medium(modality, changed))


def _in_a_request(speaker: Speaker, modality: str, x: str, wordings: Wordings | None = None) -> str:
    noun = speaker.rng.choice(requests.MEDIUM_NOUNS[modality])
    slots = {"a_medium": requests.a_medium(speaker, modality), "medium": noun}
    if wordings is not None:
        return speaker.say(wordings, x=x, **slots)
    return requests.politely(speaker, speaker.say(requests.VERB[modality], x=x, **slots))


def _names(words: str, modality: str) -> bool:
    return any(re.search(rf"\b{re.escape(noun)}\b", words) for noun in requests.MEDIUM_NOUNS[modality])
