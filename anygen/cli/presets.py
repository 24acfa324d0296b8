"""`anygen presets [NAME]`: compositions of published parts by size of machine, and what one of them needs."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import Annotated

import typer

from anygen.cli.tables import print_table
from anygen.presets.preset import BYTES_PER_PARAMETER, UNPINNED, Preset, preset_names, read_preset

NOT_RUN = "not run here: memory is computed from stated parameter counts, weights only; the shape is tested at tiny size"
SHOWN_DTYPES = ("float32", "bfloat16", "int8", "int4")


def presets(
    name: Annotated[str | None, typer.Argument(help="Show one; default: all of them.", show_default=False)] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
):
    """List compositions of published models by size of machine, or show one."""
    shown = [read_preset(each) for each in ([name] if name else preset_names())]
    if json:
        records = [_record(preset) for preset in shown]
        typer.echo(json_module.dumps(records[0] if name else {"presets": records}))
    elif name:
        _show(shown[0])
    else:
        _list(shown)


def _record(preset: Preset) -> dict:
    memory = {dtype: round(preset.total_gb(dtype), 2) for dtype in SHOWN_DTYPES}
    return {**asdict(preset), "memory_gb": round(preset.memory_gb, 2), "total_gb": memory, "status": NOT_RUN}


def _list(shown: list[Preset]) -> None:
    rows = [
        (
            f"{preset.machine_gb} GB",
            preset.name,
            ", ".join(["text", *preset.generators]),
            f"{preset.memory_gb:.1f} GB, {preset.placement}",
            preset.summary,
        )
        for preset in shown
    ]
    print_table(("machine", "preset", "answers in", "weights on the device", "what it is"), rows, caption=NOT_RUN)


def _show(preset: Preset) -> None:
    rows = []
    for place, part in preset.parts.items():
        revision = "main, unpinned" if part.revision == UNPINNED else part.revision[:12]
        size = f"{part.num_parameters / 1e9:.2f} B, {part.dtype}: {part.num_bytes() / 1e9:.1f} GB"
        rows.append((place, part.source, revision, part.class_name, size, part.licence))
    title = f"{preset.name}: {preset.summary}"
    columns = ("part", "hub id", "revision", "class", "weights", "licence")
    print_table(columns, rows, title=title, caption=NOT_RUN)
    everything = "; ".join(f"{dtype} {preset.total_gb(dtype):.1f} GB" for dtype in BYTES_PER_PARAMETER if dtype in SHOWN_DTYPES)
    typer.echo(f"on a machine of {preset.machine_gb} GB, {preset.placement}: {preset.memory_gb:.1f} GB; bridge: {preset.bridge}")
    typer.echo(f"all parts at once: {everything}")
    for place, part in preset.parts.items():
        if part.note:
            typer.echo(f"{place}: {part.note}")
