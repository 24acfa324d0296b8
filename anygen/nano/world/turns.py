"""What a dialogue is made of, and the `Speaker` that draws its scenes and wordings.

Between `captions.py` (one scene in words) and the dialogue files (`questions.py`, `requests.py`, `crossings.py`,
`smalltalk.py`, `refusals.py`), whose functions each take a `Speaker` and give the turns of one dialogue.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from anygen.nano.world.captions import canonical_caption
from anygen.nano.world.scene import INVISIBLE_PAIRS, Scene, held_out_pairs, is_held_out, sample_scene, sample_tone
from anygen.nano.world.synonyms import reworded

MEDIA = ("image", "video", "audio")

NATURAL_COLORS = {
    "bell": "yellow", "drum": "red", "clock": "brown", "car": "red", "train": "green", "bird": "blue", "cat": "orange",
    "dog": "brown", "bee": "yellow", "rain": "blue", "boat": "brown", "ambulance": "orange", "phone": "black",
    "piano": "black", "rocket": "red", "heart": "red", "house": "brown", "tree": "green", "flower": "pink",
    "sun": "yellow", "moon": "yellow", "fish": "orange", "apple": "red", "ball": "orange", "circle": "red",
    "square": "blue", "triangle": "green", "star": "yellow", "diamond": "blue", "cross": "red", "ring": "yellow",
    "crescent": "yellow",
}  # fmt: skip
"""The colour a thing gets where the user names none; never white, so that it shows on the default background."""

FALLBACK_COLORS = ("red", "blue", "yellow", "green", "orange")
FALLBACK_BACKGROUNDS = ("white", "gray", "night")
"""What a default becomes where its pair with the thing is held out: the first that is not."""


FRAMES = (
    "{q}, please", "please: {q}", "{q} please tell me", "tell me, {q}", "tell me: {q}", "hey, {q}", "hello, {q}", "ok, {q}",
    "so, {q}", "now, {q}", "and {q}", "well, {q}", "i wonder, {q}", "i would like to know: {q}", "i want to know, {q}",
    "do you know, {q}", "let me know: {q}", "one question: {q}", "quick question, {q}", "just one thing: {q}", "{q} thanks",
    "{q} thank you", "help me here: {q}", "look, {q}", "could you help me? {q}", "next, {q}",
    "excuse me, {q}", "i need to know {q}", "would you tell me, {q}", "will you say, {q}", "nano, {q}", "dear nano, {q}",
)  # fmt: skip
"""What people put around a question or a request."""

PADDING = (
    "and", "so", "then", "now", "but", "or", "if", "that", "this", "it", "you", "i", "we", "us", "my", "your", "our",
    "is", "are", "was", "be", "am", "did", "does", "done", "can", "could", "would", "will", "shall", "should", "may",
    "might", "must", "to", "for", "from", "with", "about", "as", "at", "in", "on", "of", "by", "out", "here", "there", "what",
    "when", "who", "why", "how", "yes", "no", "not", "all", "any", "some", "more", "most", "much", "many", "only", "just",
    "also", "again", "once", "too", "very", "really", "maybe", "perhaps", "always", "never", "today", "tonight", "tomorrow",
    "soon", "later", "first", "last", "next", "please", "thanks", "thank you", "sorry", "hello", "hi", "hey", "ok", "okay",
    "well", "good", "great", "nice", "kind", "kindly", "dear", "friend", "friends", "work", "page", "letter", "wall", "desk",
    "day", "week", "minute", "moment", "time", "thing", "things", "way", "bit", "lot", "help", "ask", "asked", "asking",
    "want", "wanted", "need", "needed", "like", "love", "hope", "wish", "think", "know", "wonder", "believe", "try", "trying",
    "get", "go", "going", "come", "take", "keep", "put", "let", "send", "bring", "use", "find", "wait", "hurry", "quick",
    "quickly", "slowly", "careful", "careful,", "easy", "simple", "possible", "sure", "able", "ready", "happy", "glad",
    "grateful", "favor", "favour", "job", "task", "idea", "example", "test", "new", "old", "own", "best", "better", "one",
    "another", "same", "other", "different", "because", "since", "while", "before", "after", "until", "though", "however",
    "too,", "well,", "look,", "listen,", "see,", "so,", "now,", "and,", "nano", "assistant",
)  # fmt: skip
"""Words that name nothing nano makes, put together at random around requests in training, see `Speaker.padded`."""


@dataclass(frozen=True, kw_only=True)
class DialoguePart:
    """A text, or a medium given by its scene."""

    type: str
    """"text", "image", "video" or "audio"."""
    text: str | None = None
    """The words of a text part."""
    scene: Scene | None = None
    """What a media part shows or sounds like."""
    caption: str | None = None
    """The canonical caption of a media part."""


@dataclass(frozen=True, kw_only=True)
class DialogueTurn:
    """What one side says in one go."""

    role: str
    """"user" or "assistant"."""
    parts: tuple[DialoguePart, ...]

    @property
    def text(self) -> str:
        """The words of the turn, without its media."""
        return "".join(part.text for part in self.parts if part.type == "text")

    @property
    def media(self) -> tuple[DialoguePart, ...]:
        """The media parts of the turn."""
        return tuple(part for part in self.parts if part.type != "text")


Turns = tuple[DialogueTurn, ...]
"""A dialogue's turns, of user and assistant in alternation."""


