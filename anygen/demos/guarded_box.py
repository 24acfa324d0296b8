"""A multimodal box that reads nothing but what was uploaded to it.

gradio takes an address in the place of an upload and fetches it. Addresses are off in anygen's pages: whoever has a
file uploads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from anygen.demos.uploads import MAX_TEXT
from anygen.errors import PUBLIC_TEXT
from anygen.media.types import MEDIA

if TYPE_CHECKING:
    from anygen.pipeline import AnyGenPipeline


def guarded_box(reads: Sequence[str], **settings: Any) -> gr.MultimodalTextbox:
    """A box for words, and for files and the microphone where the model reads such media.

    `reads` are the media that it takes, `settings` those of `gr.MultimodalTextbox`.
    """
    box = gr.MultimodalTextbox(
        sources=(["upload"] if reads else []) + (["microphone"] if "audio" in reads else []),
        file_count="multiple",
        file_types=list(reads),
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


def media_read(pipeline: AnyGenPipeline) -> tuple[str, ...]:
    """The media that the model of a pipeline takes, in the usual order."""
    return tuple(modality for modality in MEDIA if modality in pipeline.model.input_modalities)


def _refuse_address(path: str | Path | None) -> None:
    """gradio calls this for each file of a message. Raises for what it would fetch."""
    if path is not None and "://" in str(path):
        raise gr.Error(PUBLIC_TEXT["url_not_allowed"], print_exception=False)
