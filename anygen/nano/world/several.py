"""Requests for several media at once: "a red bell as a picture and as a sound", "draw it, film it and play its sound".

As in `requests.py`, whose forms of politeness and names of media they share.
"""

from __future__ import annotations

from dataclasses import replace

from anygen.nano.world.captions import caption, has_place
from anygen.nano.world.requests import MEDIUM_NOUNS, a_medium, is_lone, politely, say_some
from anygen.nano.world.turns import MEDIA, Speaker, Turns, Wordings, medium, show

SEVERAL = Wordings(
    train=("{x} as {list}", "{list} of {x}", "[make|create|give me|show me|generate|produce] {list} of {x}",
           "{x}[:|,] {list}",
           "[show|give] me {x} as {list}", "i [want|need|would like] {list} of {x}", "{x} ({list})",
           "i'd like {list} of {x}",
           "make {x} as {list}", "{list}: {x}", "[turn|make] {x} into {list}", "{x}, and i want {list} of it", "{list}, {x}",
           "[please make|could you make|can you give me] {list} of {x}", "i am looking for {list} of {x}", "{x} in {list}",
           "my wish is {list} of {x}", "send me {list} of {x}", "{list} showing {x}", "prepare {list} of {x}",
           "what about {list} of {x}?", "of {x} [make|give me] {list}", "{x}: [make|give me] {list}", "can i get {list} of {x}?",
           "all of these of {x}: {list}", "i would love {list} of {x}", "[please|now] {list} of {x}"),
    test=("let me have {list} of {x}", "{list} is what i want, of {x}", "for me {x} in the form of {list}",
          "{x}. i need {list}"),
    more=("i [ask|wish|hope] for {list} of {x}", "{list}, all of {x}", "{list} about {x}", "{list} that show {x}", "of {x}, {list}",
          "here is my order: {list} of {x}", "{x}. [give me|make|send|i'd like|then] {list}", "{x}. {list}", "{x}! {list}",
          "get me {list} of {x}", "put together {list} of {x}", "there should be {list} of {x}", "we need {list} of {x}",
          "{list}, of {x}, would be nice", "{list} of {x} would be [nice|great|lovely]", "{x} would be nice as {list}",
          "[may|could] i [have|see|get] {list} of {x}?", "the same {x} as {list}", "answer with {list} of {x}", "reply in {list}: {x}",
          "{x} - {list}", "{list} - {x}", "i'll take {list} of {x}", "let there be {list} of {x}", "can {x} be {list}?",
          "{list} are missing, of {x}", "i am after {list} of {x}", "{x}: i want {list}", "{x}: now {list}",
          "use {list} to show {x}", "come up with {list} of {x}", "{x}. make it {list}", "{x}, please make {list}",
          "bring me {list} of {x}", "we want {x} as {list}", "{list}! of {x}", "these of {x}: {list}", "{x} by way of {list}",
          "{list}, please, of {x}", "{list}, and of {x}", "{x} turned into {list}", "{x} made into {list}",
          "{a} of {x} and {rest}", "{a} of {x} and {rest} of it", "{a} of {x} and also {rest}", "{a} of {x}, and {rest}[, too|]",
          "{a} of {x}. and {rest}[ too|]", "not only {a} of {x} but {rest}", "{a} of {x} with {rest}", "{a} of {x} plus {rest}",
          "make {a} of {x}, then {rest}", "first {a} of {x}, then {rest}", "give me {a} and {rest}, all of {x}",
          "{a} and {rest}: {x}", "{a} of {x}, {rest} of it"),
)  # fmt: skip
SEVERAL_VERBS = {
    ("image", "video"): Wordings(
        train=("draw {x} and film it", "[draw|paint] {x} and animate it", "draw and film {x}", "draw {x}, then film it",
               "show me {x}, still and moving", "draw {x} and make {a_video} of it[| too]", "film {x} and draw it",
               "{x}, drawn and filmed", "paint {x} and film it as well", "sketch {x} and let it move in {a_video}",
               "first draw {x}, then animate it", "animate {x} and paint it[| too]", "a still and a moving {x}",
               "[paint|sketch] {x}, and [film|animate] it too", "{x}: [draw|paint] it and [film|animate] it",
               "{a_picture} and {a_video} of {x}", "let me see {x} in {a_picture} and in {a_video}"),
        test=("both draw and film {x}", "film and draw {x}", "draw {x} and then make a film of it"),
        more=("{x}, once still and once moving", "{x} at rest and in motion", "{x}: once painted, once animated", "let me look at {x}, then watch it",
              "show {x} in {a_picture} and [also|then] in {a_video}", "{x}, frozen and alive", "{a_picture} that becomes {a_video}: {x}",
              "{x} on paper and on screen", "for {x}, {a_picture} [and|plus] {a_video}", "{x} unmoving and moving"),
    ),
    ("image", "audio"): Wordings(
        train=("draw {x} and let me hear it", "draw {x} and play its sound",
               "[show me|let me see] {x} and [play|let me hear] its sound",
               "[show|draw] {x} and make its sound[| too]", "{x} to see and to hear", "let me see and hear {x}",
               "draw {x} with sound",
               "draw {x} and tell me how it sounds", "play the sound of {x} and draw it",
               "{a_picture} of {x} with its sound", "{x}, drawn and heard", "paint {x} and make it sound",
               "first draw {x}, then play its sound", "play {x} and paint it[| too]", "show {x} and how it sounds",
               "{x}: [draw|paint|show] it and [play it|let me hear it]", "{a_picture} of {x} and how it sounds",
               "how does {x} look, and how does it sound?", "[sketch|paint] {x} and play it"),
        test=("draw {x} and let it sound", "i want to see and to hear {x}", "what does {x} look and sound like?"),
        more=("{x}: let me see it and hear it", "let me look at {x} and listen to it", "{x} for the eyes and for the ears", "{a_picture} of {x} and its [noise|voice]",
              "{x} on paper and in the ear", "may i look at {x} and hear it?", "draw {x}, and do not forget its sound", "{a_picture} with sound: {x}",
              "{x}, and what it sounds like", "show me {x}, loud and clear"),
    ),
    ("video", "audio"): Wordings(
        train=("film {x} with sound", "film {x} and play its sound", "{a_video} of {x} with [sound|audio|its sound]",
               "film {x} and let me hear it",
               "animate {x} and play its sound", "make {a_video} of {x} and its sound[| too]",
               "{a_video} with sound of {x}", "{x}, filmed and heard", "first film {x}, then play its sound",
               "play {x} and film it[| too]", "{x} moving and sounding",
               "{x}: [film|animate] it and [play it|let me hear it]", "let me watch and hear {x}",
               "{a_video} of {x}, and its [sound|noise]"),
        test=("film {x} and let it sound", "{a_video} of {x} and how it sounds", "a film and the noise of {x}"),
        more=("{x}: let me watch it and hear it", "watch {x} and listen to it", "{a_video} of {x} that can be heard", "{a_video} of {x}, not a silent one",
              "film {x}, and do not forget its sound", "{a_video} of {x}, and the sound that goes with it", "may i watch {x} and hear it?",
              "animate {x} with its [noise|voice]", "{x} in motion and aloud", "{a_video}, and the sound, of {x}"),
    ),
    ("image", "video", "audio"): Wordings(
        train=("draw {x}, film it and play its sound", "{x} in [all|every] [media|forms|ways|kinds of media]",
               "draw, film and play {x}",
               "everything you can make of {x}", "{x} as everything", "{x} in all three media",
               "show me {x} in every way you can",
               "draw {x}, animate it and let me hear it",
               "{x}, drawn, filmed and heard", "{x} in every medium [you have|there is]", "paint {x}, then film it, then play it",
               "{x}: picture, film and sound", "the whole show of {x}", "make all media of {x}",
               "[draw|paint] {x} and [film|animate] it and play it", "let me see, watch and hear {x}",
               "{a_picture}, {a_video} and the sound of {x}", "{x}: paint it, animate it, let me hear it"),
        test=("all you can make of {x}", "film, draw and play {x}", "{x}: draw it, film it, play it"),
        more=("{x}: see it, watch it, hear it", "let me look at {x}, watch it and listen to it", "{x} still, moving and sounding",
              "{x} as picture, as film, as sound", "{a_picture}, then {a_video}, then the sound of {x}", "{x} painted, animated and played"),
    ),
}  # fmt: skip
DOING = {
    "image": ("draw", "paint", "sketch", "illustrate", "picture", "depict", "render", "draw and color"),
    "video": ("film", "animate", "make {a_video} of", "shoot {a_video} of", "record {a_video} of"),
    "audio": ("play", "let me hear", "make {a_sound} of", "let me listen to", "play the sound of", "play me"),
}
"""Verbs that ask for one medium; requests for several join them in any order, in training alone."""
EVERYTHING = (
    "{x} in all your media", "use all you have for {x}", "[anything|whatever] you can do with {x}, [all of it|everything]",
    "whatever you can make of {x}", "do everything for {x}", "{x}, the works", "all kinds of media of {x}",
    "make all three of {x}", "give me all there is of {x}", "everything you have of {x}", "[each|every] medium of {x}",
    "{x} in all three", "{x} in each medium", "all media for {x}", "everything that there is of {x}", "all three: {x}",
    "{x}: everything", "{x}: all media", "make everything: {x}", "i want it all of {x}", "all three media with {x}",
    "{verb} {whole} of {x}", "{verb} {whole} of {x}", "{verb} {whole} for {x}", "{verb} {x} in {whole}", "{verb} {x} as {whole}",
    "{verb} {whole}: {x}", "{whole} of {x}", "{whole} for {x}", "{x} in {whole}", "{x}, {whole}", "{x}: {whole}", "{x}. {verb} {whole}",
    "{whole} with {x}", "{whole}, of {x}", "{whole}, {x}", "{x} by {whole}", "{x}, and {verb} {whole} of it", "{whole} about {x}",
    "leave nothing out: {x}", "{x}, leave nothing out", "do not spare anything on {x}", "{x} to look at, to watch and to hear",
    "let me see {x}, let me watch it, let me hear it", "as many media of {x} as [you can|there are|possible]", "as much of {x} as you can",
    "show, film and sound {x}", "{x}, the full program", "be complete: {x}", "{x}, complete", "all the way: {x}", "go all out on {x}",
)  # fmt: skip
"""Ways to ask for all media, in training alone; "{whole}" is made by `name_the_whole`, "{verb}" is of `WHOLE_VERBS`."""
WHOLE_VERBS = ("make", "create", "give me", "show me", "produce", "i want", "i'd like", "do", "prepare", "generate", "get me",
               "send", "i would like", "come up with", "provide", "bring me", "we want")  # fmt: skip
