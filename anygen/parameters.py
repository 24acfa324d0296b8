"""What a caller may set about a request, with defaults, checked before anything is loaded or computed.

Every fault is an `AnyGenError("invalid_parameter")` that names the parameter, what was found and the rule.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from anygen.errors import AnyGenError

MODALITIES = ("text", "image", "video", "audio")
"""What a reply can hold. Here and not in `anygen.media`, with which numpy comes: the command line needs it too."""
OUTPUT_TYPES = ("pil", "np", "pt")
MAX_INFERENCE_STEPS = 1000
"""More than any schedule was trained with; bounds what one request may cost."""
WHOLE_BOUNDS = {"num_inference_steps": MAX_INFERENCE_STEPS, "height": 2048, "width": 2048, "num_frames": 512, "top_k": 65536}
"""Generator parameters that are whole numbers of at least 1 (steps, pixels, frames, tokens), and the most of each."""
SIDE_MULTIPLE = 8
"""Sides of pictures and films are a multiple of so many pixels, as the pipelines of diffusers ask for."""
MAX_SECONDS = 600
"""The longest sound that a request may ask for."""
SIZES = ("height", "width", "num_frames", "audio_length_in_s")
"""Parameters that say how large a medium is: pixels, frames, seconds."""
MAX_ENLARGEMENT = 16.0
"""How many times as large as the model's own a medium may be that somebody else asks for: of a server, a page, a batch."""
MAX_OUTPUTS = 64

OnStepEnd = Callable[[str, int, int], None]
"""Called after each denoising step with (modality, step counted from 1, number of steps)."""


@dataclass(frozen=True, kw_only=True)
class GenerationParameters:
    """How requests are answered."""

    modalities: Sequence[str] | None = None
    """Media to answer with, exactly these and in this order, e.g. ["image", "audio"]; ["text"] for words alone; None
    leaves it to the LLM. What the LLM says around the media is kept as text."""
    captions: Sequence[str] | None = None
    """What to make, one caption for each of the media in `modalities`: the generator's own text encoder reads it as it is,
    and the LLM is not asked. The prompt of a diffusers pipeline, or the words that a voice is to say."""
    seed: int | Sequence[int] | None = None
    """Same seed, same bytes. One for every conversation, a list with one for each, or None for fresh ones."""
    num_outputs: int = 1
    """Candidates made of each medium of a reply."""
    output_type: str = "pil"
    """"pil": PIL images, `Video`, `Audio`; "np": arrays uint8 (H, W, 3), uint8 (T, H, W, 3), float32 (S,); "pt": the
    same as tensors, channels first: (3, H, W) and (T, 3, H, W)."""
    callback_on_step_end: OnStepEnd | None = None
    truncate: bool = False
    """Leave out the oldest turns of a conversation that is too long, rather than raise `context_length_exceeded`."""
    max_new_tokens: int = 160
    """Tokens of a reply, signal tokens included."""
    temperature: float = 0.0
    """0 takes the likeliest token at each step; above, tokens are drawn."""
    top_p: float = 1.0
    """Probability that the tokens which may be drawn have together."""
    image: Mapping[str, int | float] | None = None
    """Parameters of the image generator, e.g. {"num_inference_steps": 20, "guidance_scale": 3.0}."""
    video: Mapping[str, int | float] | None = None
    """Parameters of the video generator."""
    audio: Mapping[str, int | float] | None = None
    """Parameters of the audio generator."""

    def __post_init__(self):
        if self.modalities is not None:
            _check_modalities(self.modalities)
        if self.captions is not None:
            _check_captions(self.captions, media=self.media)
        for name, low, high in (("num_outputs", 1, MAX_OUTPUTS), ("max_new_tokens", 1, math.inf)):
            _check_number(name, getattr(self, name), low=low, high=high, whole=True)
        _check_number("temperature", self.temperature, low=0, high=100)
        _check_number("top_p", self.top_p, low=0, high=1, above_low=True)
        if self.output_type not in OUTPUT_TYPES:
            raise _invalid("output_type", self.output_type, f"one of {', '.join(OUTPUT_TYPES)}")
        if self.callback_on_step_end is not None and not callable(self.callback_on_step_end):
            raise _invalid(
                "callback_on_step_end", self.callback_on_step_end, "a function of (modality, step, num_steps)"
            )
        for seed in [] if self.seed is None else self.seed if isinstance(self.seed, Sequence) else [self.seed]:
            _check_number("seed", seed, low=-(2**63), high=2**64, whole=True)
        for modality in MODALITIES[1:]:
            if not isinstance(self.of(modality), Mapping):
                raise _invalid(modality, self.of(modality), "a dict of the generator's parameters")

    @classmethod
    def read(cls, **given: Any) -> Self:
        """Parameters by name; an unknown name is an `invalid_parameter` that lists the known ones."""
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise AnyGenError(
                    "invalid_parameter", f"found the parameter {name!r}; expected some of {', '.join(known)}"
                )
        return cls(**given)

    @property
    def media(self) -> list[str] | None:
        """The media asked for, text left out; None where the LLM decides."""
        return None if self.modalities is None else [modality for modality in self.modalities if modality != "text"]

    def of(self, modality: str) -> Mapping[str, int | float]:
        """The parameters of one generator."""
        given = {"image": self.image, "video": self.video, "audio": self.audio}[modality]
        return {} if given is None else given

    def check_generators(self, generators: Mapping[str, Any], *, max_enlargement: float = math.inf) -> None:
        """Refuse what a model's generators do not take, and media that are more than so many times as large as its own."""
        for modality, generator in generators.items():
            if given := self.of(modality):
                known = generator.default_parameters
                check_generator_parameters(modality, given, known=known, max_enlargement=max_enlargement)

    def seeds(self, num_conversations: int, *, fresh: Callable[[], int]) -> list[int]:
        """One seed a conversation."""
        if self.seed is None:
            return [fresh() for _ in range(num_conversations)]
        if not isinstance(self.seed, Sequence):
            return [self.seed] * num_conversations
        if len(self.seed) != num_conversations:
            raise _invalid(
                "seed", f"{len(self.seed)} seeds", f"one, or one for each of {num_conversations} conversations"
            )
        return list(self.seed)


