"""`anygen batch INPUT --out DIR`: many requests, one record each; stopped and gone on with at any moment.

    JSONL, OpenAI batch lines, CSV, Parquet, a folder of media -> anygen.batch -> DIR/results.jsonl, DIR/media/
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from anygen.cli import exit_codes
from anygen.cli.request import ENLARGEMENT_HELP, parse_modalities
from anygen.cli.terminal import CountBar
from anygen.errors import AnyGenError
from anygen.parameters import MAX_ENLARGEMENT, MODALITIES

USAGE_CODES = ("duplicate_id", "invalid_request", "invalid_parameter", "run_mismatch")
"""What the person at the command line has to mend; raised before anything is computed."""


def batch(
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="A .jsonl (ours, or OpenAI batch lines), .csv, .tsv or .parquet file, a folder of media, or - for JSONL "
            "from standard input.",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option(help="The folder for results.jsonl and media; to go on, name the same one.")],
    model: Annotated[str, typer.Option(help="'nano', a model folder or a hub id.")] = "nano",
    seed: Annotated[int, typer.Option(help="The run's seed; items have seeds of their own from it and their id.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Items that go through the model together.")] = 8,
    workers: Annotated[int, typer.Option(help="Processes (or Ray actors) that hold the model.")] = 1,
    engine: Annotated[str, typer.Option(help="local, or ray for Ray Data on this machine or a cluster.")] = "local",
    to: Annotated[
        str | None,
        typer.Option(help=f"What to answer with where an item does not say it, of {', '.join(MODALITIES)}."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps.", show_default="the model's own")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale.", show_default="the model's own")] = None,
    instruction: Annotated[str | None, typer.Option(help="What to do with each file of a folder.")] = None,
    text_column: Annotated[str, typer.Option(help="The column of a table that holds the request.")] = "text",
    limit: Annotated[int | None, typer.Option(help="Only the first N items.", show_default="all")] = None,
    max_enlargement: Annotated[float, typer.Option(help=ENLARGEMENT_HELP)] = MAX_ENLARGEMENT,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Do again what failed before.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Move results of another run in DIR to DIR/earlier-N.")] = False,
    no_provenance: Annotated[bool, typer.Option("--no-provenance", help="Leave out of files how they were made.")] = False,
):
    """Answer every item of a file or folder; each ends as ok, failed or skipped, and none harms another.

    The same command goes on where a run was stopped, and ends with the same bytes. Exit status: 0 all is well, 2 usage,
    3 some items failed (their records say why), 130 interrupted, 1 anything else.
    """
    from anygen.batch.inputs import BatchInput, spooled
    from anygen.batch.run import BatchRun, run_batch

    sampling = {"num_inference_steps": steps, "guidance_scale": guidance}
    sampling = {name: value for name, value in sampling.items() if value is not None}
    if source != "-" and not Path(source).exists():
        raise typer.BadParameter(f"found no {source}", param_hint="INPUT")
    with _as_usage_error(), _standard_input(source, spooled) as path:
        given = BatchInput(
            source=path,
            modalities=parse_modalities(to),
            params={modality: sampling for modality in MODALITIES[1:]} if sampling else {},
            instruction=instruction,
            text_column=text_column,
            without=out,
        )
        run = BatchRun(
            input=given,
            out=out,
            model=model,
            seed=seed,
            batch_size=batch_size,
            workers=workers,
            engine=engine,
            limit=limit,
            has_provenance=not no_provenance,
            max_enlargement=max_enlargement,
            retries_failed=retry_failed,
            is_forced=force,
        )
        with CountBar() as bar:
            summary = run_batch(run, on_progress=bar.show)
    counts = ", ".join(f"{summary.counts[status]} {status}" for status in ("ok", "failed", "skipped"))
    before = f" ({summary.num_before} of them done before)" if summary.num_before else ""
    typer.echo(f"{summary.num_items} items: {counts}{before}; {out / 'results.jsonl'}")
    raise typer.Exit(exit_codes.ITEMS_FAILED if summary.counts["failed"] else exit_codes.OK)


@contextmanager
def _standard_input(source: str, spooled) -> Iterator[str]:
    """The path to read; standard input is in a file until the block ends, for it is read twice."""
    path = spooled(source)
    try:
        yield path
    finally:
        if source == "-":
            Path(path).unlink()


@contextmanager
def _as_usage_error() -> Iterator[None]:
    try:
        yield
    except AnyGenError as error:
        if error.code not in USAGE_CODES:
            raise
        print(f"anygen: {error}", file=sys.stderr)
        raise typer.Exit(exit_codes.USAGE) from error
