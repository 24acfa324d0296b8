"""Several encoders side by side for one modality: their tokens joined along the channels, or one after the other.

Steps 2 and 3 of the data flow: media -> (N, P, D). Along the channels the tokens must lie on one grid, as in Prismatic
(Karamcheti et al. 2024: SigLIP and DINOv2, section 4.2); other grids are brought to one only when `resize` says how
(Cambrian-1, Tong et al. 2024, section 3.5, interpolates). A modality that one member alone reads is that member's.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from anygen.encoders.encoder import ENCODER_FILE, Encoder, config_from_dict, locate, read_json
from anygen.errors import AnyGenError
from anygen.media.types import Audio, Video

INTERPOLATION = {1: "linear", 2: "bilinear", 3: "trilinear"}
POOLING = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
"""Axes of a grid -> how it comes to another."""


@dataclass(frozen=True, kw_only=True)
class ConcatEncoderConfig:
    """How the members' tokens are joined."""

    axis: Literal["channels", "tokens"] = "channels"
    """"channels": token i of each member side by side, D the sum of the widths; "tokens": all tokens of the first member,
    then all of the second, P the sum, the widths equal."""
    resize: Literal["none", "interpolate", "pool"] = "none"
    """How tokens along the channels come to one grid: not at all, linearly (bilinear, trilinear), or by averaging cells."""
    grids: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Modality -> the grid that tokens come to; the first member's unless named."""

    def __post_init__(self):
        for name, options in (("axis", ("channels", "tokens")), ("resize", ("none", "interpolate", "pool"))):
            if getattr(self, name) not in options:
                raise ValueError(f"{name}={getattr(self, name)!r}; expected one of {', '.join(options)}")
        if self.grids and self.resize == "none":
            raise ValueError(f"grids={self.grids} with resize='none'; expected resize='interpolate' or 'pool'")


