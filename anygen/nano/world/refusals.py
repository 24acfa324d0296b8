"""Dialogues that end in a refusal: what the world does not hold, and sounds of silent things.

Every function takes a `Speaker` and gives the turns of one dialogue. A refusal is friendly and names what can be done.
The words of what is unknown are those of `unknown.py`; the test split says some that training never does.
"""

from __future__ import annotations

import re

from anygen.nano.world import unknown
from anygen.nano.world.captions import caption, with_article
from anygen.nano.world.crossings import no_sound
from anygen.nano.world.requests import HEAR, MEDIUM_NOUNS, NOUN, POLITE, VERB, a_medium
from anygen.nano.world.scene import COLORS, THINGS
from anygen.nano.world.turns import Speaker, Turns, Wordings, answer
from anygen.nano.world.words import COLOR_WORDS, NOUNS

REFUSAL = (
    "Sorry, my small world does not hold that. I can draw, film and play things like a bell, a dog, a car or a star."
)


def is_refusal(reply: str) -> bool:
    """Whether a reply says that the world does not hold what was asked for."""
    return reply.startswith(REFUSAL.split(".")[0])


UNKNOWN_REQUESTS = Wordings(
    train=("write [|me ]a [poem|story|letter|song|novel|joke|report|speech|recipe|tweet][| about {thing}| about love]",
           "[what is|what's|tell me|name] the capital of [france|spain|germany|italy|japan|china|brazil|canada|india]",
           "[who is|who was] [the president|einstein|napoleon|the king of england|shakespeare]?",
           "what is [one|two|three|2|5|12|17] [plus|times|minus|and|divided by] [one|two|2|4|7|9]?",
           "calculate [2+2|12*7|the square root of 9]",
           "translate [this|hello|{thing}|good morning] [to|into] [german|french|spanish|chinese|latin]",
           "tell me [a joke|a story|the news|a secret]",
           "what [time|day|date|year] is it[| today]?", "how is the weather[| today| in london]?",
           "what is the weather like?",
           "write [|me ][code|a program|a function|python code|a script|html]",
           "fix [my|this] [code|bug|essay|grammar]", "how old are you?",
           "[who won|when was] the [world cup|second world war|french revolution]?",
           "how [far|big|old] is the [earth|universe|eiffel tower]?",
           "what is the meaning of [life|{thing}|love]?",
           "give me [advice|a recipe|a plan|five ideas|a summary of the bible]", "solve x + 2 = 5",
           "summarize [this|this text|the news|a book]", "recommend [a movie|a book|a restaurant]",
           "do my [homework|taxes]", "sing me a song",
           "[explain|what is] [quantum physics|democracy|photosynthesis|gravity|a neural network|money]",
           "book a [flight|table|hotel]",
           "send an email", "play [chess|a game|some rock music|a symphony|jazz|beethoven|a song by the beatles]",
           "order a pizza",
           "what do you think about [politics|love|the president|football]?",
           "how do i [cook rice|fix a bike|learn french|lose weight]?",
           "[asdf|qwerty|blah blah|xyz|lorem ipsum|foo bar|hmpf|jjjj|123 456]", "why is the sky blue?",
           "who invented the {thing}?"),
    test=("compose a sonnet[| about {thing}]", "what is the largest city of [france|spain]?", "add [2|5] and [7|9]",
          "is it raining today?",
          "who wrote [hamlet|the bible]?", "how much is a house in paris?", "what should i eat today?",
          "spell [elephant|guitar]"),
)  # fmt: skip


