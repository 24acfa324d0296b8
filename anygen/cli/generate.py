"""`anygen generate`: one request, its reply as files and as a record of `results.jsonl`.

    words, --image, --video, --audio -> one user turn -> AnyGenPipeline -> out/{id}_{position}.{png,mp4,wav} + record
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anygen.cli import exit_codes
from anygen.cli.request import MODALITIES, Request, answer, load_pipeline, parse_modalities, summary


def generate(
    text: Annotated[str | None, typer.Argument(help="What to say to the model.", show_default=False)] = None,
    *,
    out: Annotated[Path, typer.Option(help="The folder for media files and results.jsonl.")],
    image: Annotated[list[Path] | None, typer.Option(help="A picture to show it; may be repeated.")] = None,
    video: Annotated[list[Path] | None, typer.Option(help="A film to show it; may be repeated.")] = None,
    audio: Annotated[list[Path] | None, typer.Option(help="A sound to play to it; may be repeated.")] = None,
    to: Annotated[
        str | None,
        typer.Option(help=f"What to answer with, comma-separated, of {', '.join(MODALITIES)}; default: the model decides."),
    ] = None,
    model: Annotated[str, typer.Option(help="'nano', a model folder or a hub id.")] = "nano",
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    steps: Annotated[int | None, typer.Option(help="Denoising steps.", show_default="the model's own")] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale.", show_default="the model's own")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the record instead of a summary.")] = False,
):
    """Answer one request and save the reply.

    Media files and results.jsonl land in --out. Exit status: 0 all is well, 2 usage, 3 the item failed (its record says
    why), 130 interrupted, 1 anything else.
    """
    modalities = parse_modalities(to)
    media = {"image": image, "video": video, "audio": audio}
    content = [{"type": kind, kind: str(path)} for kind, paths in media.items() for path in paths or ()]
    content += [{"type": "text", "text": text}] if text else []
    if not content:
        raise typer.BadParameter("found nothing to answer; give TEXT, --image, --video or --audio")
    parameters = {"num_inference_steps": steps, "guidance_scale": guidance}
    parameters = {name: value for name, value in parameters.items() if value is not None}

    request = Request(content=content, modalities=modalities, model=model, seed=seed, parameters=parameters)
    record, _ = answer(load_pipeline(model), request, folder=out)
    typer.echo(record.to_json() if json else summary(record, folder=out))
    raise typer.Exit(exit_codes.OK if record.status == "ok" else exit_codes.ITEMS_FAILED)