@dataclass(frozen=True, kw_only=True)
class Dialogue:
    """Turns of user and assistant in alternation; the user begins and the assistant ends."""

    task: str
    turns: tuple[DialogueTurn, ...]


@dataclass(frozen=True, kw_only=True)
class Wordings:
    """Templates of one request. "[a|b]" stands for either, "{name}" for a slot; `test` is never said in training."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    more: tuple[str, ...] = ()
    """Said in training alone, so that requests of the test stay the same however many are added here."""

    def expansions(self, split: str) -> Iterator[str]:
        """Every wording that the templates of "train" or "test" stand for, with its slots unfilled."""
        for template in self.test if split == "test" else self.train + self.more:
            pieces = [piece.split("|") for piece in re.split(r"[\[\]]", template)]
            yield from ("".join(choice) for choice in itertools.product(*pieces))


class Speaker:
    """Draws what one dialogue needs: scenes of a split, wordings, and the user's way of typing.

    `sample(modality)` gives the scene of a medium (a trainer draws from what it has rendered); without it scenes are
    drawn afresh. Scenes that follow from others (edits, unnamed attributes at their default) are never from `sample`.
    """

    def __init__(self, rng: random.Random, *, split: str = "train", sample: Callable[[str], Scene] | None = None):
        self.rng = rng
        self.split = split
        self.sample = sample

    def scene(self, modality: str, *, where: Callable[[Scene], bool] | None = None, tries: int = 200) -> Scene:
        """A scene for a medium: sounding for audio, lone for video; one that `where` holds for, if any does."""
        for _ in range(tries):
            scene = self.sample(modality) if self.sample else self._fresh(modality)
            if where is None or where(scene):
                return scene
        return scene if self.sample is None else Speaker(self.rng, split=self.split).scene(modality, where=where)

    def _fresh(self, modality: str) -> Scene:
        scene = sample_scene(self.rng, self.split, sounding=modality == "audio", lone=modality == "video")
        if modality == "audio" and self.rng.random() < 0.25:
            return replace(scene, tone=sample_tone(self.rng))
        return scene

    def allows(self, scene: Scene) -> bool:
        """Whether the dialogue's split may contain the scene, and the eye tell it from its background."""
        colors = [scene.color] + ([scene.companion.color] if scene.companion else [])
        if any((color, scene.background) in INVISIBLE_PAIRS for color in colors):
            return False
        return self.split == "held_out" or not held_out_pairs(scene)

    def plain(self, scene: Scene, *, said: Collection[str]) -> Scene:
        """The scene with every attribute that is not `said` at its default; unchanged where the split forbids that."""
        plain = replace(scene, **{name: value for name, value in defaults(scene.thing).items() if name not in said})
        return plain if self.allows(plain) else scene

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.rng.random() < probability

    def say(self, wordings: Wordings, **slots: str) -> str:
        """A wording with its slots filled; in the test split, half of them are of those never said in training."""
        unseen = self.split == "test" and self.chance(0.5)
        more = wordings.more if self.split == "train" else ()
        template = self.rng.choice(wordings.test if unseen else wordings.train + more)
        words = re.sub(r"\[([^\[\]]*)\]", lambda match: self.rng.choice(match.group(1).split("|")), template)
        return " ".join(words.format(**slots).split())

    def user(self, words: str, *media: DialoguePart) -> DialogueTurn:
        """The user's turn: media and words in either order, the words typed as people type."""
        if self.split == "train" and self.chance(0.15):
            words = reworded(words, self.rng)
        text = (DialoguePart(type="text", text=self._typed(words)),) if words else ()
        return DialogueTurn(role="user", parts=media + text if self.chance(0.7) else text + media)

    def framed(self, words: str) -> str:
        """A question or request with something around it, for training alone: what is evaluated stays comparable."""
        if self.split != "train" or not self.chance(0.3):
            return words
        frame = self.rng.choice(FRAMES)
        return frame.format(q=words.rstrip(".?!") if frame.startswith("{q}") else words)

    def padded(self, words: str) -> str:
        """A request with up to five words around it that ask for nothing, for training alone.

        No list of polite phrases is complete: who has heard any such word anywhere listens for what is asked for.
        """
        if self.split != "train" or not self.chance(0.2):
            return words
        padding = " ".join(self.rng.choices(PADDING, k=self.rng.randint(1, 5))).rstrip(",")
        mark = self.rng.choice(("", "", ",", ":", "."))
        return f"{padding}{mark} {words}" if self.chance(0.6) else f"{words.rstrip('.?!')}{mark.replace(':', ',')} {padding}"

    def _typed(self, words: str) -> str:
        if self.split == "train" and self.chance(0.12):
            words = mistyped(words, self.rng)
        manner = self.rng.random()
        if manner < 0.45:
            words = words[0].upper() + words[1:]
            return words if words[-1] in ".?!" else words + self.rng.choice((".", ".", "", "!"))
        if manner < 0.75:
            return words.rstrip(".?!") or words
        if manner < (0.81 if self.split == "train" else 0.78):
            return words.upper()
        return words


