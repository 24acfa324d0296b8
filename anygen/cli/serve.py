"""`anygen serve`: an OpenAI-shaped HTTP server around one model."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from anygen.cli.request import ENLARGEMENT_HELP
from anygen.cli.terminal import quiet_libraries, say
from anygen.errors import AnyGenError
from anygen.parameters import MAX_ENLARGEMENT

TOKEN_VARIABLE = "ANYGEN_TOKEN"


def serve(
    *,
    model: Annotated[str, typer.Option(help="'nano', a model folder or a hub id.")] = "nano",
    host: Annotated[str, typer.Option(help="The address to listen on; others than this machine's need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    token: Annotated[
        str | None, typer.Option(help=f"What clients have to send; better set as {TOKEN_VARIABLE}.", show_default=False)
    ] = None,
    max_queue: Annotated[int, typer.Option(help="Requests that may wait; more are answered with 503.")] = 64,
    max_batch: Annotated[int, typer.Option(help="Requests that are answered together.")] = 8,
    max_body: Annotated[int, typer.Option(help="Size of a request, MiB.")] = 64,
    max_enlargement: Annotated[float, typer.Option(help=ENLARGEMENT_HELP)] = MAX_ENLARGEMENT,
    deadline: Annotated[float, typer.Option(help="Seconds that a request may take.")] = 300.0,
    grace: Annotated[float, typer.Option(help="Seconds to finish in after the signal to stop.")] = 30.0,
    allow_urls: Annotated[bool, typer.Option("--allow-urls", help="Fetch media from public addresses of the network.")] = False,
    url_network: Annotated[
        list[str] | None,
        typer.Option(help="With --allow-urls: a network that is not public but may be fetched from; may be repeated."),
    ] = None,
    media_root: Annotated[
        Path | None, typer.Option(help="A folder from which file:// media may be read.", show_default=False)
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log every request that fails, with its details.")] = False,
):
    """Answer HTTP requests as OpenAI's API does.

    SIGTERM and Ctrl-C stop it once the requests at work are finished, at most --grace seconds later; a second one at
    once. Exit status: 130 after a signal, 2 usage, 1 anything else.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("anygen").setLevel(logging.INFO if verbose else logging.WARNING)
    try:
        from anygen.serve.server import serve as run
        from anygen.serve.settings import ServeSettings
    except ModuleNotFoundError as error:
        raise AnyGenError("model_load_error", f"{error}; pip install 'anygen[serve]'") from error
    try:
        settings = ServeSettings(
            model=model, host=host, port=port, token=token or os.environ.get(TOKEN_VARIABLE) or None,
            max_queue=max_queue, max_batch=max_batch, max_body_bytes=max_body * 2**20, deadline_seconds=deadline,
            grace_seconds=grace, allow_urls=allow_urls, url_networks=tuple(url_network or ()), media_root=media_root,
            max_enlargement=max_enlargement,
        )  # fmt: skip
        run(settings, load=lambda: _load(model), on_start=lambda address: say(f"listening at {address}/v1"))
    except AnyGenError as error:
        if error.code != "invalid_parameter":
            raise
        raise typer.BadParameter(error.detail) from error


def _load(model: str):
    quiet_libraries()
    from anygen import AnyGenPipeline

    pipeline = AnyGenPipeline.from_pretrained(model)
    say(f"{model} is ready")
    return pipeline
