"""Dialogues in which the user shows or plays a medium and asks about it; the assistant answers in words.

Every function takes a `Speaker` and gives the turns of one dialogue. One question has one form of answer, so that
answers can be compared word by word.
"""

from __future__ import annotations

from collections.abc import Callable

from anygen.nano.world.captions import has_place, with_article
from anygen.nano.world.scene import COLORS, MOTIONS, SOUNDING_THINGS, THINGS, Scene
from anygen.nano.world.turns import Speaker, Turns, Wordings, answer, medium
from anygen.nano.world.words import COUNT_WORDS, MOTION_WORDS, NOUNS, PLACE_WORDS

MEDIUM_NAMES = {
    "image": ("picture", "image", "drawing", "photo"),
    "video": ("video", "film", "clip", "animation"),
    "audio": ("recording", "audio", "sound", "clip"),
}
DESCRIBE = {
    "image": Wordings(
        train=("[|please |can you ]describe [this|the|my] {medium}", "what do you see[| here| in this {medium}]?",
               "what does [this|the] {medium} show?", "what is in [this|the] {medium}?",
               "describe [this|it|what you see]",
               "caption [this|it|this {medium}]", "tell me about this {medium}", "[say|tell me] what you see",
               "what can you see[| there| in it]?", "put [this|the {medium}] into words", "give me a caption",
               "what's in the {medium}?", "what's going on here?", "explain this {medium}",
               "[could|would|will] you [describe|explain|caption] [this|the|my] {medium}[|, please]?",
               "i want [a description|a caption|some words] [of|for] this[| {medium}]", "what have we here?",
               "a sentence about this {medium}[|, please]", "what is [shown|to be seen|drawn] [here|in this {medium}]?",
               "write [a caption|one sentence|down what you see]", "talk about [this|the] {medium}", "what is this {medium} of?",
               "which scene is [this|that]?", "what does it show?", "what do we see[| here]?", "have a look at this {medium}",
               "look at [this|the {medium}] and tell me what [is there|it shows]", "how would you describe this[| {medium}]?",
               "do you recognize what is in [this|the] {medium}?", "words for this {medium}, please", "read this {medium}",
               "give [a short description|me a description|me the content][| of this {medium}]", "summarize what you see",
               "would you tell me what is in the {medium}?", "this {medium} shows what?", "what am i looking at?"),
        test=("what do you make out in this {medium}?", "in words, what does the {medium} show?",
              "tell me what this {medium} is about", "can you tell me what you see here?"),
    ),
    "video": Wordings(
        train=("[|please |can you ]describe [this|the|my] {medium}",
               "what happens[| here| in this {medium}| in the {medium}]?",
               "what do you see[| here| in this {medium}]?", "what does [this|the] {medium} show?",
               "what's going on here?",
               "describe [this|it|what you see|what happens]", "caption [this|it|this {medium}]",
               "tell me about this {medium}",
               "[say|tell me] what [you see|happens]", "put [this|the {medium}] into words", "give me a caption",
               "what is happening[| in this {medium}]?", "what is in [this|the] {medium}?",
               "[could|would|will] you [describe|explain|caption] [this|the|my] {medium}[|, please]?",
               "i want [a description|a caption|some words] [of|for] this[| {medium}]", "what goes on [here|in the {medium}]?",
               "a sentence about this {medium}[|, please]", "what is [shown|to be seen] [here|in this {medium}]?",
               "write [a caption|one sentence|down what happens]", "talk about [this|the] {medium}", "what is this {medium} of?",
               "watch this[| {medium}] and tell me what [happens|it shows]", "what does it show?", "what am i watching?",
               "how would you describe this[| {medium}]?", "summarize [this {medium}|what happens]",
               "give [a short description|me a description][| of this {medium}]", "this {medium} shows what?",
               "would you tell me what happens in the {medium}?", "what do we see[| here]?", "the {medium} in words, please"),
        test=("in words, what does the {medium} show?", "tell me what this {medium} is about",
              "can you say what happens here?", "what is it that happens in this {medium}?"),
    ),
    "audio": Wordings(
        train=("[|please |can you ]describe [this|the|my] {medium}", "what do you hear[| here| in this {medium}]?",
               "what is [this|that] sound?", "describe [this|it|what you hear]", "caption [this|it|this {medium}]",
               "[say|tell me] what you hear", "what can you hear[| there| in it]?", "which sound is [this|that|it]?",
               "put [this|the {medium}] into words", "what am i hearing?", "what kind of [sound|noise] is [this|that]?",
               "listen[| to this]. what is it?", "what's in the {medium}?", "what sound is [this|that]?",
               "[could|would|will] you [describe|name|caption] [this|the|my] {medium}[|, please]?", "what makes this noise?",
               "i want [a description|a caption] [of|for] this[| {medium}]", "a sentence about this {medium}", "what is heard?",
               "listen and tell me what [it is|you hear]", "would you tell me what is in the {medium}?", "name this sound"),
        test=("can you tell me what you hear here?", "in words, what is to be heard?",
              "what is it that you hear in the {medium}?", "tell me which noise this is"),
    ),
}  # fmt: skip
WHAT = Wordings(
    train=("what is [this|that|it]?", "what's [this|that]?", "[which|what] thing is [this|that|it]?",
           "what is the thing called?",
           "what [object|thing] do you [recognise|recognize]?", "name [it|this|the thing|the object]", "identify this",
           "do you know what this is?", "what have i got here?", "tell me what this is", "who or what is this?"),
    test=("can you name the thing?", "what do you think this is?", "say which object this is"),
)  # fmt: skip
COLOR = Wordings(
    train=("[what|which] [color|colour] is {the}?",
           "[what|which] [color|colour] does {the} have?", "what's the [color|colour] of {the}?",
           "tell me the [color|colour] of {the}", "name the [color|colour] of {the}",
           "how is {the} [colored|coloured]?",
           "in [what|which] [color|colour] is {the}?", "what is the [color|colour] of {the}?"),
    test=("and the [color|colour] of {the} is?", "can you tell the [color|colour] of {the}?",
          "{the}: which [color|colour]?"),
)  # fmt: skip
HOW_MANY = Wordings(
    train=("how many {things} are there?", "how many {things} do you see?", "count the {things}", "how many {things}?",
           "what is the number of {things}?", "how many {things} can you see[| here]?",
           "how many {things} are in the {medium}?",
           "tell me how many {things} there are"),
    test=("can you count the {things} here?", "the number of {things} in this {medium}?", "{things}, how many?"),
)  # fmt: skip
WHERE = Wordings(
    train=("where is {the}?", "where's {the}?", "where in the {medium} is {the}?",
           "in which part [|of the {medium} ]is {the}?",
           "what is the [place|position] of {the}?", "where can i find {the}?", "tell me where {the} is",
           "at [what|which] [place|position] is {the}?", "where do you see {the}?"),
    test=("can you say where {the} is?", "and {the} is where?", "whereabouts in the {medium} is {the}?"),
)  # fmt: skip
BACKGROUND = Wordings(
    train=("[what|which] is the background?", "what is behind {the}?", "what's the background[| of this {medium}]?",
           "[what|which] background does the {medium} have?", "what do you see behind {the}?", "what's behind {the}?",
           "describe the background", "name the background", "what is in the background?"),
    test=("and behind {the}?", "can you name the background of the {medium}?", "tell me what is behind {the}"),
)  # fmt: skip
SIZE = Wordings(
    train=("how [big|large|small] is {the}?", "what size is {the}?",
           "is {the} [small or large|large or small|big or small]?",
           "what is the size of {the}?", "tell me the size of {the}", "what size does {the} have?"),
    test=("can you tell how big {the} is?", "{the}: large or small?", "and the size of {the}?"),
)  # fmt: skip
MOTION = Wordings(
    train=("how does {the} move?", "what does {the} do?", "what is {the} doing?", "[what|which] motion do you see?",
           "which way does {the} [move|go]?", "how is {the} moving?", "what happens to {the}?", "describe the motion",
           "where does {the} go?", "what movement is [this|that]?", "what motion is [this|that]?"),
    test=("can you say how {the} moves?", "and what does {the} do here?", "name the motion of {the}"),
)  # fmt: skip
TONE_HEIGHT = Wordings(
    train=("how high is [the tone|it|this tone|the sound]?", "is [it|the tone] low, middle or high?",
           "what pitch [is it|does it have]?",
           "is it a [high or a low|low or a high] tone?", "what is the pitch?", "at what pitch is [it|the tone]?"),
    test=("can you tell how high the tone is?", "the pitch of this tone, please", "low, middle or high?"),
)  # fmt: skip
TONE_CONTOUR = Wordings(
    train=("how does [the tone|it|the sound] [go on|change|develop]?", "what does the tone do?",
           "does [it|the tone] rise or fall?",
           "is [it|the tone] steady?", "is the tone rising or falling?", "what happens to the tone?"),
    test=("and how does the tone change over time?", "rising, falling or steady?", "can you say what the tone does?"),
)  # fmt: skip
IS_THERE = {
    "seen": Wordings(
        train=("is there {a_thing}[| here| in the {medium}| in this {medium}]?",
               "do you see {a_thing}[| here| in the {medium}]?",
               "can you see {a_thing}?", "is [this|it|that] {a_thing}?", "does the {medium} show {a_thing}?",
               "{a_thing}, right?"),
        test=("would you say there is {a_thing} in it?", "could this be {a_thing}?",
              "am i right that this is {a_thing}?"),
    ),
    "heard": Wordings(
        train=("do you hear {a_thing}[| here| in the {medium}]?", "can you hear {a_thing}?",
               "is [this|it|that] {a_thing}?",
               "is this the sound of {a_thing}?", "does this sound like {a_thing}?",
               "is there {a_thing} in the {medium}?"),
        test=("would you say you hear {a_thing}?", "could this be {a_thing}?", "am i right that this is {a_thing}?"),
    ),
}  # fmt: skip
IS_IT = Wordings(
    train=("is {the} {word}?", "would you say {the} is {word}?", "{the} is {word}, [right|isn't it]?",
           "tell me if {the} is {word}",
           "is it [true|right] that {the} is {word}?", "do you see that {the} is {word}?"),
    test=("am i right that {the} is {word}?", "can you say if {the} is {word}?", "{word}, is that what {the} is?"),
)  # fmt: skip


