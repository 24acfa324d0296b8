"""Serve a page: to this machine unless another address is asked for, without a share link, files or telemetry.

    page -> queue of bounded length, one call of the pipeline at a time -> http://127.0.0.1:7860
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from anygen.demos.appearance import HEAD, style_sheet, theme
from anygen.demos.chat import build_chat
from anygen.demos.grid import build_grid
from anygen.demos.uploads import LIMITS

if TYPE_CHECKING:
    from anygen.pipeline import AnyGenPipeline

PAGES = {"chat": build_chat, "grid": build_grid}
"""What `--app` may name."""
MAX_WAITING = 32
"""Requests in the queue; one more is refused."""
MAX_SESSIONS = 100
"""Sessions kept; of more, the one unused for longest is forgotten."""


def launch(
    pipeline: AnyGenPipeline, app: str = "chat", *, host: str = "127.0.0.1", port: int | None = None, wait: bool = True
) -> gr.Blocks:
    """Serve the "chat" or the "grid" over a pipeline; with `wait`, until it is interrupted.

    Without a port the first free one from 7860 on is taken. Returns the page; `page.local_url` is its address.
    """
    page = PAGES[app](pipeline)
    page.queue(max_size=MAX_WAITING, default_concurrency_limit=1, api_open=False)
    page.launch(
        server_name=host,
        server_port=port,
        share=False,
        inbrowser=False,
        prevent_thread_lock=True,
        quiet=True,
        show_error=False,
        allowed_paths=[],
        max_file_size=LIMITS.max_bytes,
        state_session_capacity=MAX_SESSIONS,
        strict_cors=True,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        run_history=False,
        enable_monitoring=False,
        footer_links=["api"],
        theme=theme(),
        css=style_sheet(),
        head=HEAD,
    )
    if wait:
        print(f"{app} of {pipeline.name}: {page.local_url} (Ctrl-C ends)", flush=True)
        page.block_thread()
    return page