def check_generator_parameters(
    modality: str, given: Mapping[str, Any], *, known: Mapping[str, int | float], max_enlargement: float = math.inf
) -> None:
    """Refuse what a generator does not take; `known` maps its parameters to their defaults.

    `max_enlargement`: how many times as large as by default a medium may be, all its `SIZES` together: four times the
    height and the width of a film with as many frames are 16 times its size, and so are 16 times as many frames.
    """
    for name, value in given.items():
        where = f"{modality}[{name!r}]"
        if name not in known:
            raise _invalid(where, name, f"a parameter of this model's {modality} generator: {', '.join(known)}")
        if name in WHOLE_BOUNDS:
            _check_number(where, value, low=1, high=WHOLE_BOUNDS[name], whole=True)
            if name in ("height", "width") and value % SIDE_MULTIPLE:
                raise _invalid(where, value, f"a multiple of {SIDE_MULTIPLE} pixels")
        elif name == "audio_length_in_s":
            _check_number(where, value, low=0, high=MAX_SECONDS, above_low=True)
        else:
            _check_number(where, value, low=0, high=100)
    sizes = {name: value for name, value in given.items() if name in SIZES}
    if math.prod(value / known[name] for name, value in sizes.items()) > max_enlargement:
        found = ", ".join(f"{name} {value}" for name, value in sizes.items())
        own = ", ".join(f"{name} {known[name]}" for name in sizes)
        raise AnyGenError(
            "invalid_parameter",
            f"{modality}: found {found}; expected at most {max_enlargement:g} times as much as this model's own {own}",
            where=modality, expected=f"at most {max_enlargement:g} times as much as {own}",
        )  # fmt: skip


def _check_modalities(modalities: Any) -> None:
    expected = f"a list of {', '.join(MODALITIES)}"
    if isinstance(modalities, str) or not isinstance(modalities, Sequence) or not modalities:
        raise _invalid("modalities", modalities, expected)
    for modality in modalities:
        if modality not in MODALITIES:
            raise _invalid("modalities", modality, expected)


def _check_captions(captions: Any, *, media: Sequence[str] | None) -> None:
    expected = "a list of strings, one for each of the media in modalities"
    if isinstance(captions, str) or not isinstance(captions, Sequence) or not all(isinstance(each, str) for each in captions):
        raise _invalid("captions", captions, expected)
    if not captions or len(captions) != len(media or ()):
        raise _invalid("captions", f"{len(captions)} captions for the modalities {media}", expected)


def _check_number(
    name: str, value: Any, *, low: float, high: float, whole: bool = False, above_low: bool = False
) -> None:
    kinds = (int,) if whole else (int, float)
    is_number = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= value <= high or (above_low and value == low):
        kind = "a whole number" if whole else "a number"
        bounds = f"at least {low}" if high == math.inf else f"from {low} to {high}"
        raise _invalid(name, value, f"{kind} {f'above {low} and at most {high}' if above_low else bounds}")


def _invalid(name: str, found: Any, expected: str) -> AnyGenError:
    return AnyGenError("invalid_parameter", f"{name}: found {found!r}; expected {expected}", where=name, expected=expected)
