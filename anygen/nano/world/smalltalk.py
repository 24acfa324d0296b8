"""Dialogues in words only: greetings, questions about the world, and refusals of what the world does not hold.

Every function takes a `Speaker` and gives the turns of one dialogue. A refusal is friendly and names what can be done.
"""

from __future__ import annotations

from anygen.nano.world.captions import caption, with_article
from anygen.nano.world.crossings import no_sound
from anygen.nano.world.requests import HEAR, MEDIUM_NOUNS, NOUN, POLITE, VERB, a_medium
from anygen.nano.world.scene import BACKGROUNDS, COLORS, MOTIONS, SILENT_THINGS, SOUNDING_THINGS, THINGS
from anygen.nano.world.turns import Speaker, Turns, Wordings, answer, defaults
from anygen.nano.world.words import COLOR_WORDS, NOUNS

REFUSAL = (
    "Sorry, my small world does not hold that. I can draw, film and play things like a bell, a dog, a car or a star."
)


def is_refusal(reply: str) -> bool:
    """Whether a reply says that the world does not hold what was asked for."""
    return reply.startswith(REFUSAL.split(".")[0])


UNKNOWN_THINGS = (
    "dragon", "castle", "man", "woman", "child", "mountain", "computer", "pizza", "robot", "elephant", "horse", "king",
    "queen",
    "unicorn", "volcano", "city", "bridge", "river", "ocean", "beach", "forest", "sandwich", "cake", "guitar",
    "violin", "trumpet",
    "airplane", "helicopter", "bus", "bicycle", "truck", "tractor", "tiger", "lion", "bear", "monkey", "snake",
    "spider", "frog",
    "butterfly", "whale", "shark", "dinosaur", "wizard", "witch", "ghost", "vampire", "zombie", "pirate", "ninja",
    "knight", "sword",
    "table", "chair", "lamp", "window", "door", "bed", "book", "newspaper", "television", "camera", "laptop",
    "keyboard", "mouse",
    "banana", "tomato", "carrot", "potato", "egg", "burger", "coffee", "bottle", "glass", "cup", "spoon", "shoe",
    "hat", "shirt",
    "dress", "skyscraper", "church", "school", "hospital", "desert", "island", "waterfall", "rainbow", "storm", "cow",
    "pig", "sheep",
    "goat", "chicken", "duck", "penguin", "owl", "rabbit", "fox", "wolf", "panda", "kangaroo", "giraffe", "zebra",
    "camel", "person",
    "girl", "boy", "baby", "doctor", "teacher", "soldier", "dancer", "clown", "angel", "mermaid", "alien", "planet",
    "galaxy", "comet",
    "pentagon", "hexagon", "octagon", "cube", "pyramid", "cylinder", "spiral", "arrow", "crown", "key", "lock",
    "hammer", "umbrella",
    "flute", "saxophone", "orchestra", "motorcycle", "submarine", "tank", "windmill", "lighthouse", "snowman",
    "cactus", "mushroom",
)  # fmt: skip
UNKNOWN_THINGS_OF_TEST = ("swan", "donkey", "pear", "lemon", "trombone", "tower", "garden", "scissors", "pencil",
"farmer", "taxi")
UNKNOWN_DOINGS = (
    "playing chess", "riding a horse", "eating pizza", "wearing a hat", "reading a book", "dancing with a king",
    "in paris",
    "on the surface of mars", "fighting a dragon", "in the style of van gogh", "driving through a city",
    "with sunglasses", "in a castle",
    "drinking coffee", "swimming in the ocean", "made of glass", "in the kitchen", "at the beach",
    "in the rain forest", "on a table",
)  # fmt: skip
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


def refuse(speaker: Speaker) -> Turns:
    """Things, doings and requests that are not of this world."""
    rng = speaker.rng
    unseen = speaker.split == "test" and speaker.chance(0.5)
    thing = with_article(rng.choice(UNKNOWN_THINGS_OF_TEST if unseen else UNKNOWN_THINGS))
    kind = rng.random()
    if kind < 0.4:
        return speaker.user(speaker.say(UNKNOWN_REQUESTS, thing=thing)), answer(REFUSAL)
    if kind < 0.75:
        color = rng.choice(("", "", rng.choice(COLORS), rng.choice(("large", "small", "big"))))
        x = with_article(f"{color} {thing.split(' ', 1)[1]}".strip())
        x += rng.choice(("", "", f" {rng.choice(UNKNOWN_DOINGS)}", " on grass", " at night", " in the sky"))
    else:
        scene = speaker.scene("image")
        with_thing = f"{rng.choice(('and', 'next to', 'with', 'on', 'eating'))} {thing}"
        doing = with_thing if speaker.chance(0.3) else rng.choice(UNKNOWN_DOINGS)
        x = f"{caption(scene, 'image', rng, said={'color'})} {doing}"
    modality = rng.choices(("image", "video", "audio"), weights=(0.6, 0.2, 0.2))[0]
    slots = {"x": x, "a_medium": a_medium(speaker, modality), "medium": rng.choice(MEDIUM_NOUNS[modality])}
    form = rng.random()
    if form < 0.15:
        return speaker.user(x), answer(REFUSAL)
    words = speaker.say(NOUN, **slots) if form < 0.45 else speaker.say(POLITE, r=speaker.say(VERB[modality], **slots))
    return speaker.user(words), answer(REFUSAL)


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
