"""`anygen index DIR --out INDEX`: media of a folder, embedded, so that replies can be found instead of made.

DIR -> anygen.retrieval.build_index -> INDEX/{index.json, items.jsonl, embeddings.safetensors}
"""

from __future__ import annotations

import json as json_module
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from anygen.cli import exit_codes
from anygen.cli.request import parse_modalities
from anygen.cli.terminal import CountBar, quiet_libraries, say


def index(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of pictures, films and sounds.")],
    *,
    out: Annotated[Path, typer.Option(help="The folder for the index; the media stay where they are.")],
    model: Annotated[str, typer.Option(help="Whose encoder embeds them: 'nano', a model, or an encoder.")] = "nano",
    only: Annotated[str | None, typer.Option(help="Kinds to index, comma-separated; default: all.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Say which files of the index at --out have changed.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
):
    """Index the media below DIR; use the index as `--image-model index:INDEX`.

    Files that are no media are left out and named on stderr. Exit status: 0 all is well, 3 nothing was found, or with
    --check something has changed, 2 usage, 1 anything else.
    """
    quiet_libraries()
    from anygen.media.types import MEDIA
    from anygen.retrieval import MediaIndex, build_index

    if check:
        stale = [item.path for item in MediaIndex.load(out).stale_items()]
        typer.echo(json_module.dumps({"stale": stale}) if json else "\n".join(stale or ["nothing has changed"]))
        raise typer.Exit(exit_codes.ITEMS_FAILED if stale else exit_codes.OK)
    modalities = [each for each in parse_modalities(only) or MEDIA if each != "text"]
    with CountBar() as bar:
        built = build_index(
            source, encoder=model, modalities=modalities, on_file=lambda n, total: bar.show("ok", n, total)
        )
    for path, reason in built.skipped.items():
        say(f"left out {path}: {reason}")
    counts = Counter(item.modality for item in built.index.items)
    if counts:
        built.index.save(out)
    told = {"index": str(out), "items": dict(counts), "skipped": len(built.skipped)}
    found = ", ".join(f"{count} {modality}" for modality, count in counts.items()) or "no media"
    typer.echo(json_module.dumps(told) if json else f"{found}; left out: {len(built.skipped)} files")
    raise typer.Exit(exit_codes.OK if counts else exit_codes.ITEMS_FAILED)
