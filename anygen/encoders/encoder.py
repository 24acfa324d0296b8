"""What an encoder is: a frozen model that turns media into tokens for the language model.

Steps 2 and 3 of the data flow: media -> `preprocess` -> tensors -> `forward` -> (N, P, D_enc). How many tokens there are
and how wide is declared (`num_tokens`, `width`), and input projectors are built from the declaration.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, ClassVar, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from anygen.errors import AnyGenError
from anygen.hub import find_folder

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
ENCODER_FILE = "encoder.json"
"""Beside a config.json that is not ours, or alone: encoder_type, the settings, and for a reference where the rest is."""
FAULTS_OF_FILES = (OSError, RuntimeError, ValueError, KeyError, EOFError, ImportError, UnpicklingError, SafetensorError)
"""What reading a folder raises that is broken, incomplete, or needs a package that is not there."""


class Encoder(nn.Module, ABC):
    """Contract of every encoder; a leaf sets the class attributes and implements the five methods.

    `tests/encoders/test_encoder.py` checks it for every member of `ENCODERS`: tokens as declared, an item of a batch
    equal to the item alone, media of any shape and length, a bit-equal round trip through a folder.
    """

    encoder_type: ClassVar[str]
    """The key of this class in `ENCODERS`; written to config.json."""
    config_class: ClassVar[type]
    """The frozen dataclass of its settings."""

    def __init__(self, config: Any):
        super().__init__()
        self.config = config
        self.source: str | None = None
        """`name/repository@revision` where the weights came from the hub, so that they can be referred to; whoever wants to
        refer to a folder sets its path."""

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

    def grid(self, modality: str) -> tuple[int, ...]:
        """The axes that the P tokens lie on, the slowest first: rows and columns of a picture, frames before them of a film.

        One axis, (P,), where the tokens are no grid. `merging.py` and `concat_encoder.py` ask for it.
        """
        return (self.num_tokens(modality),)

    @property
    def joint_dim(self) -> int | None:
        """Width of `embed`; None where the encoder has no joint space, and `embed` raises `modality_not_supported`."""
        return None

    def train(self, mode: bool = True) -> Self:
        """As of any module, but an encoder none of whose parameters is trained stays in evaluation mode: dropout, masking
        of its input and statistics of its batches are no part of what it has learned to tell."""
        return super().train(mode and any(parameter.requires_grad for parameter in self.parameters()))

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

    def save_reference(self, folder: str | Path) -> None:
        """Write encoder.json alone: which repository at which revision, and the settings; `load_encoder` reads it.

        Raises `storage_error` for an encoder that did not come from the hub.
        """
        if self.source is None:
            detail = f"this {self.encoder_type} encoder did not come from a repository of the hub; use save_pretrained"
            raise AnyGenError("storage_error", detail)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"encoder_type": self.encoder_type, "source": self.source, **dataclasses.asdict(self.config)}
        (folder / ENCODER_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, source: str | Path, *, config: Any = None, dtype: torch.dtype = torch.float32) -> Self:
        """Read what `save_pretrained` wrote, in evaluation mode.

        Args:
            source: a folder, or `name/repository`, with `@revision` where wanted, of the hub.
            config: settings in the place of those that are written there.
            dtype: precision in memory.

        Raises:
            AnyGenError: `model_load_error` for a missing file, an unknown or missing key or tensor, or another type.
        """
        folder, reference = locate(source)
        given = read_json(folder / CONFIG_FILE)
        encoder_type = given.pop("encoder_type", None)
        if encoder_type != cls.encoder_type:
            raise AnyGenError(
                "model_load_error",
                f"{folder / CONFIG_FILE}: encoder_type is {encoder_type!r}; {cls.__name__} reads {cls.encoder_type!r}",
            )
        encoder = cls(config or config_from_dict(cls.config_class, given, where=str(folder / CONFIG_FILE))).to(dtype)
        with loading(folder / WEIGHTS_FILE):
            weights = load_file(folder / WEIGHTS_FILE)
            encoder.load_state_dict({name: tensor.to(dtype) for name, tensor in weights.items()})
        encoder.source = reference
        return encoder.eval()


def locate(source: str | Path, *, allow_pickle: bool = False) -> tuple[Path, str | None]:
    """A folder or a repository of the hub -> the folder, and `name/repository@commit` where it came from the hub.

    Raises `model_load_error`, `hub_unavailable` and `hub_access_denied`.
    """
    folder = find_folder(source, allow_pickle=allow_pickle)
    if Path(source).is_dir():
        return folder, None
    repository, _, revision = str(source).partition("@")
    commit = folder.name if folder.parent.name == "snapshots" else revision  # the hub's cache names folders by commit
    return folder, f"{repository}@{commit}"


@contextlib.contextmanager
def loading(path: Path) -> Iterator[None]:
    """What reading weights and settings under `path` raises, as `model_load_error` with the path."""
    try:
        yield
    except FAULTS_OF_FILES as error:
        raise AnyGenError("model_load_error", f"{path}: {error}") from error


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
