"""Which encoders of transformers are read, and what differs between them: one row a `model_type` of a config.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from anygen.encoders.transformers_inputs import (
    ClapInputs,
    FilmInputs,
    Inputs,
    NaflexInputs,
    PictureInputs,
    WaveformInputs,
    WhisperInputs,
)
from anygen.errors import AnyGenError


@dataclass(frozen=True, kw_only=True)
class Family:
    """How the models of one `model_type` are loaded and read."""

    model_class: str
    """Name in transformers of the class that holds the model, its module in front where the package does not export it."""
    inputs: type[Inputs]
    """What media become before the model, and how many tokens that gives."""
    modalities: tuple[str, ...]
    """The media that the tower reads."""
    tower: str = ""
    """Attribute of the model that reads media; "" is the model itself."""
    num_cls: int = 0
    """CLS tokens before the patches."""
    registers: str | None = None
    """Field of the config that counts the register tokens between CLS and patches (Darcet et al. 2023)."""
    pooler: bool = False
    """Whether the tower pools by itself (`pooler_output`); otherwise "pooled" is CLS, or the mean over the tokens."""
    pooler_field: str | None = None
    """Field of the tower's config that says whether this checkpoint has the pooler."""
    key_mapping: tuple[tuple[str, str], ...] = ()
    """Renaming of checkpoint keys (pattern, replacement), for a class that is only a part of what is published."""
    projection: str | None = None
    """Attribute of the model that leads from the pooled medium into the joint space; "" where pooling already does."""
    text: Literal["causal", "whole", "masked"] | None = None
    """How the text tower reads padding: never, as part of the text (SigLIP, always padded to the full length), or masked."""
    text_projection: str = ""
    """As `projection`, for text."""


_PICTURES = {"modalities": ("image", "video"), "inputs": PictureInputs}
_CLIP = {**_PICTURES, "num_cls": 1, "pooler": True}
_SIGLIP = {**_PICTURES, "pooler": True, "pooler_field": "vision_use_head"}

FAMILIES: dict[str, Family] = {
    "clip": Family(
        model_class="CLIPModel", tower="vision_model", **_CLIP,
        projection="visual_projection", text="causal", text_projection="text_projection",
    ),
    "clip_vision_model": Family(model_class="CLIPVisionModel", **_CLIP),
    # Fixed-resolution SigLIP 2 checkpoints are of this type too; only NaFlex has a type of its own.
    "siglip": Family(model_class="SiglipModel", tower="vision_model", **_SIGLIP, projection="", text="whole"),
    "siglip_vision_model": Family(model_class="SiglipVisionModel", **_SIGLIP),
    "siglip2": Family(
        model_class="Siglip2Model", tower="vision_model", **(_SIGLIP | {"inputs": NaflexInputs}), projection="", text="whole"
    ),
    "dinov2": Family(model_class="Dinov2Model", **_CLIP),
    "dinov2_with_registers": Family(
        model_class="Dinov2WithRegistersModel", **_CLIP, registers="num_register_tokens"
    ),
    "videomae": Family(model_class="VideoMAEModel", modalities=("video",), inputs=FilmInputs),
    "clap": Family(
        model_class="ClapModel", tower="audio_model", modalities=("audio",), inputs=ClapInputs, pooler=True,
        projection="audio_projection", text="masked", text_projection="text_projection",
    ),
    # The encoder half alone: the decoder of the checkpoint is not loaded.
    "whisper": Family(
        model_class="models.whisper.modeling_whisper.WhisperEncoder", modalities=("audio",), inputs=WhisperInputs,
        key_mapping=(("^model\\.encoder\\.", ""), ("^encoder\\.", "")),
    ),
    "hubert": Family(model_class="HubertModel", modalities=("audio",), inputs=WaveformInputs),
}  # fmt: skip
"""model_type -> family. A further encoder of transformers is a row here, and at most a class in `transformers_inputs.py`."""


def family_of(model_type: str | None, *, where: str) -> Family:
    """The family of a `model_type`; `model_load_error` with the known ones for another."""
    if model_type not in FAMILIES:
        detail = f"{where}: model_type is {model_type!r}; expected one of {', '.join(FAMILIES)}"
        raise AnyGenError("model_load_error", detail)
    return FAMILIES[model_type]
