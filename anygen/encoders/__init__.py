"""Encoders: media into tokens for the language model. `encoder.py` is the contract, every other file one family or a step of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from anygen.encoders.concat_encoder import ConcatEncoder
from anygen.encoders.encoder import CONFIG_FILE, ENCODER_FILE, Encoder, config_from_dict, locate, read_json
from anygen.encoders.imagebind_encoder import ImageBindEncoder
from anygen.encoders.transformers_encoder import TransformersEncoder
from anygen.encoders.transformers_families import FAMILIES
from anygen.errors import AnyGenError

ENCODERS: dict[str, type[Encoder]] = {
    "imagebind": ImageBindEncoder,
    "transformers": TransformersEncoder,
    "concat": ConcatEncoder,
}
"""encoder_type of an encoder.json or config.json -> the class that reads the folder."""


def load_encoder(source: str | Path, *, config: Any = None, dtype: torch.dtype = torch.float32) -> Encoder:
    """The encoder that a folder or a repository of the hub holds, in evaluation mode.

    Args:
        source: a folder that `save_pretrained` or `save_reference` wrote; a checkpoint in the layout of transformers, whose
            config.json has a `model_type` of `FAMILIES`; or such a repository, `name/repository` with `@revision`.
        config: settings (the class's `config_class`) in the place of those written there.
        dtype: precision in memory.

    Raises:
        AnyGenError: `model_load_error`, naming file and key; `hub_unavailable`, `hub_access_denied` for repositories.
    """
    folder, _ = locate(source)
    path = folder / (ENCODER_FILE if (folder / ENCODER_FILE).exists() else CONFIG_FILE)
    given = read_json(path)
    encoder_type = given.pop("encoder_type", "transformers" if given.get("model_type") in FAMILIES else None)
    if encoder_type not in ENCODERS:
        raise AnyGenError(
            "model_load_error",
            f"{path}: encoder_type is {encoder_type!r}, model_type {given.get('model_type')!r}; expected an encoder_type of "
            f"{', '.join(ENCODERS)}, or a model_type of {', '.join(FAMILIES)}",
        )
    encoder_class = ENCODERS[encoder_type]
    if reference := given.pop("source", None):
        config = config or config_from_dict(encoder_class.config_class, given, where=str(path))
        source = reference
    return encoder_class.from_pretrained(source, config=config, dtype=dtype)
