"""`anygen eval MODEL`: the any-to-any matrix, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    model: Annotated[str, typer.Argument(help="What to measure: nano, or the folder of a model of nano's world.")],
    *,
    scenes: Annotated[int, typer.Option(help="Scenes a cell and seed.")] = 200,
    seeds: Annotated[int, typer.Option(help="Seeds to average over.")] = 3,
    out: Annotated[Path, typer.Option(help="The folder for the judges and the tables.")] = Path("runs/eval"),
):
    """Measure what a model of nano's world gets right, medium by medium."""
    from anygen.evaluation import run

    run.evaluate(model, scenes=scenes, seeds=seeds, out=out)
