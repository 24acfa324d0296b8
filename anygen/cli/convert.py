"""`anygen convert SOURCE --out DIR`: a published any-to-any checkpoint into a model folder of anygen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anygen.cli.terminal import log_to_stderr, quiet_libraries
from anygen.convert.layouts import LAYOUTS, MODALITIES


def convert(
    source: Annotated[str, typer.Argument(help=f"A published folder or repository: {', '.join(LAYOUTS)}.")],
    *,
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    llm: Annotated[str | None, typer.Option(help="The LLM that it was trained over.", show_default=False)] = None,
    encoder: Annotated[
        str | None, typer.Option(help="imagebind_huge.pth, or an encoder's folder or hub id.", show_default=False)
    ] = None,
    image_model: Annotated[str | None, typer.Option(help="Another generator of pictures.", show_default=False)] = None,
    video_model: Annotated[str | None, typer.Option(help="Another generator of films.", show_default=False)] = None,
    audio_model: Annotated[str | None, typer.Option(help="Another generator of sounds.", show_default=False)] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Read pickled weights, as weights only; for files that you trust.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what became of every tensor as one JSON object.")] = False,
):
    """Convert a checkpoint of NExT-GPT or GILL; every tensor is used, ignored for a stated reason, or refused."""
    quiet_libraries()
    log_to_stderr()
    from anygen.convert.convert import FrozenParts, convert_checkpoint

    named = dict(zip(MODALITIES, (image_model, video_model, audio_model), strict=True))
    frozen = FrozenParts(llm=llm, encoder=encoder, generators={m: model for m, model in named.items() if model})
    done = convert_checkpoint(source, out, frozen=frozen, allow_pickle=allow_pickle)
    if json:
        typer.echo((done.folder / "conversion.json").read_text(encoding="utf-8"))
        return
    num_ignored = sum(done.ignored.values())
    typer.echo(f"{done.folder}: {done.layout.system}, {len(done.lines) - num_ignored} tensors used, {num_ignored} ignored")
    for reason, count in done.ignored.items():
        typer.echo(f"  ignored {count}: {reason}")
    typer.echo(f"licences: {done.layout.system} {done.layout.licence}; {done.layout.encoder} {done.layout.encoder_licence}")
