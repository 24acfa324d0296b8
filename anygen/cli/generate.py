"""`anygen generate`: one request, its reply as files and as a record of `results.jsonl`.

words, --image, --video, --audio -> one user turn -> AnyGenPipeline (composing.py says which) ->
out/{id}_{position}.{png,mp4,wav} + record
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anygen.cli import exit_codes
from anygen.cli.composing import SOURCES, ModelChoice, load_choice
from anygen.cli.request import Request, answer, parse_modalities, summary
from anygen.parameters import MODALITIES


def generate(
    text: Annotated[str | None, typer.Argument(help="What to say to the model.", show_default=False)] = None,
    *,
    out: Annotated[Path, typer.Option(help="The folder for media files and results.jsonl.")],
    image: Annotated[list[Path] | None, typer.Option(help="A picture to show it; may be repeated.")] = None,
    video: Annotated[list[Path] | None, typer.Option(help="A film to show it; may be repeated.")] = None,
    audio: Annotated[list[Path] | None, typer.Option(help="A sound to play to it; may be repeated.")] = None,
    to: Annotated[
        str | None,
        typer.Option(
            help=f"What to answer with, comma-separated, of {', '.join(MODALITIES)}; default: the model decides."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="'nano', a preset, a model folder or a hub id.", show_default="nano")
    ] = None,
    llm: Annotated[str | None, typer.Option(help=f"Compose a model around this LLM: {SOURCES}.")] = None,
    image_model: Annotated[str | None, typer.Option(help="What makes its pictures, likewise; or index:FOLDER.")] = None,
    video_model: Annotated[str | None, typer.Option(help="What makes its films, likewise.")] = None,
    audio_model: Annotated[str | None, typer.Option(help="What makes its sounds, likewise.")] = None,
    bridge: Annotated[str, typer.Option(help="What joins them: text, or untrained signal, query or blend.")] = "text",
    device: Annotated[
        str | None, typer.Option(help="Where composed parts go.", show_default="an accelerator, or cpu")
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="Their precision.", show_default="bfloat16; float32 on cpu")] = None,
    max_loaded: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Load composed generators when they are used, and keep at most so many in memory.",
            show_default="all at once",
        ),
    ] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="The environment variable with the key of remote parts.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Save the composition here, for --model.")] = None,
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
    makers = {"image": image_model, "video": video_model, "audio": audio_model}
    choice = ModelChoice(
        model=model, llm=llm, generators={kind: source for kind, source in makers.items() if source}, bridge=bridge,
        device=device, dtype=dtype, max_loaded=max_loaded, api_key_env=api_key_env, save=save,
    )  # fmt: skip
    choice.check()
    media = {"image": image, "video": video, "audio": audio}
    content = [{"type": kind, kind: str(path)} for kind, paths in media.items() for path in paths or ()]
    content += [{"type": "text", "text": text}] if text else []
    if not content:
        raise typer.BadParameter("found nothing to answer; give TEXT, --image, --video or --audio")
    parameters = {"num_inference_steps": steps, "guidance_scale": guidance}
    parameters = {name: value for name, value in parameters.items() if value is not None}

    pipeline, name = load_choice(choice)
    request = Request(content=content, modalities=modalities, model=name, seed=seed, parameters=parameters)
    record, _ = answer(pipeline, request, folder=out)
    typer.echo(record.to_json() if json else summary(record, folder=out))
    raise typer.Exit(exit_codes.OK if record.status == "ok" else exit_codes.ITEMS_FAILED)
