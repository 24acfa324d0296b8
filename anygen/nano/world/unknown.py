"""What the world does not hold, for refusals: things, people, places, doings, and requests that are none of its business.

Beside the lists, `made_up_word` gives words that are no words. The more there is that nano must not take for one of its
things, the better it knows those. Things that the evaluation alone asks for (`UNKNOWN_THINGS_OF_TEST`, and what the requests
outside the world in `anygen/evaluation/edges.tsv` name) are left out of what training says more.
"""

from __future__ import annotations

import random

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
MORE_UNKNOWN_THINGS = tuple(
    """
    ant badger bat beaver bison buffalo bull calf caterpillar cheetah chimpanzee cobra cockroach crab crocodile crow
    deer dolphin dragonfly eagle eel emu falcon ferret flamingo fly gazelle gecko goose gorilla grasshopper gull hamster
    hare hawk hedgehog hen heron hippo hornet hyena iguana jackal jaguar jellyfish koala ladybug lamb leopard lizard
    llama lobster lynx magpie mole moose mosquito moth newt ostrich otter ox oyster parrot peacock pelican pigeon
    platypus pony porcupine puma raccoon ram rat raven reindeer rhino rooster salamander scorpion seal shrimp skunk
    sloth slug snail sparrow squid squirrel stork swallow termite toad tortoise turkey turtle viper vulture walrus wasp
    weasel wombat worm yak almond apricot avocado bagel bean beer biscuit blackberry blueberry bread broccoli butter
    cabbage candy cauliflower cherry chestnut chocolate coconut cookie corn croissant cucumber donut fig garlic grape
    grapefruit ham honey jam juice kiwi leek lettuce lime mango melon milk muffin noodle nut oat olive omelette onion
    pancake papaya pasta pea peach peanut pepper pickle pie pineapple plum popcorn pretzel pudding pumpkin radish
    raspberry rice salad salt sausage soup spinach steak strawberry sugar sushi syrup taco tea toast turnip vinegar
    waffle walnut watermelon wine yogurt armchair ashtray axe backpack bag balcony bandage barrel basin basket bath
    bathtub battery bench blanket blender board bolt bookshelf boot bow bracelet brick broom brush bucket buckle bulb
    button cabinet calculator calendar candle cane cap card carpet cart chain chandelier chest chimney clothes coat coin
    comb compass cork couch cradle crayon cupboard curtain cushion desk diary dice dictionary dish doll drawer drill
    earring envelope eraser fan faucet feather fence flag fork freezer fridge funnel glove glue goggles grill hairbrush
    hammock handbag hanger headphones helmet hinge hose iron jacket jar jeans jug kettle kite knife knot ladder ladle
    lamppost lens letter lid lighter lipstick magnet mailbox marble mask match mattress microphone microscope microwave
    mirror mop mug nail napkin necklace needle net notebook oven paddle paintbrush pan paper parachute passport pen
    perfume pillow pin pipe plate plier plow pocket pot printer projector pump purse puzzle quilt racket radio rake
    razor refrigerator remote ribbon robe rope rug ruler sack saddle sandal saw scale scarf screen screw screwdriver
    shelf shield shovel shower sink skate skateboard ski skirt sled slipper soap sock sofa sponge stamp stapler stick
    stool stove string suit suitcase sweater swing syringe tablet tap tape teapot tent thermometer thread tie tile tire
    toaster toilet toothbrush torch towel toy tray treadmill tripod trousers trunk tube tweezers typewriter vase vest
    wallet wardrobe wheelchair whip whistle wig wire wrench yo-yo zipper accordion banjo bagpipe bassoon cello clarinet
    cymbal fiddle gong harmonica harp lute lyre mandolin oboe organ sitar synthesizer tambourine tuba ukulele viola
    xylophone actor artist astronaut athlete aunt baker banker barber biker bishop boxer bride brother builder butcher
    butler captain carpenter chef chemist cook cop cowboy dad dentist detective driver electrician engineer father
    firefighter fisherman friend gardener general grandfather grandmother guard hero hunter husband infant janitor
    jockey judge juggler lawyer librarian lifeguard magician mailman mechanic miner monk musician neighbor nurse officer
    painter parent philosopher pilot plumber poet policeman postman president priest prince princess prisoner professor
    programmer reporter runner sailor samurai scientist sculptor secretary servant sheriff singer sister skier spy
    student superhero surfer swimmer tailor thief tourist troll tutor twin uncle viking waiter warrior wife worker
    writer dwarf elf fairy goblin centaur cyclops demon gnome griffin hobbit monster ogre phoenix werewolf yeti airport
    aquarium arena bakery bank bar barn basement bay canal canyon cathedral cave cellar cemetery cinema classroom cliff
    coast corridor court crater dam dock factory farm field fjord fort fountain garage gate glacier greenhouse harbor
    highway hill hotel hut igloo kitchen laboratory library mall mansion marina market mill mine monastery monument
    mosque museum office orchard palace park pier pond pool port prison pub puddle railway ranch reef restaurant road
    roof room ruin runway shop shore stadium stage stairs station statue store street suburb swamp temple theater tomb
    town tunnel valley village villa warehouse waterway well yard zoo ambush anchor antenna balloon bomb bullet
    bulldozer bumper cable caravan carriage chariot coach crane crossbow dinghy drone elevator engine excavator ferry
    forklift gearbox glider gun hovercraft jeep jet kayak limousine lorry missile moped motor parachutist pistol plane
    raft rifle sailboard satellite scooter shuttle sleigh snowmobile spear steamroller streetcar subway tanker telescope
    trailer tram tricycle trolley ufo van wagon wheelbarrow yacht zeppelin avalanche blizzard cyclone drought dune
    earthquake eclipse fire flame flood fog frost geyser gravel hurricane ice iceberg icicle lava leaf log meteor mist
    moss mud nest oasis pebble root sand shadow shell smoke snow snowflake soil stone tornado tsunami twig vine wave
    weed whirlpool wind ankle arm beard bone brain cheek chin ear elbow eye eyebrow face finger fist foot forehead hair
    hand head jaw knee leg lip lung mouth muscle neck nose palm rib shoulder skeleton skull smile stomach thumb toe
    tongue tooth anagram arch asterisk barcode chessboard comma cone crosshair decagon equation graph grid heptagon
    hourglass line logo maze oval parabola parallelogram polygon rectangle semicircle stripe swirl trapezoid tetrahedron
    torus zigzag angle award ballet battle business carnival ceremony choir circus concert contract crime danger death
    disease dream economy election emotion error examination exam explosion fight funeral game garbage government
    happiness heaven hell holiday honeymoon idea illness joke journey kiss law lesson lie lightsaber luck magic marathon
    marriage meeting memory miracle money nation nightmare opera parade party peace picnic poem poverty prayer prize
    problem promise race religion revolution riot ritual robbery secret selfie song speech sport story strike success
    summer tax tournament trade trip victory wedding weekend wish zodiac
    """.split()
)
"""As `UNKNOWN_THINGS`, said in training alone."""
UNKNOWN_NAMES = (
    "paris", "london", "africa", "tokyo", "america", "china", "the eiffel tower", "the statue of liberty", "big ben",
    "santa claus", "mickey mouse", "batman", "superman", "spider-man", "harry potter", "darth vader", "godzilla", "king kong",
    "albert einstein", "napoleon", "cleopatra", "shakespeare", "mozart", "michael jackson", "jesus", "buddha", "zeus", "barbie",
    "my father", "my sister", "my brother", "my dad", "my family", "my boss", "my girlfriend", "my teacher", "my face", "my room",
    "myself", "yourself", "you and me", "everyone", "people", "somebody", "love", "happiness", "music", "the future",
    "democracy", "summer", "christmas", "halloween", "easter", "the universe", "the earth", "mars", "jupiter", "heaven", "hell",
    "water", "money", "gold", "blood", "food", "a lot of people", "the news", "the internet", "peace", "freedom",
)  # fmt: skip
"""What has no article of its own, said in training alone."""
UNKNOWN_DOINGS = (
    "playing chess", "riding a horse", "eating pizza", "wearing a hat", "reading a book", "dancing with a king",
    "in paris",
    "on the surface of mars", "fighting a dragon", "in the style of van gogh", "driving through a city",
    "with sunglasses", "in a castle",
    "drinking coffee", "swimming in the ocean", "made of glass", "in the kitchen", "at the beach",
    "in the rain forest", "on a table",
)  # fmt: skip
MORE_UNKNOWN_DOINGS = (
    "{doing} {thing}", "{doing} {thing}", "{doing} {thing}", "{doing} a {plain}", "made of {stuff}", "full of {stuff}",
    "in the style of {artist}", "by {artist}", "in {land}", "on {planet}", "with {thing}", "with {thing} on its head",
    "under {thing}", "behind {thing}", "next to {thing}", "between {thing} and {thing}", "inside {thing}", "near {thing}",
    "without {thing}", "for {thing}", "in front of {thing}", "dressed as {thing}", "that looks like {thing}",
    "with [four legs|two heads|a mustache|big eyes|wings|arms and legs|a crown|a cape|a long nose|glasses]",
    "[sleeping|crying|laughing|smiling|cooking|thinking|studying|singing opera|doing homework|dancing|skating|working]",
    "at [the office|school|a party|the airport|a wedding|the gym|the doctor|a concert|dawn|noon]",
    "[underwater|in outer space|upside down in a mirror|on the moon's surface|in the middle ages|in the year 3000|on fire]",
    "winning [a race|a prize|the lottery|an election]", "on [television|stage|a horse|a skateboard|a stamp|a throne]",
    "[wearing|in] [a suit|boots|a red dress|a uniform|a coat|a wig|a scarf|armor]",
    "drinking [beer|tea|wine|milk|water]", "eating [pasta|an apple pie|a cake|noodles|fish and chips|rice]",
)  # fmt: skip
"""As `UNKNOWN_DOINGS`, said in training alone; "[a|b]" stands for either, the slots are of `SLOTS`, `thing` and `plain`."""
SLOTS = {
    "doing": (
        "riding", "chasing", "eating", "holding", "painting", "building", "driving", "cooking", "climbing", "talking to",
        "kissing", "fighting", "carrying", "watching", "reading", "buying", "selling", "hugging", "playing with", "cutting",
        "jumping over", "hiding behind", "falling from", "looking at", "waiting for", "flying over", "throwing", "washing",
    ),
    "stuff": ("glass", "wood", "gold", "chocolate", "ice", "lego", "paper", "metal", "water", "stone", "candy", "fur", "clay"),
    "artist": ("picasso", "monet", "van gogh", "dali", "rembrandt", "banksy", "a child", "andy warhol", "pixar", "disney"),
    "land": ("france", "spain", "germany", "italy", "japan", "india", "brazil", "canada", "egypt", "london", "texas"),
    "planet": ("mars", "venus", "jupiter", "an island", "a mountain", "a boat trip", "the roof", "a road", "the floor"),
    "genre": ("jazz", "rock", "blues", "techno", "reggae", "country music", "heavy metal", "opera", "folk music", "pop", "rap",
              "disco", "house music", "a lullaby", "a symphony", "a ballad", "the national anthem", "a melody", "mozart", "bach"),
    "person": ("napoleon", "einstein", "the king of spain", "the president", "picasso", "columbus", "plato", "the pope",
               "my neighbor", "julius caesar", "the queen", "elvis"),
    "subject": ("history", "physics", "biology", "grammar", "cooking", "football", "economics", "philosophy", "medicine", "law",
                "programming", "chemistry", "politics", "gardening", "religion", "art history"),
    "tongue": ("german", "french", "spanish", "chinese", "latin", "russian", "italian", "arabic", "korean", "dutch", "greek"),
    "unit": ("meters", "feet", "pounds", "kilos", "hours", "inches", "liters", "dollars", "euros", "degrees"),
}  # fmt: skip
MORE_UNKNOWN_REQUESTS = (
    "write [|me ][a|an|one] [blog post|email|article|haiku|limerick|song|fairy tale|review|cv|diary entry] about {known|thing|subject}",
    "[write|tell|read] me [a story|a poem|something] about {known|thing|person}", "[describe|explain] {subject} to me",
    "teach me {subject|tongue}", "what do you know about {subject|person|land}?", "how do i learn {subject|tongue}?",
    "who [was|is] {person}?", "when was {person} born?", "where does {person} live?", "who [built|invented|discovered|owns] {thing}?",
    "how [heavy|expensive|fast|rare|old|long|dangerous] is {known|thing}?", "how much [is|costs|does one pay for] {known|thing}?",
    "where can i [buy|find|rent|sell] {known|thing}?", "how [do i|does one|can i] [build|repair|cook|clean|use|buy] {known|thing}?",
    "what is {known|thing} made of?", "why [do|does] {plural} [cry|exist|eat|sleep|die|work|fly|swim]?",
    "[how many|how much] {unit} [is|are in] {number} {unit}?", "{number} {unit} in {unit}?", "what is {number} [plus|minus] {number}?",
    "{number} [+|-] {number}", "{number} + {number} = ?", "how much is {number} [and|plus|minus] {number}?", "the sum of {number} and {number}",
    "half of {number}", "{number} percent of {number}", "is {number} a prime number?", "count to {number}", "what is the root of {number}?",
    "what is the [capital|population|currency|flag|president] of {land}?", "where is {land}?", "is {land} [big|rich|far|safe]?",
    "how do you say {known|thing} in {tongue}?", "translate {known|thing} [to|into] {tongue}", "speak {tongue}", "do you speak {tongue}?",
    "[play|put on|i want to hear|let me hear|give me|sing] {genre}", "play [some|a bit of|a little] {genre} for me", "{genre}, please",
    "a song by {artist|person}", "the voice of {person}", "say {known|thing} [out loud|in a funny voice]",
    "[turn on|turn off|switch on] the [light|radio|heating|music|tv]", "set [an alarm|a timer] for {number} minutes",
    "[call|text|email|remind] {person|thing}", "buy {thing}", "order [me |]{thing}", "book {thing}", "sell my {plain}",
    "what [should|can] i [cook|wear|read|watch|buy|play]?", "recommend [me |]a [film|series|song|wine|hotel|phone plan|game]",
    "am i [beautiful|right|sick|rich|old]?", "do you [love|hate|like|know] {thing|person|genre}?", "are you [happy|alive|sad|hungry|free]?",
    "what is [the best|your favorite] [movie|song|city|team|dish|book]?", "who will win [the election|the cup|tomorrow]?",
    "open [the door|my files|a website|the browser|google]", "[search|google] {thing|person}", "download {thing}",
    "[debug|review|run|compile] [my|this] [code|script|program]", "sort [a list|these numbers]", "[define|spell] {thing}",
    "what does {made_up} mean?", "{made_up}", "{made_up} {made_up}", "{made_up} {made_up} {made_up}", "what is {made_up}?",
    "does [santa|magic|love|hell] exist?", "what happens after death?", "what is [time|love|art|truth|music|money]?",
    "[tell me|what is] the [date|value of gold|score|way to the station|future]", "where [am i|are you|do you live]?",
    "[i am|i feel] [sad|hungry|bored|tired|sick|lonely]", "i [love|hate|miss] {person|thing}", "{person} said hello",
    "let us [talk about|discuss] {subject|land|person}", "give me [a hint|homework|some money|your number|a name for my {plain}]",
    "make me [laugh|rich|a coffee|dinner|happy]", "is it [cold|warm|late|monday|sunny] [today|outside]?",
    "[plan|organize] [a trip to {land}|my week|a wedding|a party]", "compare {thing} and {thing}", "list [six|five|all] {plural}",
)  # fmt: skip
"""Requests without a medium of this world, said in training alone; a slot "{a|b}" is filled by either of its names."""

_ONSETS = ("b", "br", "cl", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pl", "qu", "r", "s", "sk",
           "sn", "st", "t", "tr", "v", "w", "y", "z")  # fmt: skip
_RHYMES = ("a", "ab", "ack", "ad", "ag", "al", "am", "an", "ap", "ark", "ask", "e", "eb", "eck", "ed", "ell", "em", "en", "ent",
           "i", "ib", "ick", "id", "iff", "ig", "im", "in", "ist", "o", "ob", "ock", "od", "og", "om", "on", "ost", "u", "ub",
           "uck", "ud", "uff", "ug", "um", "un", "ust")  # fmt: skip


def made_up_word(rng: random.Random) -> str:
    """Two or three syllables that are no word of English, or only by chance."""
    return "".join(rng.choice(_ONSETS) + rng.choice(_RHYMES) for _ in range(rng.choice((2, 2, 3))))
