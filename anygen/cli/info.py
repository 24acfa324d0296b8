"""`anygen info MODEL`: what a model is made of, read from its configurations and the heads of its weight files.

No weights are read and no library is loaded, so the answer is quick for a model of any size; of a repository of the hub no
weights are fetched.
"""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from anygen.cli.presets import presets
from anygen.cli.tables import print_table
from anygen.inspection.inventory import Inventory, read_inventory
from anygen.inspection.remote_headers import described_folder
from anygen.presets.preset import is_preset


def info(
    model: Annotated[str, typer.Argument(help="'nano', a model folder of any kind, a hub id, or a preset's name.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
):
    """List the parts of a model: class, parameters, widths at the joints, what is trained, memory, licences."""
    if is_preset(model) and not Path(model).is_dir():
        return presets(model, json=json)
    with described_folder(model) as folder:
        inventory = read_inventory(folder)
    if json:
        typer.echo(json_module.dumps({"model": model, **_record(inventory)}))
    else:
        _print(inventory, title=f"{model}: {folder}" if folder.exists() else model)


def _record(inventory: Inventory) -> dict:
    return {
        "kind": inventory.kind,
        "num_parameters": inventory.num_parameters,
        "memory_gb": {dtype: round(size, 3) for dtype, size in inventory.memory_gb.items()},
        "parts": [asdict(part) for part in inventory.parts],
        "joints": [{**asdict(joint), "fits": joint.fits} for joint in inventory.joints],
    }


def _print(inventory: Inventory, *, title: str) -> None:
    rows = [
        (
            part.name,
            part.class_name,
            f"{part.num_parameters:,}" if part.num_parameters or not part.source else "not here",
            f"{part.num_bytes / 1e6:.1f}" if part.num_parameters or not part.source else "",
            part.training,
            part.licence,
        )
        for part in inventory.parts
    ]
    size = sum(part.num_bytes for part in inventory.parts) / 1e6
    print_table(
        ("part", "class", "parameters", "MB", "joining the parts", "licence"),
        rows,
        title=title,
        footer=("total", "", f"{inventory.num_parameters:,}", f"{size:.1f}", "", ""),
        numbers=("parameters", "MB"),
    )
    memory = "; ".join(f"{dtype} {size:.2f} GB" for dtype, size in inventory.memory_gb.items())
    typer.echo(f"memory of the weights: {memory}; activations and caches come on top")
    if inventory.joints:
        typer.echo("widths, from left to right:")
    for joint in inventory.joints:
        typer.echo(f"  {joint.left} {joint.left_width} -> {joint.right} {joint.right_width}")
    for source, names in _sources(inventory).items():
        typer.echo(f"{', '.join(names)}: {source}")
    for joint in inventory.mismatches:
        typer.echo(f"MISMATCH: {joint.sentence}; such a model is refused when it is loaded")


def _sources(inventory: Inventory) -> dict[str, list[str]]:
    """Where parts are referred to -> their names."""
    sources: dict[str, list[str]] = {}
    for part in inventory.parts:
        if part.source:
            sources.setdefault(part.source, []).append(part.name)
    return sources
