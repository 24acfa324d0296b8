"""Dialogues that turn the user's medium into another, change it, or compare two media.

Every function takes a `Speaker` and gives the turns of one dialogue. What a sound does not tell (colour, place, ...) is
at its default where the user does not name it.
"""

from __future__ import annotations

from dataclasses import replace

from anygen.nano.world.captions import has_place, with_article
from anygen.nano.world.edits import edit
from anygen.nano.world.requests import a_medium, is_lone, motion_slots, politely
from anygen.nano.world.scene import Scene
from anygen.nano.world.turns import DialogueTurn, Speaker, Turns, Wordings, answer, defaults, medium, show
from anygen.nano.world.words import BACKGROUND_WORDS, COLOR_WORDS, NOUNS, PLACE_WORDS

AS_SOUND = Wordings(
    train=("what [would|does|could] [this|that|it] sound like?", "how [does|would] [this|that|it] sound?",
           "let me hear [this|it|that]",
           "play [this|it|its sound|the sound of this]", "make {a_medium} of [this|it]",
           "[turn|make|change] [this|it] into {a_medium}",
           "what sound does [this|it] make?", "which noise does [this|it] make?", "[this|it|the same] as {a_medium}",
           "its sound, please",
           "[i want to|can i|may i] hear [this|it]", "what do i hear when i see this?", "make it sound",
           "give me {a_medium} of this",
           "{a_medium} [of|for] this", "make the sound of what you see", "sound this"),
    test=("could i listen to this?", "i would like to know how this sounds", "what is it like to hear this?",
          "let this sound"),
)  # fmt: skip
AS_PICTURE = Wordings(
    train=("draw what you hear", "draw [this|it|that]", "what does [this|it] look like?",
           "[show|draw] me what makes this [sound|noise]",
           "make {a_medium} of [this|it|what you hear|the sound]",
           "[turn|make|change] [this|it|the sound] into {a_medium}", "show me [this|it]",
           "{a_medium} of [this|what you hear]", "what [makes|made] this [sound|noise]? [draw|show] it",
           "[this|it] as {a_medium}",
           "paint what you hear", "let me see what [makes this sound|this is]", "give me {a_medium} [of|for] this",
           "what would this look like?"),
    test=("could i see what this is?", "draw for me what makes this noise", "how does this look?",
          "put what you hear into {a_medium}"),
)  # fmt: skip
SOUND_TO_FILM = Wordings(
    train=("film what you hear", "film [this|it|that]", "make {a_medium} of [this|it|what you hear|the sound]",
           "animate what you hear",
           "[turn|make|change] [this|it|the sound] into {a_medium}", "{a_medium} of [this|what you hear]",
           "[this|it] as {a_medium}",
           "give me {a_medium} [of|for] this", "film what makes this [sound|noise]",
           "show me {a_medium} of what you hear"),
    test=("could i have {a_medium} of what this is?", "film for me what makes this noise",
          "put what you hear into {a_medium}"),
)  # fmt: skip
PICTURE_TO_FILM = Wordings(
    train=("make {a_medium} of [this|it]", "film [this|it|that]",
           "[turn|make|change] [this|it|the picture] into {a_medium}",
           "{a_medium} of [this|it]", "[this|it|the same] as {a_medium}", "give me {a_medium} [of|from] this",
           "show [this|it] as {a_medium}",
           "what is this? make {a_medium} of it", "create {a_medium} from this [picture|image]"),
    test=("put this into {a_medium}", "could i have {a_medium} of this?", "i want to see this as {a_medium}"),
)  # fmt: skip
ANIMATE = Wordings(
    train=("animate [this|it]", "bring [this|it] to life", "make [this|it] move", "set [this|it] in motion",
           "let [this|it] move"),
    test=("can you animate this?", "i want to see it move", "let there be motion"),
)  # fmt: skip
ANIMATE_HOW = Wordings(
    train=("animate it, make it {move}", "make [this|it] {move}", "let [this|it] {move}", "film it {moving}",
           "animate it {moving}",
           "animate [this|it] so that it {moves}", "[this|it], but {moving}", "make {a_medium} of it {moving}",
           "i want [this|it] to {move}",
           "can it {move}?", "{moving}, please", "{a_medium} of this {moving}", "make {a_medium} in which it {moves}",
           "have it {move}"),
    test=("i want to see how it {moves}", "could you let this {move}?", "put it into {a_medium}, {moving}"),
)  # fmt: skip
STILL = Wordings(
    train=("[a still|a frame|a still image|one frame] [of|from] this", "draw [this|it|the thing|what you see]",
           "make {a_medium} of [this|it]",
           "[turn|make|change] [this|it|the film|the video] into {a_medium}", "{a_medium} of [this|it]",
           "[this|it|the same] as {a_medium}",
           "give me {a_medium} [of|from] this", "show [this|it] as {a_medium}", "what is this? draw it",
           "stop it and make {a_medium}"),
    test=("put this into {a_medium}", "could i have {a_medium} of this?", "i want one frame of this as {a_medium}"),
)  # fmt: skip
AGAIN = Wordings(
    train=("[draw|make|show|do] [this|it|the same] again", "again, please", "another one like this",
           "one more of this", "copy [this|it]",
           "make [the same|another one|a copy of this]", "repeat [this|it]", "the same once more",
           "something like this"),
    test=("could you do this once more?", "i want another one of this", "and the same again, please"),
)  # fmt: skip
SAME_THING = Wordings(
    train=("is [it|this] the same thing [in both|twice]?", "do both show the same thing?", "are these the same thing?",
           "same thing?",
           "is the thing the same?", "do they belong together?", "do these [fit|match]?",
           "is the second the same thing as the first?"),
    test=("would you say these are the same thing?", "one and the same thing, or two?",
          "compare the things in these two"),
)  # fmt: skip
SAME_COLOR = Wordings(
    train=("do they have the same [color|colour]?", "are both [of the same|the same] [color|colour]?",
           "same [color|colour]?",
           "is the [color|colour] the same?", "compare the [colors|colours]", "what about the [colors|colours]?"),
    test=("would you say the [colors|colours] are the same?", "one [color|colour] or two?",
          "do the [colors|colours] match?"),
)  # fmt: skip
DIFFERENCE = Wordings(
    train=("what is the difference?", "compare [these|them|these two|the two]", "how do they differ?",
           "what are these two?",
           "what is in each of them?", "describe both", "what's different?", "first and second: what are they?"),
    test=("can you compare the two for me?", "tell me how these two differ", "say what each of them is"),
)  # fmt: skip