def mistyped(words: str, rng: random.Random) -> str:
    """One slip: a small word left out, or two letters swapped, one missing or one doubled in a word of five or more."""
    parts = words.split()
    small = [index for index, part in enumerate(parts) if part in ("a", "an", "the", "of", "me")]
    long = [index for index, part in enumerate(parts) if len(part) > 4 and part.isalpha()]
    if small and (not long or rng.random() < 0.4):
        del parts[rng.choice(small)]
    elif long:
        index = rng.choice(long)
        word, at = parts[index], rng.randrange(1, len(parts[index]) - 1)
        slips = (word[:at] + word[at + 1] + word[at] + word[at + 2 :], word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:])
        parts[index] = rng.choice(slips)
    return " ".join(parts) or words


def defaults(thing: str) -> dict[str, str]:
    """The looks of a thing where the user names none: a natural colour, large, in the center, on white."""
    colors = (NATURAL_COLORS[thing],) + FALLBACK_COLORS
    return {
        "color": next(color for color in colors if not is_held_out(thing, color)),
        "size": "large",
        "place": "center",
        "background": next(name for name in FALLBACK_BACKGROUNDS if not is_held_out(thing, name)),
    }


def medium(modality: str, scene: Scene) -> DialoguePart:
    """A media part."""
    return DialoguePart(type=modality, scene=scene, caption=canonical_caption(scene, modality))


def answer(words: str, *media: DialoguePart) -> DialogueTurn:
    """The assistant's turn: words, then media."""
    return DialogueTurn(role="assistant", parts=(DialoguePart(type="text", text=words),) + media)


def show(*media: DialoguePart) -> DialogueTurn:
    """The assistant's turn that makes media: each is named by its canonical caption right before it comes.

    Words behind a medium begin with a space, so that the words of a reply read on where the media are left out.
    """
    parts = []
    for part in media:
        words = f"{' And here' if parts else 'Here'} {'are' if _is_plural(part) else 'is'} {part.caption}."
        parts += [DialoguePart(type="text", text=words), part]
    return DialogueTurn(role="assistant", parts=tuple(parts))


def _is_plural(part: DialoguePart) -> bool:
    if part.type == "audio":
        return part.scene.tone is not None and part.scene.tone.contour.endswith("beeps")
    return part.scene.count > 1
