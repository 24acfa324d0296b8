"""`anygen eval MODEL`: the any-to-any matrix, measured; see `anygen.evaluation`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anygen.cli.terminal import log_to_stderr, quiet_libraries


def evaluate(
    model: Annotated[str, typer.Argument(help="'nano', or the folder or hub id of a model of nano's world.")],
    *,
    scenes: Annotated[int, typer.Option(help="Requests of each cell, split and seed.", min=1)] = 200,
    seeds: Annotated[int, typer.Option(help="How many seeds to measure; figures are their median.", min=1)] = 3,
    split: Annotated[list[str] | None, typer.Option(help="test or held_out; may be repeated; default: both.")] = None,
    cell: Annotated[list[str] | None, typer.Option(help="A cell of the matrix; may be repeated; default: all.")] = None,
    out: Annotated[Path, typer.Option(help="The folder for records and tables; a run goes on from what is there.")] = Path(
        "runs/eval"
    ),
    judges: Annotated[
        Path | None, typer.Option(help="A folder of judges, trained there if missing; default: those of the package.")
    ] = None,
):
    """Measure what a model of nano's world gets right, medium by medium, and print the table."""
    from anygen.nano.world.scene import SPLITS

    measured = tuple(name for name in SPLITS if name != "train")
    for name in split or ():
        if name not in measured:
            raise typer.BadParameter(f"found {name!r}; expected {' or '.join(measured)}", param_hint="--split")
    quiet_libraries()
    log_to_stderr()
    from anygen.evaluation.matrix import find_cells
    from anygen.evaluation.run import evaluate as measure

    try:
        find_cells(cell)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--cell") from error
    measure(model, scenes=scenes, seeds=range(seeds), splits=split or measured, cells=cell, out=out, judges=judges)