def image_to_audio(speaker: Speaker) -> Turns:
    """A picture and "what would this sound like?" -> its sound; of a silent thing, that it makes none."""
    return _into_sound(speaker, "image")


def video_to_audio(speaker: Speaker) -> Turns:
    """A film and "let me hear it" -> its sound."""
    return _into_sound(speaker, "video")


def audio_to_image(speaker: Speaker) -> Turns:
    """A sound and "draw what you hear" -> the thing that makes it, with what the user says about its looks."""
    return _out_of_sound(speaker, "image")


def audio_to_video(speaker: Speaker) -> Turns:
    """A sound and "film what you hear" -> a film of the thing, moving as the user says."""
    return _out_of_sound(speaker, "video")


def image_to_video(speaker: Speaker) -> Turns:
    """A picture and "animate it, make it move left" -> a film; a film with no motion named stays still."""
    scene = speaker.scene("image", where=is_lone)
    kind = speaker.rng.choices((ANIMATE_HOW, ANIMATE, PICTURE_TO_FILM), weights=(0.6, 0.12, 0.28))[0]
    moved = scene if kind is ANIMATE_HOW else replace(scene, motion="stays still")
    if kind is ANIMATE:
        moves = [replace(scene, motion=motion) for motion in ("moves right", "bounces", "spins")]
        moved = next(filter(speaker.allows, moves), scene)
    if not speaker.allows(moved):
        return image_to_video(speaker)
    words = speaker.say(kind, a_medium=a_medium(speaker, "video"), **motion_slots(speaker, moved.motion))
    return speaker.user(words, medium("image", scene)), show(medium("video", moved))


def video_to_image(speaker: Speaker) -> Turns:
    """A film and "a still of this" -> a picture; a thing that travelled through the film is put in the center."""
    scene = speaker.scene("video")
    still = scene if has_place(scene, "video") else replace(scene, place="center")
    words = speaker.say(STILL, a_medium=a_medium(speaker, "image"))
    return speaker.user(words, medium("video", scene)), show(medium("image", still))


def change_medium(speaker: Speaker) -> Turns:
    """A picture or film and "make it blue", "the same at night" or "again" -> the same kind of medium, changed."""
    modality = speaker.rng.choices(("image", "video"), weights=(0.65, 0.35))[0]
    scene = speaker.scene(modality)
    shown = medium(modality, scene)
    if speaker.chance(0.12):
        return speaker.user(speaker.say(AGAIN), shown), show(shown)
    kinds = ("color", "background", "size", "place", "thing", "count", "motion")
    _, changed, words = edit(speaker, modality, scene, kinds=kinds)
    return speaker.user(words, shown), show(medium(modality, changed))


