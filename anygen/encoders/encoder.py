"""What an encoder is: a frozen model that turns media into tokens for the language model.

Steps 2 and 3 of the data flow: media -> `preprocess` -> tensors -> `forward` -> (N, P, D_enc). How many tokens there are
and how wide is declared (`num_tokens`, `width`), and input projectors are built from the declaration.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from anygen.errors import AnyGenError

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"


class Encoder(nn.Module, ABC):
    """Contract of every encoder; a leaf sets the class attributes and implements the five methods.

    `tests/encoders/test_encoder.py` checks it for every member of `ENCODERS`: tokens as declared, an item of a batch
    equal to the item alone, media of any shape and length, a bit-equal round trip through a folder.
    """

    encoder_type: ClassVar[str]
    """The key of this class in `ENCODERS`; written to config.json."""
    config_class: ClassVar[type]
    """The frozen dataclass that the constructor takes."""

    def __init__(self, config: Any):
        super().__init__()
        self.config = config

    @property
    @abstractmethod
    def modalities(self) -> tuple[str, ...]:
        """What can be encoded, e.g. ("text", "image", "video", "audio")."""

    @abstractmethod
    def width(self, modality: str) -> int:
        """D_enc of the tokens that `forward` gives."""

    @abstractmethod
    def num_tokens(self, modality: str) -> int:
        """P: tokens per item that `forward` gives."""

    @abstractmethod
    def preprocess(self, modality: str, media: Sequence) -> Tensor:
        """N media (str, PIL image, `Video`, `Audio`) of any size, rate and length -> (N, ...), as `forward` takes it."""

    @abstractmethod
    def forward(self, modality: str, inputs: Tensor) -> Tensor:
        """Tokens for the language model, (N, ...) -> (N, P, D_enc)."""

    @abstractmethod
    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """One vector of unit length an item, in a space that all modalities share, (N, ...) -> (N, D_joint)."""

    def check_modality(self, modality: str) -> None:
        """Raise `modality_not_supported` unless this encoder reads it."""
        if modality not in self.modalities:
            raise AnyGenError(
                "modality_not_supported",
                f"modality {modality!r}; this {self.encoder_type} encoder reads {', '.join(self.modalities)}",
            )

    def save_pretrained(self, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
        """Write config.json and model.safetensors; `dtype` (e.g. `torch.float16`) sets the precision on disk."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        config = {"encoder_type": self.encoder_type, **dataclasses.asdict(self.config)}
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        weights = {name: tensor.to(dtype or tensor.dtype).contiguous() for name, tensor in self.state_dict().items()}
        save_file(weights, folder / WEIGHTS_FILE)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Self:
        """Read what `save_pretrained` wrote, in float32 and evaluation mode.

        Raises:
            AnyGenError: `model_load_error` for a missing file, an unknown or missing key or tensor, or another type.
        """
        folder = Path(folder)
        config = read_json(folder / CONFIG_FILE)
        encoder_type = config.pop("encoder_type", None)
        if encoder_type != cls.encoder_type:
            raise AnyGenError(
                "model_load_error",
                f"{folder / CONFIG_FILE}: encoder_type is {encoder_type!r}; {cls.__name__} reads {cls.encoder_type!r}",
            )
        encoder = cls(config_from_dict(cls.config_class, config, where=str(folder / CONFIG_FILE)))
        try:
            encoder.load_state_dict({name: tensor.float() for name, tensor in load_file(folder / WEIGHTS_FILE).items()})
        except (OSError, RuntimeError) as error:
            raise AnyGenError("model_load_error", f"{folder / WEIGHTS_FILE}: {error}") from error
        return encoder.eval()


def read_json(path: Path) -> dict:
    """A JSON object from a file; `model_load_error` with the path where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnyGenError("model_load_error", f"{path}: {error}; expected a JSON file") from error


def config_from_dict(config_class: type, values: dict, *, where: str) -> Any:
    """Build a nested frozen dataclass from what `dataclasses.asdict` and JSON made of it.

    Lists become tuples where the field is one. `where` (a file, then the path of keys) opens every message.

    Raises:
        AnyGenError: `model_load_error` for an unknown key, a missing key, or values that do not go together.
    """
    hints = typing.get_type_hints(config_class)
    if unknown := sorted(set(values) - set(hints)):
        raise AnyGenError("model_load_error", f"{where}: unknown keys {unknown}; expected some of {sorted(hints)}")
    built = {key: _field_value(hints[key], value, f"{where}: {key}") for key, value in values.items()}
    try:
        return config_class(**built)
    except (TypeError, ValueError) as error:
        raise AnyGenError("model_load_error", f"{where}: {error}") from error


def _field_value(hint: Any, value: Any, where: str) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):  # X | None
        hint = next(option for option in typing.get_args(hint) if option is not types.NoneType)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return config_from_dict(hint, value, where=where)
    if typing.get_origin(hint) is dict and isinstance(value, dict):
        return {key: _field_value(typing.get_args(hint)[1], item, f"{where}.{key}") for key, item in value.items()}
    if typing.get_origin(hint) is tuple and isinstance(value, list):
        return tuple(value)
    return value