WHOLE_NOUNS = ("media", "forms", "ways", "kinds of media", "formats", "types of media", "manners", "modes", "kinds", "sorts of media",
               "kinds of output", "outputs", "possible ways", "possible forms", "shapes and forms", "versions", "channels")  # fmt: skip


def name_the_whole(speaker: Speaker) -> str:
    """A name of all that can be made: "all three kinds of media", "the whole lot", "everything that you can do"."""
    rng = speaker.rng
    noun = rng.choice(WHOLE_NOUNS)
    singular = rng.choice(("medium", "form", "way", "kind of medium", "format", "type of media", "manner", "mode", "possible way"))
    able = rng.choice(("", "", " you can", " that you can do", " you know", " you have", " there is", " possible", " you are able to do"))
    can = able or " you can"
    return rng.choice((
        f"all {noun}{able}", f"all the {noun}{able}", f"all three {noun}", f"the three {noun}", f"all of your {noun}", f"any and all {noun}",
        f"every {singular}{able}", f"each {singular}{able}", f"every single {singular}", f"everything{able}", f"everything{can}",
        f"anything{can}", f"all{can}", f"all of it{able}", "all of them", "the whole lot", "the lot", "the full set", "the complete set",
        "the whole set", "the full package", "the whole package", "the full treatment", "one of each", "one of everything", "it all",
        "everything at once", "all at once", "the entire set", "all three", "all 3", f"all 3 {noun}", "the whole thing", "everything together",
        f"whatever{can}", f"as much as{can if 'can' in can else ' you can'}", "the complete package", "the whole range", "a bit of everything",
    ))  # fmt: skip


