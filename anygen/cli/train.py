"""`anygen train MODEL`: the recipe that made a model, from nothing or from where it stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anygen.cli.terminal import log_to_stderr, quiet_libraries
from anygen.errors import AnyGenError

RECIPES = ("nano",)


def train(
    model: Annotated[str, typer.Argument(help=f"The recipe to run: {', '.join(RECIPES)}.")],
    *,
    work_dir: Annotated[Path, typer.Option(help="Data, checkpoints and logs; a run goes on from what is there.")] = Path(
        "runs/nano"
    ),
    only: Annotated[str | None, typer.Option(help="One step of the recipe, such as llm or stage1; default: all.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop each step after this long.", show_default=False)] = None,
    start_from: Annotated[
        str | None, typer.Option(help="Go on from a finished model: nano, or a folder.", show_default=False)
    ] = None,
    keep: Annotated[
        str, typer.Option(help="Steps whose result is taken over from that model, separated by commas.", show_default=False)
    ] = "",
):
    """Train a model with this repository's own recipe."""
    if model not in RECIPES:
        raise typer.BadParameter(f"found {model!r}; the recipes are: {', '.join(RECIPES)}")
    quiet_libraries()
    log_to_stderr()
    from anygen.nano.training import run

    try:
        run.train(work_dir=work_dir, only=only, minutes=minutes, start_from=start_from, keep=[name for name in keep.split(",") if name])
    except AnyGenError as error:
        if error.code != "invalid_parameter":
            raise
        raise typer.BadParameter(error.detail, param_hint="--only, --keep") from error