def describe(speaker: Speaker, modality: str) -> Turns:
    """"Describe this." or a medium without a word -> "This is a large red bell on grass in the center."."""
    part = medium(modality, speaker.scene(modality))
    asked = speaker.framed(speaker.say(DESCRIBE[modality], medium=_name(speaker, modality)))
    words = "" if speaker.chance(0.08) else asked
    return speaker.user(words, part), answer(f"This is {part.caption}.")


def describe_image(speaker: Speaker) -> Turns:
    """A picture into words."""
    return describe(speaker, "image")


def describe_video(speaker: Speaker) -> Turns:
    """A film into words."""
    return describe(speaker, "video")


def describe_audio(speaker: Speaker) -> Turns:
    """A sound into words."""
    return describe(speaker, "audio")


def ask_questions(speaker: Speaker) -> Turns:
    """One to three questions about one picture or film."""
    modality = "image" if speaker.chance(0.55) else "video"
    scene = speaker.scene(modality)
    askers = [_ask_what, _ask_color, _ask_how_many, _ask_background, _ask_size]
    askers += [_ask_where] if has_place(scene, modality) or scene.companion else []
    askers += [_ask_motion, _ask_motion] if modality == "video" else []
    return _ask(speaker, modality, scene, askers)


def ask_about_sound(speaker: Speaker) -> Turns:
    """One or two questions about one recording."""
    scene = speaker.scene("audio")
    return _ask(speaker, "audio", scene, [_ask_what, _ask_height, _ask_contour] if scene.tone else [_ask_what])


