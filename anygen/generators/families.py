"""Where a pipeline of diffusers deviates from what the adapter reads out of it. One row a class, each with its reason.

A pipeline without a row is driven as its signature says: condition tensors are the parameters that have a negative twin,
sizes and steps are the parameters of those names, latents are what `prepare_latents` returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Deviation:
    """What one pipeline class does differently, and why the adapter has to be told."""

    why: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Passed in every call."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Our name of a sampling parameter -> the pipeline's."""
    unused: tuple[str, ...] = ()
    """Condition tensors of the signature that nothing reads."""
    stand_ins: tuple[str, ...] = ()
    """Text parts that are asked for their dtype although the embeddings are given."""
    encodes_alone: bool = False
    """Whether captions are read one at a time, since what is made of one depends on the others beside it."""
    classless_features: bool = False
    """Whether it takes what CLAP's `get_text_features` returns for a tensor, as it was before transformers 5."""
    joins_text: bool = False
    """Whether the states of a tokenizer of fixed length stand before those of `max_sequence_length`."""
    guides_above: float = 1.0
    """The guidance scale above which a negative condition is needed."""
    zero_negative_left_out: bool = False
    """Whether a negative condition of zeros is said by giving none."""
    frames_first: bool = False
    """Whether latents are (N, T, C, H, W) rather than (N, C, T, H, W)."""
    frames_folded: bool = False
    """Whether the scheduler sees the frames of a film as a batch of pictures."""
    direct: bool = False
    """Whether `unet(z_t, t, encoder_hidden_states=prompt_embeds)` is the pipeline's own prediction."""
    fps: float | None = None
    """Frames a second that the model was trained on."""


BINNING = "sizes are what the caller asked for, as everywhere else; binning knows a few sizes of published models alone"
UNET = "the unet reads the condition by cross-attention alone, so calling it skips the pipeline's prologue"
DTYPE = "embeddings are cast to the dtype of a text encoder, which need not be there"

FAMILIES: dict[str, Deviation] = {
    "StableDiffusionPipeline": Deviation(why=UNET, direct=True),
    "AudioLatentDiffusionPipeline": Deviation(why=UNET, direct=True),
    "TextToVideoSDPipeline": Deviation(
        why=f"{UNET}; it folds frames before the scheduler's step", direct=True, frames_folded=True, fps=8
    ),
    "StableDiffusion3Pipeline": Deviation(why="CLIP's states stand before T5's in one sequence", joins_text=True),
    "ZImagePipeline": Deviation(why="its guidance is p + s (p - n), which leads away from 0 on", guides_above=0.0),
    "SanaPipeline": Deviation(why=BINNING, arguments={"use_resolution_binning": False}),
    "PixArtAlphaPipeline": Deviation(why=BINNING, arguments={"use_resolution_binning": False}),
    "PixArtSigmaPipeline": Deviation(why=BINNING, arguments={"use_resolution_binning": False}),
    "SanaVideoPipeline": Deviation(
        why=f"{BINNING}; it calls the number of frames otherwise",
        arguments={"use_resolution_binning": False},
        parameters={"num_frames": "frames"},
        fps=16,
    ),
    "CogVideoXPipeline": Deviation(why="its latents have the frames first", frames_first=True, fps=8),
    "WanPipeline": Deviation(why="no part of it states the frame rate", fps=16),
    "AudioLDMPipeline": Deviation(why=DTYPE, stand_ins=("text_encoder",)),
    "MusicLDMPipeline": Deviation(
        why=f"{DTYPE}; it is no longer mended, and transformers 5 returns an object where it expects a tensor",
        stand_ins=("text_encoder",),
        classless_features=True,
    ),
    "AudioLDM2Pipeline": Deviation(
        why=f"{DTYPE}; its GPT-2 goes on behind the padding, so what it says changes with the longest text of a batch; the"
        " null condition is that of the empty text alone, where the pipeline pads it to the length of the prompt",
        stand_ins=("text_encoder_2", "language_model"),
        encodes_alone=True,
    ),
    "StableAudioPipeline": Deviation(
        why="padded states come out of its encoder as zeros and nothing else reads the mask; without a negative prompt"
        " it leads away from zeros that stand for no duration either; it names the end of the sound, not its length",
        unused=("attention_mask",),
        zero_negative_left_out=True,
        parameters={"audio_length_in_s": "audio_end_in_s"},
    ),
}
"""Deviations by the name of the pipeline's class."""

NO_DEVIATION = Deviation(why="driven as its signature says")


def deviation_of(pipeline: object) -> Deviation:
    """The row of a pipeline's class."""
    return FAMILIES.get(type(pipeline).__name__, NO_DEVIATION)
