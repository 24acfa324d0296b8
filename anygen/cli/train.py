"""`anygen train MODEL`: the recipe that made a model, from nothing or from where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    model: Annotated[str, typer.Argument(help="The recipe to run: nano.")],
    work_dir: Annotated[Path, typer.Option(help="Checkpoints, caches and logs; a run continues from what is here.")] = Path(
        "runs/nano"
    ),
    only: Annotated[str | None, typer.Option(help="One component or stage of the recipe, instead of all.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop each component after this long.", show_default=False)] = None,
):
    """Train a model with this repository's own recipe."""
    if model != "nano":
        raise typer.BadParameter(f"found {model!r}; the recipes are: nano")
    from anygen.nano.training import run

    run.train(work_dir=work_dir, only=only, minutes=minutes)
