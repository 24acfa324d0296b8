"""Dialogues in which the user changes over turns what was made: "now make it blue", "same at night", "as a film".

`edits` is a task of its own; `edit` draws one change, for `crossings.py` too, where the user's own medium is changed.
"""

from __future__ import annotations

import random
from dataclasses import replace

from anygen.nano.world.captions import has_place, with_article
from anygen.nano.world.requests import a_medium, asked_for, is_lone, motion_slots
from anygen.nano.world.scene import BACKGROUNDS, COLORS, MOTIONS, PLACES, SIZES, THINGS, Scene
from anygen.nano.world.turns import MEDIA, Speaker, Turns, Wordings, medium, show
from anygen.nano.world.words import BACKGROUND_WORDS, COLOR_WORDS, COUNT_WORDS, NOUNS, PLACE_WORDS

EDIT = {
    "color": Wordings(
        train=("[now|] make it {color}", "[now |and |the same |]in {color}[|, please]", "{color} instead",
               "change the [color|colour] to {color}",
               "[can|could] it be {color}?", "[paint|color|colour] it {color}",
               "turn it {color}", "i want it [in |]{color}", "the same, but {color}", "and in {color}?",
               "make the {noun} {color}",
               "it should be {color}", "rather {color}"),
        test=("what about {color}?", "let it be {color}", "give it a {color} [color|colour]",
              "i think {color} is better"),
        more=("what if it were {color}?", "how about {color}?", "how about the {noun} in {color}?", "now the {color} {noun}", "no, {color}",
              "[please |can you |could you ][make|paint|draw] it in {color}", "i would like it {color}", "i prefer {color}", "i like {color} more",
              "give me the {noun} in {color}", "{color} is [nicer|what i want|my favorite]", "with {color} this time", "only {color} now",
              "switch to {color}", "let me see it in {color}", "the {noun} should be {color}", "it has to be {color}", "use {color}",
              "recolor it {color}", "why not {color}?", "try {color}", "{color}!", "and now {color}", "not that [color|colour], {color}"),
    ),
    "background": Wordings(
        train=("[now |and |]the same {background}", "now {background}", "put it {background}", "and {background}?",
               "{background} instead",
               "{background}, please", "make it {background}", "show it {background}",
               "the same thing, but {background}",
               "the same, {background}", "how does it look {background}?"),
        test=("what about the same {background}?", "let it be {background}", "i want to have it {background}"),
        more=("what if it were {background}?", "how about {background}?", "no, {background}", "i would like it {background}",
              "[please |can you |could you ][draw|put|show] it {background}", "the {noun} {background}[, please|]", "i prefer it {background}",
              "let me see it {background}", "it should be {background}", "why not {background}?", "try it {background}", "once more {background}",
              "same {noun}, {background}", "i want the {noun} {background}", "the {noun} should be {background}", "now the {noun} {background}",
              "and now {background}", "change the background: {background}"),
    ),
    "size": Wordings(
        train=("[now |]make it {sized}", "{sized}[|, please]", "a bit {sized}", "[can|could] it be {sized}?",
               "the same, but {sized}",
               "it should be {sized}", "i want it {sized}", "{sized} please", "make the {noun} {sized}"),
        test=("let it be {sized}", "what about a {sized} one?", "i think {sized} is better"),
        more=("how about {sized}?", "a {sized} {noun}", "[please |can you |could you ][make|draw] it {sized}", "i prefer it {sized}", "no, {sized}",
              "i would like it {sized}", "{sized}!", "let me see it {sized}", "the {noun} should be {sized}", "and now {sized}", "why not {sized}?",
              "try {sized}", "much {sized}", "could the {noun} be {sized}?", "it has to be {sized}", "change the size: {sized}"),
    ),
    "place": Wordings(
        train=("[now |]move it {place}", "put it {place}", "place it {place}", "[now |and |]{place}[|, please]",
               "the same, but {place}",
               "it should be {place}", "i want it {place}", "shift it {place}", "move the {noun} {place}"),
        test=("what about {place}?", "let it stand {place}", "i want to have it {place}"),
        more=("how about {place}?", "[please |can you |could you ][put|move|draw] it {place}", "no, {place}", "i would like it {place}",
              "i prefer it {place}", "the {noun} {place}", "the {noun} should be {place}", "and now {place}", "why not {place}?",
              "let me see it {place}", "it belongs {place}", "it has to be {place}", "bring it {place}", "can it be {place}?", "slide it {place}",
              "once more, {place}", "change the place: {place}"),
    ),
    "thing": Wordings(
        train=("[now |]make it {thing}", "[now |and |]the same with {thing}", "now {thing}", "and {thing}?",
               "{thing} instead",
               "{thing} instead of the {noun}", "turn it into {thing}", "replace the {noun} with {thing}",
               "do {thing}"),
        test=("what about {thing}?", "let it be {thing}", "i think {thing} is better"),
        more=("how about {thing}?", "[please |can you |could you ][make|draw] it {thing}", "no, {thing}", "i would like {thing}", "i prefer {thing}",
              "now [draw|with] {thing}", "why not {thing}?", "try {thing}", "it should be {thing}", "not {noun}, {thing}",
              "rather {thing}", "with {thing} this time", "let me see {thing} like that", "change the {noun} into {thing}", "swap the {noun} for {thing}",
              "put {thing} there", "have {thing} there", "{thing} in its place", "and now {thing}"),
    ),
    "count": Wordings(
        train=("[now |]make it {number}", "[now |]{number} of them", "{number}, please", "i want {number} of them",
               "the same, but {number}",
               "draw {number} of them", "{number} instead of one", "and {number}?"),
        test=("what about {number} of them?", "let there be {number}", "not one, {number}"),
        more=("how about {number}?", "[please |can you |could you ]draw {number}", "no, {number}", "{number} would be [nice|better]", "i prefer {number}",
              "i would like {number}", "make {number} of it", "{number}!", "there should be {number}", "why not {number}?", "now {number}",
              "and now {number} of them", "give me {number}", "one is not enough, {number}"),
    ),
    "motion": Wordings(
        train=("[now |]make it {move}", "let it {move}", "[now |and |]{moving}[|, please]", "it should {move}",
               "the same, but {moving}",
               "i want it to {move}", "can it {move}?", "have it {move}", "make the {noun} {move}"),
        test=("what about {moving}?", "could it {move} now?", "i think it should be {moving}"),
        more=("how about {moving}?", "[please |can you |could you ][make|let] it {move}", "no, {moving}", "i would like it to {move}",
              "i prefer it {moving}", "the {noun} should {move}", "and now {moving}", "why not {moving}?", "let me see it {moving}",
              "could the {noun} {move}?", "it has to {move}", "a {noun} {moving}", "film it {moving}", "now it {moves}", "this time it {moves}",
              "change the motion: {moving}"),
    ),
    "image": Wordings(
        train=("[now |]draw it", "[now |and |]as {a_medium}", "make {a_medium} of it", "and {a_medium}?",
               "show it as {a_medium}",
               "give me {a_medium} of it", "[now |]{a_medium}, please"),
        test=("what about {a_medium}?", "i want to have {a_medium} of it", "the same as {a_medium}"),
        more=("how about {a_medium}?", "i would like {a_medium} of it", "[please |can you |could you ]make it {a_medium}", "turn it into {a_medium}",
              "now {a_medium}", "and now {a_medium} of it", "i prefer {a_medium}", "paint it", "draw that", "that as {a_medium}", "[also|and] draw it"),
    ),
    "video": Wordings(
        train=("[now |]film it", "[now |and |]as {a_medium}", "make {a_medium} of it", "and {a_medium}?",
               "show it as {a_medium}",
               "give me {a_medium} of it", "[now |]{a_medium}, please"),
        test=("what about {a_medium}?", "i want to have {a_medium} of it", "the same as {a_medium}"),
        more=("how about {a_medium}?", "i would like {a_medium} of it", "[please |can you |could you ]make it {a_medium}", "turn it into {a_medium}",
              "now {a_medium}", "and now {a_medium} of it", "i prefer {a_medium}", "animate it", "film that", "that as {a_medium}", "[also|and] film it"),
    ),
    "audio": Wordings(
        train=("[now |]let me hear it", "[now |and |]as {a_medium}", "make {a_medium} of it", "and {a_medium}?",
               "what does it sound like?",
               "[and |]how does it sound?", "play its sound", "[now |]its sound, please", "what sound does it make?",
               "and its sound?"),
        test=("what about {a_medium}?", "i want to hear it", "could you let it sound?"),
        more=("how about {a_medium}?", "i would like {a_medium} of it", "[please |can you |could you ]play it", "turn it into {a_medium}",
              "now {a_medium}", "and now {a_medium} of it", "let me listen to it", "play that", "that as {a_medium}", "[also|and] play it",
              "[can|may] i hear it?", "does it sound? play it"),
    ),
}  # fmt: skip
SIZED = {"small": ("smaller", "smaller", "small", "tiny", "little"), "large": ("larger", "bigger", "large", "big",
"huge")}


