"""The words of the world: every name a user may give a thing, colour, place, background, motion or sound.

Plain tables, read by `captions.py` and the dialogues. The first entry of each row is the canonical one, which the
assistant itself uses; the others are what users may type. No word stands for two values of one attribute.
"""

from __future__ import annotations

NOUNS: dict[str, tuple[tuple[str, str], ...]] = {
    "bell": (("bell", "bells"),),
    "drum": (("drum", "drums"),),
    "clock": (("clock", "clocks"), ("alarm clock", "alarm clocks")),
    "car": (("car", "cars"), ("automobile", "automobiles"), ("auto", "autos")),
    "train": (("train", "trains"), ("locomotive", "locomotives"), ("railway train", "railway trains")),
    "bird": (("bird", "birds"), ("birdie", "birdies")),
    "cat": (("cat", "cats"), ("kitty", "kitties"), ("kitten", "kittens")),
    "dog": (("dog", "dogs"), ("puppy", "puppies"), ("doggy", "doggies"), ("hound", "hounds")),
    "bee": (("bee", "bees"), ("bumblebee", "bumblebees"), ("honeybee", "honeybees")),
    "rain": (("rain cloud", "rain clouds"), ("raincloud", "rainclouds"), ("rainy cloud", "rainy clouds")),
    "boat": (("boat", "boats"), ("ship", "ships"), ("sailboat", "sailboats")),
    "ambulance": (("ambulance", "ambulances"), ("ambulance car", "ambulance cars")),
    "phone": (("phone", "phones"), ("telephone", "telephones")),
    "piano": (("piano", "pianos"), ("grand piano", "grand pianos")),
    "rocket": (("rocket", "rockets"), ("rocket ship", "rocket ships"), ("spaceship", "spaceships")),
    "heart": (("heart", "hearts"),),
    "house": (("house", "houses"), ("home", "homes"), ("cottage", "cottages")),
    "tree": (("tree", "trees"),),
    "flower": (("flower", "flowers"), ("blossom", "blossoms")),
    "sun": (("sun", "suns"),),
    "moon": (("moon", "moons"),),
    "fish": (("fish", "fish"), ("fish", "fishes")),
    "apple": (("apple", "apples"),),
    "ball": (("ball", "balls"), ("beach ball", "beach balls")),
    "circle": (("circle", "circles"), ("disc", "discs"), ("disk", "disks"), ("dot", "dots")),
    "square": (("square", "squares"), ("box", "boxes")),
    "triangle": (("triangle", "triangles"),),
    "star": (("star", "stars"),),
    "diamond": (("diamond", "diamonds"), ("rhombus", "rhombuses")),
    "cross": (("cross", "crosses"), ("plus sign", "plus signs")),
    "ring": (("ring", "rings"), ("hoop", "hoops")),
    "crescent": (("crescent", "crescents"), ("crescent shape", "crescent shapes")),
}
"""thing -> ((singular, plural), ...)"""

COLOR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red", "scarlet", "crimson"),
    "orange": ("orange", "orange-colored", "orange-coloured"),
    "yellow": ("yellow", "golden"),
    "green": ("green", "emerald"),
    "blue": ("blue", "navy"),
    "purple": ("purple", "violet"),
    "pink": ("pink", "rose-colored", "rose-coloured"),
    "brown": ("brown", "chestnut"),
    "white": ("white", "snow-white"),
    "black": ("black", "jet-black"),
}

SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "small": ("small", "little", "tiny"),
    "large": ("large", "big", "huge"),
}

PLACE_WORDS: dict[str, tuple[str, ...]] = {
    "left": ("on the left", "at the left", "on the left side", "on the left-hand side", "to the left"),
    "right": ("on the right", "at the right", "on the right side", "on the right-hand side", "to the right"),
    "top": ("at the top", "on top", "in the upper part", "near the top", "up at the top"),
    "bottom": ("at the bottom", "in the lower part", "near the bottom", "down at the bottom"),
    "center": ("in the center", "in the middle", "in the centre", "at the center", "right in the middle"),
}

BACKGROUND_WORDS: dict[str, tuple[str, ...]] = {
    "white": ("on white", "on a white background", "on white paper", "against white", "in front of a white wall"),
    "black": ("on black", "on a black background", "on black paper", "against black", "in front of a black wall"),
    "gray": ("on gray", "on grey", "on a gray background", "on a grey background", "in front of a gray wall"),
    "sky": ("in the sky", "against the sky", "in front of the sky", "in a clear sky"),
    "grass": ("on grass", "on the grass", "on a lawn", "on a meadow", "in a meadow", "on green grass"),
    "night": ("at night", "in the night", "by night", "under the night sky", "at nighttime", "in the dark of night"),
}