class ConcatEncoder(Encoder):
    """See the module docstring.

    Args:
        members: name -> encoder, in the order in which their tokens are joined.
        config: how.

    Raises:
        AnyGenError: `model_load_error` where grids or widths do not fit, naming the members and what they have.
    """

    encoder_type = "concat"
    config_class = ConcatEncoderConfig

    def __init__(self, members: Mapping[str, Encoder], config: ConcatEncoderConfig | None = None):
        super().__init__(config or ConcatEncoderConfig())
        self.members = nn.ModuleDict(members)
        for modality in self.modalities:
            self._check(modality)
        self.shapes = {
            modality: {
                name: tuple(member.preprocess(modality, [blank(modality)]).shape[1:])
                for name, member in self._readers(modality).items()
            }
            for modality in self.modalities
        }

    @property
    def modalities(self) -> tuple[str, ...]:
        """What any member reads."""
        return tuple(dict.fromkeys(modality for member in self.members.values() for modality in member.modalities))

    @property
    def joint_dim(self) -> int | None:
        """Width of the joint space of the first member that has one."""
        return next((member.joint_dim for member in self.members.values() if member.joint_dim), None)

    def width(self, modality: str) -> int:
        """D: the sum of the members' along the channels, the same as theirs along the tokens."""
        self.check_modality(modality)
        widths = [member.width(modality) for member in self._readers(modality).values()]
        return sum(widths) if self.config.axis == "channels" else widths[0]

    def num_tokens(self, modality: str) -> int:
        """P: the size of the grid along the channels, the sum of the members' along the tokens."""
        self.check_modality(modality)
        readers = self._readers(modality)
        if self.config.axis == "tokens" and len(readers) > 1:
            return sum(math.prod(self._target(modality, name)) for name in readers)
        return math.prod(self.grid(modality))

    def grid(self, modality: str) -> tuple[int, ...]:
        """The grid that the members' tokens have or come to; (P,) along the tokens."""
        readers = self._readers(modality)
        if self.config.axis == "tokens" and len(readers) > 1:
            return (self.num_tokens(modality),)
        return self._target(modality, next(iter(readers)))

    def preprocess(self, modality: str, media: Sequence) -> Tensor:
        """N media -> what each member takes, flattened and joined, float32 (N, sum of sizes); a lone member's as it is."""
        self.check_modality(modality)
        given = [member.preprocess(modality, media) for member in self._readers(modality).values()]
        return given[0] if len(given) == 1 else torch.cat([inputs.flatten(1).float() for inputs in given], dim=1)

    def forward(self, modality: str, inputs: Tensor) -> Tensor:
        """Tokens for the language model, (N, ...) -> (N, P, D)."""
        self.check_modality(modality)
        readers, each = self._readers(modality), self._split(modality, inputs)
        if len(readers) == 1:
            return next(iter(readers.values()))(modality, inputs)
        tokens = [self._resize(modality, name, member(modality, each[name])) for name, member in readers.items()]
        return torch.cat(tokens, dim=-1 if self.config.axis == "channels" else 1)

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """As the first member that has a joint space; `modality_not_supported` where none has, or it does not read this."""
        self.check_modality(modality)
        each = self._split(modality, inputs)
        for name, member in self.members.items():
            if member.joint_dim:
                member.check_modality(modality)
                return member.embed(modality, each[name])
        names = ", ".join(self.members)
        raise AnyGenError("modality_not_supported", f"none of {names} has a space that media and text share")

    def save_pretrained(self, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
        """Write encoder.json, and each member into a folder of its name."""
        self._write_settings(Path(folder))
        for name, member in self.members.items():
            member.save_pretrained(Path(folder) / name, dtype=dtype)

    def save_reference(self, folder: str | Path) -> None:
        """Write encoder.json, and each member's reference; raises `storage_error` for one that is not of the hub."""
        for name, member in self.members.items():
            member.save_reference(Path(folder) / name)
        self._write_settings(Path(folder))

    @classmethod
    def from_pretrained(
        cls, source: str | Path, *, config: ConcatEncoderConfig | None = None, dtype: torch.dtype = torch.float32
    ) -> Self:
        """Read what `save_pretrained` or `save_reference` wrote; arguments and errors as `Encoder.from_pretrained`."""
        from anygen.encoders import load_encoder

        folder, reference = locate(source)
        path = folder / ENCODER_FILE
        settings = read_json(path)
        names = settings.pop("members", None)
        if settings.pop("encoder_type", None) != cls.encoder_type or not isinstance(names, list) or not names:
            raise AnyGenError("model_load_error", f"{path}: expected encoder_type 'concat' and a list of members")
        if strange := [name for name in names if not str(name).isidentifier()]:
            raise AnyGenError("model_load_error", f"{path}: members {strange} are no names of folders beside it")
        config = config or config_from_dict(cls.config_class, settings, where=str(path))
        encoder = cls({name: load_encoder(folder / name, dtype=dtype) for name in names}, config)
        encoder.source = reference
        return encoder.eval()

    def _write_settings(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"encoder_type": self.encoder_type, "members": list(self.members), **dataclasses.asdict(self.config)}
        (folder / ENCODER_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    def _readers(self, modality: str) -> dict[str, Encoder]:
        return {name: member for name, member in self.members.items() if modality in member.modalities}

    def _target(self, modality: str, name: str) -> tuple[int, ...]:
        """The grid that a member's tokens come to."""
        readers = self._readers(modality)
        own = readers[name].grid(modality)
        if self.config.resize == "none" or len(readers) == 1:
            return own
        first = own if self.config.axis == "tokens" else next(iter(readers.values())).grid(modality)
        return self.config.grids.get(modality, first)

    def _check(self, modality: str) -> None:
        """Refuse members whose tokens cannot be joined."""
        readers = self._readers(modality)
        if self.config.axis == "tokens":
            found, what = {name: member.width(modality) for name, member in readers.items()}, "widths"
            fits, remedy = len(set(found.values())) == 1, "axis='channels'"
        else:
            found, what = {name: member.grid(modality) for name, member in readers.items()}, "grids"
            sizes = {self._target(modality, name) for name in readers} | set(found.values())
            fits = len(sizes if self.config.resize == "none" else {len(size) for size in sizes}) == 1
            remedy = "resize='interpolate' or 'pool' for grids of as many axes, or axis='tokens'"
        if len(readers) > 1 and not fits:
            detail = (
                f"{modality} tokens of {', '.join(readers)} have the {what} {found}; expected equal ones, or {remedy}"
            )
            raise AnyGenError("model_load_error", detail)

    def _split(self, modality: str, inputs: Tensor) -> dict[str, Tensor]:
        """What `preprocess` joined -> what each member takes."""
        shapes = self.shapes[modality]
        if len(shapes) == 1:
            return {name: inputs for name in shapes}
        parts = inputs.split([math.prod(shape) for shape in shapes.values()], dim=1)
        split = {name: part.unflatten(1, shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        return {name: part.round().long() if modality == "text" else part for name, part in split.items()}

    def _resize(self, modality: str, name: str, tokens: Tensor) -> Tensor:
        """One member's tokens on the grid that they come to, (N, P, D) -> (N, P', D)."""
        own, target = self.members[name].grid(modality), self._target(modality, name)
        if own == target:
            return tokens
        grids = tokens.transpose(1, 2).unflatten(2, own)
        if self.config.resize == "pool":
            resized = POOLING[len(own)](grids, target)
        else:
            resized = F.interpolate(grids.float(), size=target, mode=INTERPOLATION[len(own)]).to(tokens.dtype)
        return resized.flatten(2).transpose(1, 2)


def blank(modality: str) -> Any:
    """A medium of one modality that shows nothing, small: what shapes `preprocess` gives does not depend on the medium."""
    match modality:
        case "text":
            return ""
        case "image":
            return Image.new("RGB", (16, 16))
        case "video":
            return Video(frames=np.zeros((1, 16, 16, 3), np.uint8), fps=1.0)
        case "audio":
            return Audio(waveform=np.zeros(16, np.float32), sampling_rate=16_000)
    raise AnyGenError("modality_not_supported", f"modality {modality!r}; encoders side by side read text and media")