def edits(speaker: Speaker) -> Turns:
    """A request and one to three changes over turns: "now make it blue", "same at night", "as a film"."""
    modality = speaker.rng.choices(MEDIA, weights=(0.6, 0.3, 0.1))[0]
    scene = speaker.scene(modality, where=lambda scene: scene.tone is None)
    if modality == "audio":
        scene = speaker.plain(replace(scene, count=1, companion=None), said=())
    scene, words = asked_for(speaker, modality, scene)
    turns = [speaker.user(words), show(medium(modality, scene))]
    for _ in range(speaker.rng.choice((1, 1, 2, 3))):
        modality, scene, words = edit(speaker, modality, scene)
        turns += [speaker.user(words), show(medium(modality, scene))]
    return tuple(turns)


def edit(
    speaker: Speaker, modality: str, scene: Scene, *, kinds: tuple[str, ...] = tuple(EDIT)
) -> tuple[str, Scene, str]:
    """One change of a medium that is there already: the modality and scene after it, and the words that ask for it."""
    while True:
        kind = speaker.rng.choice([kind for kind in kinds if kind != modality])
        changed, slots = _change(speaker, kind, modality, scene)
        if changed is None or not speaker.allows(changed):
            continue
        noun = NOUNS[scene.thing][0][0] if scene.count == 1 else NOUNS[scene.thing][0][1]
        target = kind if kind in MEDIA else modality
        return target, changed, speaker.say(EDIT[kind], noun=noun, **slots)