COUNT_WORDS: dict[int, tuple[str, ...]] = {
    1: ("a", "one", "the", "a single"),
    2: ("two", "2", "a pair of", "a couple of"),
    3: ("three", "3", "a group of three", "a trio of"),
}

RELATION_WORDS: dict[str, tuple[str, ...]] = {
    "left of": ("left of", "to the left of", "on the left of", "on the left side of"),
    "above": ("above", "over", "on top of", "higher than"),
}

MOTION_WORDS: dict[str, tuple[str, ...]] = {
    "moves left": ("moving left", "moving to the left", "going left", "travelling left", "sliding to the left"),
    "moves right": ("moving right", "moving to the right", "going right", "traveling right", "sliding to the right"),
    "moves up": ("moving up", "moving upwards", "going up", "traveling up", "sliding upward"),
    "moves down": ("moving down", "moving downwards", "going down", "travelling down", "sliding downward"),
    "grows": ("growing", "getting bigger", "becoming larger", "getting larger"),
    "shrinks": ("shrinking", "getting smaller", "becoming smaller", "dwindling"),
    "spins": ("spinning", "rotating", "turning around", "spinning around"),
    "blinks": ("blinking", "flashing", "blinking on and off", "flickering"),
    "bounces": ("bouncing", "bouncing up and down", "hopping", "jumping up and down"),
    "stays still": ("staying still", "standing still", "not moving", "resting", "keeping still"),
}
"""motion -> participles, to be put behind the thing; the finite form is the motion's own name ("moves left")."""

SOUND_WORDS: dict[str, tuple[str, ...]] = {
    "bell": ("a bell ringing", "a ringing bell", "the ringing of a bell", "a bell chiming", "bells ringing"),
    "drum": ("a drum beating", "drumming", "a drum being played", "drum beats", "someone playing the drum"),
    "clock": ("a clock ticking", "a ticking clock", "the ticking of a clock", "tick tock"),
    "car": ("a car driving", "a car engine", "a car engine running", "the engine of a car"),
    "train": ("a train passing", "a train on the rails", "a train rolling by", "a passing train"),
    "bird": ("a bird singing", "a bird chirping", "birdsong", "a chirping bird", "the song of a bird", "tweeting"),
    "cat": ("a cat meowing", "a meowing cat", "the meow of a cat", "a kitty meowing", "meowing"),
    "dog": ("a dog barking", "a barking dog", "the bark of a dog", "a puppy barking", "barking", "woof woof"),
    "bee": ("a bee buzzing", "a buzzing bee", "the buzz of a bee", "a bee humming", "buzzing"),
    "rain": ("rain falling", "rain", "falling rain", "raindrops", "rain pouring down", "a rain shower"),
    "boat": ("a boat horn", "a ship's horn", "the horn of a boat", "a boat hooting", "a foghorn"),
    "ambulance": ("an ambulance siren", "the siren of an ambulance", "an ambulance wailing", "a siren"),
    "phone": ("a phone ringing", "a ringing phone", "the ring of a telephone", "a telephone ringing", "a ringtone"),
    "piano": ("a piano playing", "someone playing the piano", "piano music", "a piano being played", "piano notes"),
    "rocket": ("a rocket taking off", "a rocket launching", "a rocket launch", "the roar of a rocket"),
    "heart": ("a heart beating", "a beating heart", "a heartbeat", "the beating of a heart", "the beat of a heart"),
}
"""sounding thing -> what is heard; "the sound of a bell" and the like are made from `NOUNS`."""

HEIGHT_WORDS: dict[str, tuple[str, ...]] = {
    "low": ("low", "deep", "low-pitched"),
    "middle": ("middle", "medium", "mid-range"),
    "high": ("high", "high-pitched", "shrill"),
}

CONTOUR_WORDS: dict[str, tuple[str, ...]] = {
    "steady": ("steady", "constant", "even", "unchanging"),
    "rising": ("rising", "climbing", "ascending"),
    "falling": ("falling", "descending", "sinking"),
    "warbling": ("warbling", "wobbling", "trembling", "wavering"),
    "slow beeps": ("slow beeps", "slow beeping", "beeping slowly", "slow beep tones"),
    "fast beeps": ("fast beeps", "quick beeps", "rapid beeps", "fast beeping", "beeping fast"),
}
