"""What a model is made of: parts, and the joints between them with the width on either side.

    read_inventory(folder) -> Inventory

Understood are anygen's model folders (nano, composed, converted), folders of diffusers, transformers and audiocraft, single
encoders, and the published layouts of `anygen.convert`. Each kind has a reader of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anygen.errors import AnyGenError
from anygen.generators.audiocraft_folder import is_audiocraft_folder
from anygen.presets.preset import BYTES_PER_PARAMETER

MEMORY_DTYPES = ("float32", "bfloat16", "int8", "int4")


@dataclass(frozen=True, kw_only=True)
class PartInfo:
    """One row of the table."""

    name: str
    """The part's place in the folder, e.g. "generators/image/unet"."""
    class_name: str
    num_parameters: int
    num_bytes: int
    """Of its weights on disk."""
    training: str
    """Whether it was trained or frozen while the parts were joined; "published" in folders that anygen did not write."""
    licence: str
    source: str = ""
    """Folder or name/repository@revision of a part that is referred to; its parameters are 0 where it is not on this machine."""


@dataclass(frozen=True, kw_only=True)
class Joint:
    """Two neighbours in the data flow: how wide the left one's output is, and how wide the right one's input."""

    left: str
    left_width: int
    right: str
    right_width: int

    @property
    def fits(self) -> bool:
        """Whether the widths are equal."""
        return self.left_width == self.right_width

    @property
    def sentence(self) -> str:
        """Both names and both numbers."""
        return f"{self.left} gives {self.left_width}; {self.right} takes {self.right_width}"


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """All that is known of a model without its weights."""

    kind: str
    """"anygen", "diffusers", "transformers", "audiocraft", "encoder", or a layout of `anygen.convert.layouts`."""
    parts: tuple[PartInfo, ...]
    joints: tuple[Joint, ...] = ()

    @property
    def num_parameters(self) -> int:
        """Of all parts that are here."""
        return sum(part.num_parameters for part in self.parts)

    @property
    def mismatches(self) -> tuple[Joint, ...]:
        """The joints whose sides differ: such a model is refused when it is loaded."""
        return tuple(joint for joint in self.joints if not joint.fits)

    @property
    def memory_gb(self) -> dict[str, float]:
        """Precision -> GB of the weights of all parts that are here; activations and caches come on top."""
        return {dtype: self.num_parameters * BYTES_PER_PARAMETER[dtype] / 1e9 for dtype in MEMORY_DTYPES}


def read_inventory(folder: Path) -> Inventory:
    """The inventory of a folder. Raises `model_load_error` for a folder of no kind that is known."""
    from anygen.convert.layouts import detect_layout
    from anygen.inspection.anygen_folder import read_anygen
    from anygen.inspection.audiocraft_models import read_audiocraft
    from anygen.inspection.hub_folders import read_diffusers, read_transformers
    from anygen.inspection.published_folder import read_published

    readers: dict[str, Callable[[Path], Inventory]] = {
        "anygen": read_anygen,
        "diffusers": read_diffusers,
        "transformers": read_transformers,
        "audiocraft": read_audiocraft,
    }
    if layout := detect_layout(folder):
        return read_published(folder, layout)
    return readers[_kind(folder)](folder)


def _kind(folder: Path) -> str:
    if (folder / "model_index.json").is_file():
        return "diffusers"
    if is_audiocraft_folder(folder) and not (folder / "config.json").is_file():
        return "audiocraft"
    config = read_config(folder / "config.json")
    if config.get("model_type") == "anygen" or "signals" in config:
        return "anygen"
    if config.get("model_type") or config.get("architectures") or config.get("encoder_type"):
        return "transformers"
    raise AnyGenError(
        "model_load_error",
        f"{folder / 'config.json'}: found neither a model_type nor an encoder_type; expected a model folder of anygen, "
        "diffusers or transformers, or a published checkpoint of NExT-GPT or GILL",
    )


def read_config(path: Path) -> dict:
    """A JSON object from a file. Raises `model_load_error` that names it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnyGenError("model_load_error", f"{path}: {error}; expected the configuration of a model folder") from error
    if not isinstance(found, dict):
        raise AnyGenError("model_load_error", f"{path}: found {type(found).__name__}; expected a JSON object")
    return found