def is_there(speaker: Speaker) -> Turns:
    """"Is there a bell?", "is it red?": half of the time there is, or it is.

    The answer is what there is, "I see a drum.", without a yes or no: a model this small says the one rightly, and the other
    no better than a coin (the model card has what was tried).
    """
    modality = speaker.rng.choice(("image", "video", "audio"))
    scene = speaker.scene(modality, where=lambda scene: scene.tone is None)
    askers = [_is_the_thing] if modality == "audio" else [_is_the_thing, _is_the_thing, _is_the_color, _is_the_size]
    askers += [_is_the_motion, _is_the_motion] if modality == "video" else []
    return _ask(speaker, modality, scene, askers)


def _ask(speaker: Speaker, modality: str, scene: Scene, askers: list[Callable]) -> Turns:
    """The medium with a first question and sometimes further ones, no two of a kind."""
    num_questions = min(speaker.rng.choice((1, 1, 1, 2, 3)), len(set(askers)))
    turns, media, asked = [], (medium(modality, scene),), set()
    while len(asked) < num_questions:
        asker = speaker.rng.choice(askers)
        if asker not in asked:
            words, reply = asker(speaker, modality, scene)
            turns += [speaker.user(speaker.framed(words), *media), answer(reply)]
            media = ()
            asked.add(asker)
    return tuple(turns)