def compare(speaker: Speaker) -> Turns:
    """Two media: the same thing, the same colour, or what differs; yes and no are equally frequent."""
    first_kind = speaker.rng.choice(("image", "video", "audio"))
    second_kind = speaker.rng.choice(("image", "video") if first_kind == "audio" else ("image", "video", "audio"))
    first, same = speaker.scene(first_kind, where=_is_plain), speaker.chance(0.5)
    if speaker.chance(0.3) and "audio" not in (first_kind, second_kind):
        second = _second(speaker, second_kind, first, attribute="color", same=same)
        words, equal = speaker.say(SAME_COLOR), second.color == first.color
        found = f"The first is {first.color} and the second is {second.color}"
    else:
        if second_kind == "audio" and not first.sounds:
            same = False
        second = _second(speaker, second_kind, first, attribute="thing", same=same)
        words, equal = speaker.say(SAME_THING), second.thing == first.thing
        found = f"The first is {_a(first.thing)} and the second is {_a(second.thing)}"
        if speaker.chance(0.3):
            words, equal = speaker.say(DIFFERENCE), None
    judged = {True: ", so they are the same", False: ", so they are not the same", None: ""}[equal]
    return speaker.user(words, medium(first_kind, first), medium(second_kind, second)), answer(f"{found}{judged}.")


def _into_sound(speaker: Speaker, modality: str) -> Turns:
    wants_sound = not speaker.chance(0.15)
    scene = speaker.scene(modality, where=lambda scene: scene.sounds == wants_sound and scene.companion is None)
    words = speaker.say(AS_SOUND, a_medium=a_medium(speaker, "audio"))
    words = words if speaker.chance(0.6) else politely(speaker, words)
    question = speaker.user(words, medium(modality, scene))
    return question, (show(medium("audio", scene)) if scene.sounds else no_sound(scene.thing))


def no_sound(thing: str) -> DialogueTurn:
    """The reply where a silent thing is to be heard."""
    return answer(f"{_a(thing).capitalize()} makes no sound. I can draw it or film it.")


def _out_of_sound(speaker: Speaker, modality: str) -> Turns:
    scene = speaker.scene("audio", where=lambda scene: scene.tone is None or speaker.chance(0.2))
    kind = AS_PICTURE if modality == "image" else SOUND_TO_FILM
    words = speaker.say(kind, a_medium=a_medium(speaker, modality))
    heard = medium("audio", scene)
    if scene.tone:
        reply = f"I hear {heard.caption}. A tone has no looks, so there is nothing to see."
        return speaker.user(words, heard), answer(reply)
    scene = replace(scene, count=1, companion=None)
    said = {name for name in ("color", "background", "size", "place") if speaker.chance(0.2)}
    moving = modality == "video" and speaker.chance(0.5)
    shown = speaker.plain(replace(scene, motion=scene.motion if moving else "stays still"), said=said)
    if shown.motion != scene.motion and not speaker.allows(shown):
        return _out_of_sound(speaker, modality)
    if not _defaults_hold(shown, said):
        said = {"color", "background", "size", "place"}
    details = _details(speaker, shown, modality, said)
    if moving:
        details = f"{details}, {motion_slots(speaker, shown.motion)['moving']}"
    return speaker.user(f"{words.rstrip('?')}{details}", heard), show(medium(modality, shown))


def _defaults_hold(scene: Scene, said: set[str]) -> bool:
    """Whether everything unsaid is at its default, so that the words tell the whole scene."""
    return all(getattr(scene, name) == value for name, value in defaults(scene.thing).items() if name not in said)


def _second(speaker: Speaker, modality: str, first: Scene, *, attribute: str, same: bool) -> Scene:
    """A scene that has the attribute in common with the first, or not."""

    def fits(scene: Scene) -> bool:
        return _is_plain(scene) and (getattr(scene, attribute) == getattr(first, attribute)) == same

    return speaker.scene(modality, where=fits)


def _is_plain(scene: Scene) -> bool:
    return is_lone(scene) and scene.tone is None


def _details(speaker: Speaker, scene: Scene, modality: str, said: set[str]) -> str:
    """The looks that the user asks for behind "draw what you hear": " in blue, small, at night"."""
    rng, details = speaker.rng, []
    if "color" in said:
        words = COLOR_WORDS[scene.color]
        details.append(rng.choice(("in ", "in ", "")) + rng.choice(words[:1] * 9 + words))
    if "size" in said:
        details.append(scene.size)
    if "background" in said:
        details.append(rng.choice(BACKGROUND_WORDS[scene.background]))
    if "place" in said and has_place(scene, modality):
        details.append(rng.choice(PLACE_WORDS[scene.place]))
    return f"{rng.choice((' ', ', '))}{', '.join(details)}" if details else ""


def _a(thing: str) -> str:
    return with_article(NOUNS[thing][0][0])
