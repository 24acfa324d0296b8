"""Generators that are models of transformers: their folder, and what every class of them has in common.

    config.json, *.safetensors    the model, as its `save_pretrained` writes it
    tokenizer.json, ...           what reads captions for it
    generator.json                ours: defaults of the sampling parameters; absent in a folder of the hub

`load_transformers` reads such a folder, the class by `model_type`. Weights are read from safetensors alone.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from anygen.errors import AnyGenError
from anygen.generators.generator import Condition, Generator
from anygen.media.types import Audio

CONFIG_FILE = "config.json"
SETTINGS_FILE = "generator.json"


class TransformersGenerator(Generator):
    """What generators of transformers share: frozen parts, settings, shapes of a condition, and a folder.

    Args:
        settings: defaults of the sampling parameters, and the lengths that `known_settings` names.

    Raises:
        AnyGenError("invalid_parameter"): a setting that the class does not have.
    """

    modality = "audio"

    def __init__(self, **settings: int | float):
        super().__init__()
        self.settings_given = settings
        known = self.known_settings()
        if unknown := sorted(set(settings) - set(known)):
            detail = f"found the settings {', '.join(unknown)} for {type(self).__name__}; expected some of {', '.join(known)}"
            raise AnyGenError("invalid_parameter", detail)
        self.values = known | settings

    @classmethod
    @abstractmethod
    def known_settings(cls) -> dict[str, int | float]:
        """Every setting with its value by default."""

    @classmethod
    @abstractmethod
    def from_folder(cls, folder: Path, *, settings: Mapping[str, int | float], **loading: Any) -> Self:
        """Read a folder; `loading` goes to the model's `from_pretrained`."""

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, parts: Mapping[str, nn.Module] | None = None) -> Self:
        """Read what `save_pretrained` wrote. Nothing is shared with other generators, so `parts` is empty."""
        return cls.from_folder(Path(folder), settings=read_settings(Path(folder)))

    @property
    def settings(self) -> dict[str, int | float]:
        """The settings that make this generator from its model again."""
        return dict(self.settings_given)

    @property
    def pipeline_components(self) -> dict[str, nn.Module]:
        """None that others could share."""
        return {}

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.parameters()).device

    def null_condition(self, batch_size: int) -> Condition:
        """Nothing at all: zeros, and a mask that leaves every place out."""
        like = self.encode_text(["a"]).tensors
        return Condition({n: torch.zeros_like(tensor).repeat(batch_size, *[1] * (tensor.ndim - 1)) for n, tensor in like.items()})

    def check_call(self, condition: Condition, generators: Sequence, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """All sampling parameters of a call. Raises ValueError as the contract says."""
        defaults = self.default_parameters
        if unknown := sorted(set(parameters) - set(defaults)):
            raise ValueError(f"unknown parameters {unknown} for {type(self).__name__}; it takes {', '.join(defaults)}")
        if len(generators) != len(condition):
            raise ValueError(f"{len(condition)} conditions and {len(generators)} generators: one seed an item is needed")
        return defaults | dict(parameters)

    def save_pretrained(self, folder: str | Path, *, leave_out: Sequence[str] = ()) -> None:
        """Write model, tokenizer and settings; `leave_out` is empty, as nothing is shared."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        (folder / SETTINGS_FILE).write_text(json.dumps(self.settings) + "\n", encoding="utf-8")


def to_audio(samples: Tensor, *, sampling_rate: int) -> Audio:
    """float (S,) or (C, S) -> mono `Audio`, channels averaged. Raises AnyGenError("generation_not_finite")."""
    waveform = samples.detach().float().cpu().numpy()
    waveform = waveform.mean(axis=0) if waveform.ndim == 2 else waveform
    if not np.isfinite(waveform).all():
        raise AnyGenError("generation_not_finite", "the audio generator gave values that are not finite")
    return Audio(waveform=np.ascontiguousarray(waveform, dtype=np.float32), sampling_rate=int(sampling_rate))


def transformers_classes() -> dict[str, type[TransformersGenerator]]:
    """`model_type` of a folder's config.json -> the class that drives it; adding one is adding a line here."""
    from anygen.generators.musicgen import MusicgenGenerator
    from anygen.generators.speech import SpeechT5Generator, VitsGenerator

    return {"musicgen": MusicgenGenerator, "vits": VitsGenerator, "speecht5": SpeechT5Generator}


def is_transformers_folder(folder: Path) -> bool:
    """Whether a folder holds one model of transformers, and no pipeline of diffusers."""
    return (folder / CONFIG_FILE).is_file() and not (folder / "model_index.json").is_file()


def read_settings(folder: Path) -> dict[str, int | float]:
    """Our defaults in a folder; none in a folder of the hub."""
    path = folder / SETTINGS_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def load_transformers(folder: Path, *, settings: Mapping[str, int | float], **loading: Any) -> TransformersGenerator:
    """The generator of a folder; `settings` over those in it, `loading` (dtype, ...) to the model's `from_pretrained`.

    Raises AnyGenError("model_load_error") for another `model_type`, pickled weights alone, or a missing file.
    """
    try:
        kind = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError) as error:
        raise AnyGenError("model_load_error", f"{folder / CONFIG_FILE}: {error}; expected a JSON object") from error
    classes = transformers_classes()
    if kind not in classes:
        detail = f"{folder}: found the model_type {kind!r}; expected {', '.join(classes)}, or a folder of a diffusers pipeline"
        raise AnyGenError("model_load_error", detail)
    if not any(folder.glob("*.safetensors")):
        raise AnyGenError("model_load_error", f"{folder} holds no safetensors; pickled weights are not read: convert them first")
    try:
        return classes[kind].from_folder(folder, settings=read_settings(folder) | dict(settings), **loading)
    except (ImportError, ValueError, OSError) as error:
        raise AnyGenError("model_load_error", f"{folder}: {error}") from error