def _heard(template: str) -> str:
    return template.replace("{a_video}", "a film")


UNHEARD = {_heard(each) for wordings in (SEVERAL, *SEVERAL_VERBS.values()) for each in wordings.expansions("test")}
"""What the test alone says; compositions of `DOING` that would say it are made anew."""


def several_media(speaker: Speaker) -> Turns:
    """"A red bell as a picture and as a sound", "draw it, film it and play its sound"."""
    modalities = speaker.rng.choice(tuple(SEVERAL_VERBS))
    if speaker.split == "train" and speaker.chance(0.15):
        modalities = MEDIA
    moving = "video" in modalities and speaker.chance(0.6)
    sounding = "audio" in modalities
    scene = speaker.scene("image", where=lambda scene: is_lone(scene) and (scene.sounds or not sounding))
    scene = replace(scene, motion=scene.motion if moving else "stays still")
    if not speaker.allows(scene):
        return several_media(speaker)
    if moving and not has_place(scene, "video"):
        scene = replace(scene, place="center")
    scene, said = say_some(speaker, scene)
    x = caption(scene, "video" if moving else "image", speaker.rng, said=said)
    words = speaker.padded(_ask_for_several(speaker, modalities, x))
    return speaker.user(words), show(*(medium(modality, scene) for modality in modalities))


