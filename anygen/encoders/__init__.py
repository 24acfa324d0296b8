"""Encoders: media into tokens for the language model. `encoder.py` is the contract, every other file one family or a step of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
ENCODERS_FILE = "encoders.json"
"""Of a model with several encoders: modality -> the folder beside it, named by the first modality that the encoder serves."""


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
    reference = given.pop("source", None)
    if reference is None:
        return encoder_class.from_pretrained(source, config=config, dtype=dtype)
    config = config or config_from_dict(encoder_class.config_class, given, where=str(path))
    encoder = encoder_class.from_pretrained(reference, config=config, dtype=dtype)
    encoder.source = encoder.source or reference  # what is referred to stays so, a folder too
    return encoder


def save_encoders(encoders: Mapping[str, Encoder], folder: str | Path) -> None:
    """Write the encoders of a model: modality -> encoder, of which one may serve several modalities.

    One for all goes into `folder` itself; several into a folder each, and encoders.json says whose is whose. What has a
    `source` is written as a reference, the rest whole.
    """
    folder = Path(folder)
    first = {
        id(encoder): modality for modality, encoder in reversed(encoders.items())
    }  # the first that it serves names it
    for modality, encoder in encoders.items():
        if first[id(encoder)] == modality:
            place = folder if len(first) == 1 else folder / modality
            (encoder.save_pretrained if encoder.source is None else encoder.save_reference)(place)
    if len(first) > 1:
        places = {modality: first[id(encoder)] for modality, encoder in encoders.items()}
        (folder / ENCODERS_FILE).write_text(json.dumps(places, indent=2) + "\n", encoding="utf-8")


def load_encoders(
    folder: str | Path, *, modalities: Sequence[str], dtype: torch.dtype = torch.float32
) -> dict[str, Encoder]:
    """What `save_encoders` wrote, for the modalities that are asked for; arguments and errors as `load_encoder`."""
    folder, path = Path(folder), Path(folder) / ENCODERS_FILE
    if not modalities:
        return {}
    if not path.exists():
        encoder = load_encoder(folder, dtype=dtype)
        return dict.fromkeys(modalities, encoder)
    places = read_json(path)
    if strange := sorted(set(places.values()) - set(places)) or sorted(set(modalities) - set(places)):
        detail = f"{path}: found {places}; expected a folder named by a modality for each of {', '.join(modalities)}"
        raise AnyGenError("model_load_error", f"{detail}; {', '.join(map(str, strange))} does not fit")
    loaded = {
        place: load_encoder(folder / place, dtype=dtype) for place in {places[modality] for modality in modalities}
    }
    return {modality: loaded[places[modality]] for modality in modalities}
