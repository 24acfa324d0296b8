"""`anygen info MODEL`: what a model is made of, read from its configurations and the headers of its weight files.

No weights are read and no library is loaded, so the answer is quick for a model of any size.
"""

from __future__ import annotations

import json as json_module
import math
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from anygen.errors import AnyGenError
from anygen.hub import find_folder

TRAINING = {
    "encoder": "frozen",
    "input_projectors": "trained",
    "llm": "LoRA and signal rows, folded in",
    "output_projectors": "trained",
    "generators": "frozen",
}
"""What became of each kind of part when the parts were joined."""


@dataclass(frozen=True, kw_only=True)
class PartInfo:
    """One row of the table."""

    name: str
    """The part's place in the model folder, e.g. "generators/image/unet"."""
    class_name: str
    num_parameters: int
    num_bytes: int
    """Of its weights on disk."""
    training: str
    """Frozen or trained while the parts were joined."""
    licence: str


def info(
    model: Annotated[str, typer.Argument(help="'nano', a model folder or a hub id.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
):
    """List the parts of a model: class, parameters, what is trained, licences."""
    folder = find_folder(model)
    parts = list(read_parts(folder))
    if json:
        total = sum(part.num_parameters for part in parts)
        typer.echo(json_module.dumps({"model": model, "num_parameters": total, "parts": [asdict(part) for part in parts]}))
    else:
        _print_table(parts, title=f"{model}: {folder}")


def read_parts(folder: Path) -> Iterator[PartInfo]:
    """The parts of a model folder, in the order of the data flow. Raises `model_load_error` if it is not one."""
    config = _read_json(folder / "config.json")
    sizes: dict[str, list[int]] = {}
    for path in sorted(folder.rglob("*.safetensors")):
        for tensor, (num_values, num_bytes) in read_header(path).items():
            group, modality, *_ = [*tensor.split("."), ""]
            name = path.parent.relative_to(folder).as_posix()
            size = sizes.setdefault(f"{group}/{modality}" if name == "." else name, [0, 0])
            size[0] += num_values
            size[1] += num_bytes
    for name, (num_parameters, num_bytes) in sorted(sizes.items(), key=lambda item: _place(item[0])):
        yield PartInfo(
            name=name,
            class_name=_class_name(folder, name, config),
            num_parameters=num_parameters,
            num_bytes=num_bytes,
            training=TRAINING.get(name.split("/")[0], "frozen"),
            licence=_licence(folder, name),
        )


def read_header(path: Path) -> dict[str, tuple[int, int]]:
    """The tensors of a safetensors file: name -> (number of values, bytes). Reads the header alone.

    The format: eight bytes with the header's length, little-endian, then the header, a JSON object
    (https://huggingface.co/docs/safetensors). Raises `model_load_error` for another file.
    """
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json_module.loads(file.read(min(length, 100_000_000)))
    except (OSError, struct.error, ValueError) as error:
        raise AnyGenError("model_load_error", f"{path}: {error}; expected a safetensors file") from error
    header.pop("__metadata__", None)
    return {
        name: (math.prod(entry["shape"]), entry["data_offsets"][1] - entry["data_offsets"][0])
        for name, entry in header.items()
    }


def _place(name: str) -> tuple[int, str]:
    """Sorts parts by their station in the data flow, then by name."""
    order = list(TRAINING)
    kind = name.split("/")[0]
    return (order.index(kind) if kind in order else len(order), name)


def _class_name(folder: Path, name: str, config: dict) -> str:
    """The class that a part says it is of: in its own configuration, or in the model's for projectors."""
    kind, _, modality = name.partition("/")
    if kind in ("input_projectors", "output_projectors"):
        return config[kind][modality]["type"]
    own = _read_json(folder / name / "config.json")
    return own.get("_class_name") or next(iter(own.get("architectures") or []), None) or own.get("encoder_type", "unknown")


def _licence(folder: Path, name: str) -> str:
    """The licence in the model card (`license:` in README.md) that is nearest to the part, "unknown" without one."""
    for place in (folder / name, *(folder / name).parents):
        card = place / "README.md"
        if card.is_file():
            for line in card.read_text(encoding="utf-8").splitlines():
                if line.startswith("license:"):
                    return line.removeprefix("license:").strip()
        if place == folder:
            break
    return "unknown"


def _read_json(path: Path) -> dict:
    try:
        return json_module.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnyGenError("model_load_error", f"{path}: {error}; expected the configuration of a model folder") from error


def _print_table(parts: list[PartInfo], *, title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_footer=True)
    table.add_column("part", footer="total")
    table.add_column("class")
    table.add_column("parameters", justify="right", footer=f"{sum(part.num_parameters for part in parts):,}")
    table.add_column("MB", justify="right", footer=f"{sum(part.num_bytes for part in parts) / 1e6:.1f}")
    table.add_column("joining the parts")
    table.add_column("licence")
    for part in parts:
        size = f"{part.num_bytes / 1e6:.1f}"
        table.add_row(part.name, part.class_name, f"{part.num_parameters:,}", size, part.training, part.licence)
    terminal = Console()
    (terminal if terminal.is_terminal else Console(width=160)).print(table)
