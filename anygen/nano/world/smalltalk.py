"""Dialogues in words only: greetings, and questions about the world; what it does not hold is in `refusals.py`.

Every function takes a `Speaker` and gives the turns of one dialogue.
"""

from __future__ import annotations

from anygen.nano.world.captions import with_article
from anygen.nano.world.crossings import no_sound
from anygen.nano.world.scene import BACKGROUNDS, COLORS, MOTIONS, SILENT_THINGS, SOUNDING_THINGS, THINGS
from anygen.nano.world.turns import Speaker, Turns, Wordings, answer, defaults
from anygen.nano.world.words import NOUNS

SMALL_TALK = {
    "Hello! Tell me what to draw, film or play, or show me something.": Wordings(
        train=("[hi|hello|hey|good morning|good evening|hello there|hi there|greetings|good day|howdy|hey there]",
               "hello [nano|anygen|you]",
               "hi [nano|anygen|you]", "[hello|hi], how are you?", "how are you[| today]?", "how do you do?",
               "what's up?", "how is it going?"),
        test=("good afternoon", "hey nano", "hello hello", "hi, what's up?"),
    ),
    "You are welcome!": Wordings(
        train=("[thanks|thank you|thank you very much|thanks a lot|many thanks|thx|cheers|great, thanks|ok thanks]",
               "[that's|this is|that is] [great|nice|beautiful|wonderful|perfect|good|lovely]",
               "[well done|good job|great|nice|wow|cool|perfect|awesome]"),
        test=("thanks so much", "oh, that is nice", "very good, thank you", "great job"),
    ),
    "I am nano, a small model that reads, sees, hears, draws, films and plays the things of a small world.": Wordings(
        train=("who are you?", "what are you?", "what is your name?", "what's your name?", "tell me about yourself",
               "are you a [robot|human|computer|model|person|bot]?",
               "introduce yourself", "what is [nano|anygen]?", "who is [nano|anygen]?", "who am i talking to?",
               "do you have a name?", "who made you?"),
        test=("may i ask who you are?", "your name, please", "say who you are", "and you are?"),
    ),
    "Goodbye!": Wordings(
        train=("[bye|goodbye|bye bye|see you|see you later|good night|farewell|ciao|that is all|i have to go]",
               "[ok, bye|thanks, bye|thank you, goodbye]"),
        test=("goodbye nano", "bye, see you", "that was all, bye"),
    ),
    "I can draw, film and play what you describe, say what I see or hear, and turn one into the other.": Wordings(
        train=("what can you do[| for me]?", "[help|help me|help!|?]", "how do you work?", "how can you help[| me]?",
               "what are you able to do?", "what do you do?",
               "how [does this work|do i use you]?", "what should i [say|ask|do]?",
               "what are your [skills|abilities|capabilities]?", "what is possible here?",
               "which media can you make?", "give me an example", "what can i ask[| you]?",
               "can you [draw|see|hear|make films|make videos|make pictures]?"),
        test=("tell me what you can do", "i need help", "what is it that you can do?", "what may i ask you?"),
    ),
}  # fmt: skip
SOUND_MADE = {
    "bell": "A bell rings.", "drum": "A drum beats.", "clock": "A clock ticks.", "car": "A car hums with its engine.",
    "train": "A train rattles on its rails.", "bird": "A bird sings.", "cat": "A cat meows.", "dog": "A dog barks.",
    "bee": "A bee buzzes.",
    "rain": "Rain patters.", "boat": "A boat blows its horn.", "ambulance": "An ambulance wails with its siren.",
    "phone": "A phone rings.",
    "piano": "A piano plays notes.", "rocket": "A rocket roars.", "heart": "A heart beats.",
}  # fmt: skip
WHICH_SOUND = Wordings(
    train=("[what|which] [sound|noise] does {a_thing} make?", "[what|which] [sound|noise] do {things} make?",
           "what [sound|noise] makes {a_thing}?",
           "how do you call the [sound|noise] of {a_thing}?", "what does {a_thing} say?",
           "describe the [sound|noise] of {a_thing}[| in words]"),
    test=("in words, which noise does {a_thing} make?", "tell me what sound {a_thing} makes",
          "say what noise {things} make"),
)  # fmt: skip
DOES_IT_SOUND = Wordings(
    train=("does {a_thing} make a [sound|noise]?", "can {a_thing} be heard?",
           "do {things} make [sounds|a sound|noise]?", "can you hear {a_thing}?",
           "is {a_thing} a thing with a sound?"),
    test=("would {a_thing} make any noise?", "does {a_thing} have a sound?", "{a_thing}: does it make a sound?"),
)  # fmt: skip
WHAT_COLOR = Wordings(
    train=("[what|which] [color|colour] is {a_thing}?", "[what|which] [color|colour] does {a_thing} have?",
           "[what|which] [color|colour] are {things}?",
           "what's the [color|colour] of {a_thing}?", "how is {a_thing} [colored|coloured]?"),
    test=("tell me the [color|colour] of {a_thing}", "{things} are of which [color|colour]?",
          "what [color|colour] has {a_thing}?"),
)  # fmt: skip


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