def _change(speaker: Speaker, kind: str, modality: str, scene: Scene) -> tuple[Scene | None, dict[str, str]]:
    """The scene after a change of this kind and the slots of its wording; None where the kind does not apply."""
    rng, lone = speaker.rng, is_lone(scene)
    if kind in MEDIA:
        applies = {"image": True, "video": lone, "audio": scene.sounds}[kind]
        motion = "stays still" if kind == "video" else scene.motion
        place = scene.place if modality != "video" or has_place(scene, "video") else "center"
        changed = replace(scene, motion=motion, place=place)
        return (changed if applies else None), {"a_medium": a_medium(speaker, kind)}
    if modality == "audio" and kind != "thing":
        return None, {}
    if kind == "color":
        color = _another(rng, COLORS, scene.color)
        return replace(scene, color=color), {"color": rng.choice(COLOR_WORDS[color][:1] * 9 + COLOR_WORDS[color])}
    if kind == "background":
        background = _another(rng, BACKGROUNDS, scene.background)
        return replace(scene, background=background), {"background": rng.choice(BACKGROUND_WORDS[background])}
    if kind == "size":
        size = _another(rng, SIZES, scene.size)
        return replace(scene, size=size), {"sized": rng.choice(SIZED[size])}
    if kind == "place" and has_place(scene, modality):
        place = _another(rng, PLACES, scene.place)
        return replace(scene, place=place), {"place": rng.choice(PLACE_WORDS[place] + (f"to the {place}",))}
    if kind == "thing":
        thing = _another(rng, THINGS, scene.thing)
        changed = replace(scene, thing=thing)
        unclear = scene.companion is not None or scene.count > 1 or (modality == "audio" and not changed.sounds)
        return (None if unclear else changed), {"thing": with_article(NOUNS[thing][0][0])}
    if kind == "count" and lone and modality == "image":
        count = rng.choice((2, 3))
        return replace(scene, count=count, place="center"), {"number": rng.choice(COUNT_WORDS[count][:2])}
    if kind == "motion" and modality == "video":
        motion = _another(rng, MOTIONS, scene.motion)
        place = scene.place if has_place(scene, "video") else "center"
        return replace(scene, motion=motion, place=place), motion_slots(speaker, motion)
    return None, {}


def _another(rng: random.Random, values: tuple, value):
    return rng.choice([other for other in values if other != value])
