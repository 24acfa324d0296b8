"""What a pipeline makes, and whether the adapter can drive it: read from its class, before anything is computed.

The modality is that of the class of output that its `__call__` builds: images, frames or audios.
"""

from __future__ import annotations

import dataclasses

from anygen.errors import AnyGenError
from anygen.generators.conditions import call_parameters, denoiser_of
from anygen.generators.pipeline_run import undecorated_call

FIELDS = {"images": "image", "frames": "video", "audios": "audio"}
"""Field of diffusers' output classes -> modality."""
LED_BY_MORE = ("strength", "mask_image", "control_image", "controlnet_conditioning_scale", "video")
"""Parameters of pipelines that need a picture, a mask or a film beside the text, although their default is None."""


def check_pipeline(pipeline: object, *, modality: str) -> None:
    """Refuse what cannot be driven: AnyGenError("model_load_error") with the class and what it lacks."""
    name, parameters = type(pipeline).__name__, call_parameters(pipeline)
    if "prompt_embeds" not in parameters:
        raise AnyGenError("model_load_error", f"{name}.__call__ takes no prompt_embeds; expected a pipeline that does")
    needed = [n for n, p in parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    needed = [n for n in needed if n not in ("self", "prompt")] + [n for n in LED_BY_MORE if n in parameters]
    if needed:
        detail = f"{name}.__call__ cannot do without {', '.join(needed)}; expected a pipeline led by text alone"
        raise AnyGenError("model_load_error", detail)
    for part in ("prepare_latents", "scheduler", "vae"):
        if getattr(pipeline, part, None) is None:
            raise AnyGenError("model_load_error", f"{name} has no {part}; expected one: latents are made and decoded by it")
    denoiser_of(pipeline)
    if modality_of(pipeline) != modality:
        detail = f"{name} returns {modality_of(pipeline)}; expected a pipeline of the modality {modality}"
        raise AnyGenError("model_load_error", detail)


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