ABOUT_THE_WORLD = {
    f"I know {_listed(COLORS)}.": Wordings(
        train=("[what|which] [colors|colours] [do you know|are there|can you use|do you have]?",
               "list [the|your|all] [colors|colours]",
               "name [the|all] [colors|colours][| you know]"),
        test=("tell me all your [colors|colours]", "the [colors|colours] you can use?"),
    ),
    f"A thing {_listed(MOTIONS)}.": Wordings(
        train=("[what|which] [motions|movements] [do you know|are there|can you film]?",
               "list [the|your|all] [motions|movements]", "how can things move?",
               "in which ways can [a thing|things|it] move?"),
        test=("tell me all your motions", "the motions you can film?"),
    ),
    f"My backgrounds are {_listed(BACKGROUNDS)}.": Wordings(
        train=("[what|which] backgrounds [do you know|are there|can you draw|do you have]?",
               "list [the|your|all] backgrounds", "what can be behind a thing?"),
        test=("tell me all your backgrounds", "the backgrounds you can draw?"),
    ),
    f"I know {_listed(THINGS)}.": Wordings(
        train=("[what|which] things [do you know|are there|can you draw|are in your world]?",
               "list [the|your|all] things", "what can you [draw|film]?",
               "what do you know?", "what is in your world?", "name [all|the] things[| you know]",
               "which [objects|pictures|videos] can you [draw|make]?"),
        test=("tell me all your things", "the things you can draw?"),
    ),
    f"These make a sound: {_listed(SOUNDING_THINGS)}. I can also play tones and beeps.": Wordings(
        train=("[what|which] [sounds|noises] [do you know|are there|can you play|can you make]?",
               "[which|what] things [make a sound|can be heard|make sounds|sound]?",
               "list [the|your|all] sounds", "what can you play?", "what can i hear?"),
        test=("tell me all your sounds", "the sounds you can play?"),
    ),
    f"These make no sound: {_listed(SILENT_THINGS)}, and the shapes.": Wordings(
        train=("[which|what] things [make no sound|are silent|can't be heard|cannot be heard|do not sound]?",
               "what is silent[| in your world]?"),
        test=("tell me all silent things", "the things that make no sound?"),
    ),
}  # fmt: skip


def small_talk(speaker: Speaker) -> Turns:
    """Hello, thanks, who are you, what can you do."""
    reply = speaker.rng.choice(tuple(SMALL_TALK))
    return speaker.user(speaker.say(SMALL_TALK[reply])), answer(reply)


def about_the_world(speaker: Speaker) -> Turns:
    """Questions about the world that need no medium: sounds, silent things, colours, what there is."""
    thing = speaker.rng.choice(THINGS)
    singular, plural = NOUNS[thing][0] if speaker.chance(0.8) else speaker.rng.choice(NOUNS[thing])
    slots = {"a_thing": "rain" if thing == "rain" else with_article(singular), "things": plural}
    kind = speaker.rng.random()
    if kind < 0.3 and thing in SOUND_MADE:
        return speaker.user(speaker.say(WHICH_SOUND, **slots)), answer(SOUND_MADE[thing])
    if kind < 0.3:
        return speaker.user(speaker.say(WHICH_SOUND, **slots)), no_sound(thing)
    if kind < 0.5:
        words = speaker.say(DOES_IT_SOUND, **slots)
        name = with_article(NOUNS[thing][0][0]) if thing != "rain" else "rain"
        sounds = thing in SOUNDING_THINGS
        return speaker.user(words), answer(f"Yes, {name} makes a sound." if sounds else f"No, {name} makes no sound.")
    if kind < 0.65:
        name = with_article(NOUNS[thing][0][0])
        reply = f"I draw {name} in {defaults(thing)['color']} unless you say another color."
        return speaker.user(speaker.say(WHAT_COLOR, **slots)), answer(reply)
    reply = speaker.rng.choice(tuple(ABOUT_THE_WORLD))
    return speaker.user(speaker.say(ABOUT_THE_WORLD[reply])), answer(reply)