def refuse(speaker: Speaker) -> Turns:
    """Things, doings and requests that are not of this world."""
    rng = speaker.rng
    training = speaker.split == "train"
    unseen = speaker.split == "test" and speaker.chance(0.5)
    things = unknown.UNKNOWN_THINGS_OF_TEST if unseen else unknown.UNKNOWN_THINGS
    thing = an_unknown_thing(speaker) if training and speaker.chance(0.7) else with_article(rng.choice(things))
    kind = rng.random()
    if kind < 0.4:
        if training and speaker.chance(0.7):
            return speaker.user(filled(speaker, rng.choice(unknown.MORE_UNKNOWN_REQUESTS))), answer(REFUSAL)
        return speaker.user(speaker.say(UNKNOWN_REQUESTS, thing=thing)), answer(REFUSAL)
    if kind < 0.75:
        color = rng.choice(("", "", rng.choice(COLORS), rng.choice(("large", "small", "big"))))
        x = with_article(f"{color} {_bare(thing)}".strip())
        x += rng.choice(("", "", f" {rng.choice(unknown.UNKNOWN_DOINGS)}", " on grass", " at night", " in the sky"))
        if training and speaker.chance(0.3):
            x = _anything_unknown(speaker, thing)
    else:
        scene = speaker.scene("image")
        with_thing = f"{rng.choice(('and', 'next to', 'with', 'on', 'eating'))} {thing}"
        doing = with_thing if speaker.chance(0.3) else rng.choice(unknown.UNKNOWN_DOINGS)
        if training and speaker.chance(0.6):
            doing = filled(speaker, rng.choice(unknown.MORE_UNKNOWN_DOINGS))
        x = f"{caption(scene, 'image', rng, said={'color'})} {doing}"
    modality = rng.choices(("image", "video", "audio"), weights=(0.6, 0.2, 0.2))[0]
    slots = {"x": x, "a_medium": a_medium(speaker, modality), "medium": rng.choice(MEDIUM_NOUNS[modality])}
    form = rng.random()
    if form < 0.15:
        return speaker.user(x), answer(REFUSAL)
    words = speaker.say(NOUN, **slots) if form < 0.45 else speaker.say(POLITE, r=speaker.say(VERB[modality], **slots))
    return speaker.user(speaker.padded(words)), answer(REFUSAL)


def an_unknown_thing(speaker: Speaker) -> str:
    """A thing of none of the things, with its article: "a lantern"; seldom a word that is none: "a brasken"."""
    if speaker.chance(0.1):
        return with_article(unknown.made_up_word(speaker.rng))
    return with_article(speaker.rng.choice(unknown.UNKNOWN_THINGS + unknown.MORE_UNKNOWN_THINGS).replace("-", " "))


def _bare(thing: str) -> str:
    """"a lantern" -> "lantern"."""
    return thing.split(" ", 1)[-1]


def _anything_unknown(speaker: Speaker, thing: str) -> str:
    """More than one word for what is unknown: a name, several of a thing, or what it does."""
    rng = speaker.rng
    doing = filled(speaker, rng.choice(unknown.MORE_UNKNOWN_DOINGS))
    plain = _bare(thing)
    return rng.choice((rng.choice(unknown.UNKNOWN_NAMES), f"{rng.choice(('two', 'three', 'some', 'many', '2'))} {plain}s",
                       f"{thing} {doing}", f"the {plain}", f"{rng.choice(unknown.UNKNOWN_NAMES)} {doing}", plain))  # fmt: skip


def filled(speaker: Speaker, template: str) -> str:
    """A template of `unknown.py` with one of every "[a|b]" and a word in every slot "{name}" or "{name|name}"."""
    rng = speaker.rng

    def word(slot: re.Match) -> str:
        name = rng.choice(slot.group(1).split("|"))
        if name in unknown.SLOTS:
            return rng.choice(unknown.SLOTS[name])
        if name == "known":
            return with_article(NOUNS[rng.choice(THINGS)][0][0])
        if name == "number":
            return str(rng.randint(1, 99))
        if name == "made_up":
            return unknown.made_up_word(rng)
        thing = an_unknown_thing(speaker)
        return {"thing": thing, "plain": _bare(thing), "plural": f"{_bare(thing)}s"}[name]

    words = re.sub(r"\[([^\[\]]*)\]", lambda choice: rng.choice(choice.group(1).split("|")), template)
    return " ".join(re.sub(r"\{([^{}]*)\}", word, words).split())


def refuse_silent(speaker: Speaker) -> Turns:
    """The sound of a thing that makes none."""
    scene = speaker.scene("image", where=lambda scene: not scene.sounds and scene.count == 1 and not scene.companion)
    noun = NOUNS[scene.thing][0][0] if speaker.chance(0.8) else speaker.rng.choice(NOUNS[scene.thing])[0]
    color = speaker.rng.choice(("", "", f"{COLOR_WORDS[scene.color][0]} "))
    x = with_article(f"{color}{noun}")
    if speaker.chance(0.5):
        return speaker.user(speaker.say(HEAR, thing=x)), no_sound(scene.thing)
    slots = {"a_medium": a_medium(speaker, "audio"), "medium": speaker.rng.choice(MEDIUM_NOUNS["audio"])}
    if speaker.chance(0.4):
        return speaker.user(speaker.say(NOUN, x=x, **slots)), no_sound(scene.thing)
    words = speaker.say(POLITE, r=speaker.say(VERB["audio"], x=f"the sound of {x}", **slots))
    return speaker.user(words), no_sound(scene.thing)
