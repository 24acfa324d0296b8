"""`anygen demo`: the gradio apps over a model, in the browser; see `anygen.demos`."""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec
from typing import Annotated

import typer

from anygen.cli.request import load_pipeline
from anygen.cli.terminal import say

APPS = ("chat", "grid")


def demo(
    *,
    model: Annotated[str, typer.Option(help="'nano', a model folder or a hub id.")] = "nano",
    app: Annotated[str, typer.Option(help="chat: a conversation. grid: one input told in every medium.")] = "chat",
    host: Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 opens it to the network.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(help="Default: the first free one from 7860 on.", min=1, max=65535, show_default=False)
    ] = None,
):
    """Serve a page to talk with a model in the browser, until Ctrl-C."""
    if app not in APPS:
        raise typer.BadParameter(f"found {app!r}; the apps are: {', '.join(APPS)}", param_hint="--app")
    if find_spec("gradio") is None:
        raise typer.BadParameter("gradio is not installed; install it with: pip install 'anygen[demo]'")
    with tempfile.TemporaryDirectory(prefix="anygen-demo-", ignore_cleanup_errors=True) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # uploads and results, gone when the page is
        pipeline = load_pipeline(model)
        if host not in ("127.0.0.1", "localhost", "::1"):
            say(f"whoever reaches {host} can use this page and this machine's time: it asks for no password")
        from anygen.demos.launch import launch

        launch(pipeline, app, host=host, port=port)
