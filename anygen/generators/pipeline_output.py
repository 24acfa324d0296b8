"""What a pipeline makes, read from the class of output that its `__call__` builds: images, frames or audios."""

from __future__ import annotations

import dataclasses

from anygen.errors import AnyGenError
from anygen.generators.pipeline_run import undecorated_call

FIELDS = {"images": "image", "frames": "video", "audios": "audio"}
"""Field of diffusers' output classes -> modality."""


def modality_of(pipeline: object) -> str:
    """"image", "video" or "audio". Raises AnyGenError("model_load_error") for a pipeline that makes none of them."""
    call = undecorated_call(pipeline)
    for name in call.__code__.co_names:
        found = call.__globals__.get(name)
        if isinstance(found, type) and dataclasses.is_dataclass(found):
            for field in dataclasses.fields(found):
                if field.name in FIELDS:
                    return FIELDS[field.name]
    raise AnyGenError(
        "model_load_error",
        f"{type(pipeline).__name__} returns no class with one of the fields {', '.join(FIELDS)}; expected a pipeline that"
        " makes pictures, films or sounds",
    )