def _ask_what(speaker: Speaker, modality: str, scene: Scene) -> tuple[str, str]:
    words = speaker.say(WHAT)
    if modality == "audio" and scene.tone:
        return words, f"It is {medium('audio', scene).caption}."
    if scene.companion and modality != "audio":
        return words, f"There are {_a(scene.thing)} and {_a(scene.companion.thing)}."
    if scene.count > 1 and modality != "audio":
        return words, f"They are {NOUNS[scene.thing][0][1]}."
    return words, f"It is {'rain' if modality == 'audio' and scene.thing == 'rain' else _a(scene.thing)}."


def _ask_color(speaker: Speaker, modality: str, scene: Scene) -> tuple[str, str]:
    if scene.companion and speaker.chance(0.5):
        thing, color = scene.companion.thing, scene.companion.color
        return speaker.say(COLOR, the=_the(thing)), f"The {NOUNS[thing][0][0]} is {color}."
    the = _subject(speaker, scene)
    return speaker.say(COLOR, the=the), f"{_subject_again(scene)} {scene.color}."


def _ask_how_many(speaker: Speaker, modality: str, scene: Scene) -> tuple[str, str]:
    singular, plural = NOUNS[scene.thing][0]
    name = _name(speaker, modality)
    if scene.companion:
        words = speaker.say(HOW_MANY, things=speaker.rng.choice(("things", "objects")), medium=name)
        return words, f"There are two things, {_a(scene.thing)} and {_a(scene.companion.thing)}."
    words = speaker.say(HOW_MANY, things=speaker.rng.choice(("things", "objects", plural)), medium=name)
    if scene.count == 1:
        return words, f"There is one {singular}."
    return words, f"There are {COUNT_WORDS[scene.count][0]} {plural}."


def _ask_where(speaker: Speaker, modality: str, scene: Scene) -> tuple[str, str]:
    name = _name(speaker, modality)
    if scene.companion is None:
        return speaker.say(WHERE, the=_subject(speaker, scene), medium=name), f"It is {PLACE_WORDS[scene.place][0]}."
    first, second, relation = scene.thing, scene.companion.thing, scene.companion.relation
    if speaker.chance(0.5):
        first, second, relation = second, first, {"left of": "right of", "above": "below"}[relation]
    return speaker.say(WHERE, the=_the(first), medium=name), f"The {NOUNS[first][0][0]} is {relation} {_the(second)}."


def _ask_background(speaker: Speaker, modality: str, scene: Scene) -> tuple[str, str]:
    words = speaker.say(BACKGROUND, the=_subject(speaker, scene), medium=_name(speaker, modality))
    name = {"sky": "the sky", "night": "the night"}.get(scene.background, scene.background)
    return words, f"The background is {name}."