def _ask_for_several(speaker: Speaker, modalities: tuple[str, ...], x: str) -> str:
    if speaker.chance(0.4):
        slots = {"a_video": a_medium(speaker, "video"), "a_picture": a_medium(speaker, "image")}
        wordings = SEVERAL_VERBS[modalities]
        if speaker.split == "train" and speaker.chance(0.4):
            templates = (do_several(speaker, modalities),)
            if len(modalities) == len(MEDIA) and speaker.chance(0.6):
                templates = EVERYTHING
            wordings, slots = Wordings(train=templates, test=()), slots | {"a_sound": a_medium(speaker, "audio")}
            slots |= {"whole": name_the_whole(speaker), "verb": speaker.rng.choice(WHOLE_VERBS)}
        return politely(speaker, speaker.say(wordings, x=x, **slots))
    names = _name_media(speaker, modalities)
    slots = {"x": x, "list": _list(speaker, names)}
    if speaker.split == "train":
        slots |= {"a": names[0], "rest": _list(speaker, names[1:])}
    return speaker.say(SEVERAL, **slots)


def do_several(speaker: Speaker, modalities: tuple[str, ...]) -> str:
    """A template that asks for each medium by its verb, in any order: "film {x} and also draw it", "film, play {x}"."""
    while True:
        template = _composed(speaker, modalities)
        if not any(unheard in _heard(template) for unheard in UNHEARD):
            return template


def _composed(speaker: Speaker, modalities: tuple[str, ...]) -> str:
    verbs = [speaker.rng.choice(DOING[modality]) for modality in modalities]
    speaker.rng.shuffle(verbs)
    joint = speaker.rng.choice((" and ", ", then ", ", ", " and also ", " and then ", ", and ", ". then "))
    if speaker.chance(0.4) and not any(verb.endswith(" of") for verb in verbs):
        return f"{', '.join(verbs[:-1])}{joint}{verbs[-1]} {{x}}"
    first, *others = verbs
    parts = [f"{first} {{x}}", *(f"{verb} it" for verb in others)]
    if speaker.chance(0.15):
        parts = [f"{{x}}: {first} it", *parts[1:]]
    return ", ".join(parts[:-1]) + joint + parts[-1] + speaker.rng.choice(("", "", "", " too", " as well"))


def _name_media(speaker: Speaker, modalities: tuple[str, ...]) -> list[str]:
    """Names of media in any order, with or without their articles."""
    names = [a_medium(speaker, modality) for modality in modalities]
    if speaker.chance(0.4):
        names = [speaker.rng.choice(MEDIUM_NOUNS[modality]) for modality in modalities]
    speaker.rng.shuffle(names)
    return names


def _list(speaker: Speaker, names: list[str]) -> str:
    """Names joined: "a picture and a sound", "film, sound and image", "image + audio"."""
    if len(names) == 1:
        return names[0]
    if speaker.chance(0.15):
        return speaker.rng.choice((" + ", ", ", "/", " & ")).join(names)
    joints = (" and ", " and as ", " and also ", " plus ")
    if speaker.split == "train" and speaker.chance(0.4):
        joints = (" as well as ", ", and ", " and then ", " along with ", " together with ", " with ", ", then ")
    joint = speaker.rng.choice(joints)
    if speaker.split == "train" and speaker.chance(0.15):
        return joint.join(names)
    return ", ".join(names[:-1]) + joint + names[-1]
