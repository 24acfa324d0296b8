"""A multimodal box that reads nothing but what was uploaded to it.

gradio takes an address in the place of an upload and fetches it. Addresses are off in anygen's pages: whoever has a
file uploads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from anygen.demos.uploads import MAX_TEXT
from anygen.errors import PUBLIC_TEXT


def guarded_box(**settings: Any) -> gr.MultimodalTextbox:
    """A box for words, files and the microphone; `settings` as for `gr.MultimodalTextbox`."""
    box = gr.MultimodalTextbox(
        sources=["upload", "microphone"],
        file_count="multiple",
        file_types=["image", "video", "audio"],
        show_label=False,
        max_plain_text_length=MAX_TEXT,
        elem_id="box",
        **settings,
    )
    take, take_later = box.move_resource_to_block_cache, box.async_move_resource_to_block_cache

    def take_upload(path: str | Path | None) -> str | None:
        _refuse_address(path)
        return take(path)

    async def take_upload_later(path: str | Path | None) -> str | None:
        _refuse_address(path)
        return await take_later(path)

    # On the object, for gradio writes a stub file beside the module of each subclass of a component.
    box.move_resource_to_block_cache = take_upload
    box.async_move_resource_to_block_cache = take_upload_later
    return box


def _refuse_address(path: str | Path | None) -> None:
    """gradio calls this for each file of a message. Raises for what it would fetch."""
    if path is not None and "://" in str(path):
        raise gr.Error(PUBLIC_TEXT["url_not_allowed"], print_exception=False)