def _ask_size(speaker: Speaker, modality: str, scene: Scene) -> tuple[str, str]:
    return speaker.say(SIZE, the=_subject(speaker, scene)), f"{_subject_again(scene)} {scene.size}."


def _ask_motion(speaker: Speaker, modality: str, scene: Scene) -> tuple[str, str]:
    return speaker.say(MOTION, the=_subject(speaker, scene)), f"It {scene.motion}."


def _ask_height(speaker: Speaker, modality: str, scene: Scene) -> tuple[str, str]:
    return speaker.say(TONE_HEIGHT), f"Its pitch is {scene.tone.height}."


def _ask_contour(speaker: Speaker, modality: str, scene: Scene) -> tuple[str, str]:
    beeps = scene.tone.contour.endswith("beeps")
    return speaker.say(TONE_CONTOUR), f"{'These' if beeps else 'It'} {'are' if beeps else 'is'} {scene.tone.contour}."


def _is_the_thing(speaker: Speaker, modality: str, scene: Scene) -> tuple[str, str]:
    things = SOUNDING_THINGS if modality == "audio" else THINGS
    present = {scene.thing} | ({scene.companion.thing} if scene.companion and modality != "audio" else set())
    absent = [thing for thing in things if thing not in present]
    asked = scene.thing if speaker.chance(0.5) else speaker.rng.choice(absent)
    wordings = IS_THERE["heard" if modality == "audio" else "seen"]
    noun = NOUNS[asked][0][0] if speaker.chance(0.8) else speaker.rng.choice(NOUNS[asked])[0]
    words = speaker.say(wordings, a_thing=with_article(noun), medium=_name(speaker, modality))
    if modality == "audio":
        return words, f"I hear {'rain' if scene.thing == 'rain' else _a(scene.thing)}."
    found = f"{COUNT_WORDS[scene.count][0]} {NOUNS[scene.thing][0][1]}" if scene.count > 1 else _a(scene.thing)
    found += f" and {_a(scene.companion.thing)}" if scene.companion else ""
    return words, f"I see {found}."


def _is_the_color(speaker: Speaker, modality: str, scene: Scene) -> tuple[str, str]:
    return _is_it(speaker, scene, scene.color, COLORS)


def _is_the_size(speaker: Speaker, modality: str, scene: Scene) -> tuple[str, str]:
    return _is_it(speaker, scene, scene.size, ("small", "large"))


def _is_it(speaker: Speaker, scene: Scene, value: str, values: tuple[str, ...]) -> tuple[str, str]:
    the = _the(scene.thing) if scene.count == 1 and (scene.companion or speaker.chance(0.5)) else "it"
    asked = value if speaker.chance(0.5) else speaker.rng.choice([other for other in values if other != value])
    return speaker.say(IS_IT, the=the, word=asked), f"It is {value}."


def _is_the_motion(speaker: Speaker, modality: str, scene: Scene) -> tuple[str, str]:
    others = [motion for motion in MOTIONS if motion != scene.motion]
    asked = scene.motion if speaker.chance(0.5) else speaker.rng.choice(others)
    the = _subject(speaker, scene)
    words = speaker.say(IS_IT, the=the, word=speaker.rng.choice(MOTION_WORDS[asked][:3]))
    return words, f"It {scene.motion}."


def _subject(speaker: Speaker, scene: Scene) -> str:
    """How a question points at the main thing."""
    if scene.companion:
        return _the(scene.thing)
    return speaker.rng.choice(("it", "the thing", "the object", _the(scene.thing))) if scene.count == 1 else "it"


def _subject_again(scene: Scene) -> str:
    if scene.companion:
        return f"The {NOUNS[scene.thing][0][0]} is"
    return "It is" if scene.count == 1 else "They are"


def _name(speaker: Speaker, modality: str) -> str:
    return speaker.rng.choice(MEDIUM_NAMES[modality])


def _the(thing: str) -> str:
    return f"the {NOUNS[thing][0][0]}"


def _a(thing: str) -> str:
    return with_article(NOUNS[thing][0][0])
