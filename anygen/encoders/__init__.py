"""Encoders: media into tokens for the language model. `encoder.py` is the contract, every other file one family or a step of it."""

from __future__ import annotations

from pathlib import Path

from anygen.encoders.encoder import CONFIG_FILE, Encoder, read_json
from anygen.encoders.imagebind_encoder import ImageBindEncoder
from anygen.errors import AnyGenError

ENCODERS: dict[str, type[Encoder]] = {
    "imagebind": ImageBindEncoder,
}
"""encoder_type of a config.json -> the class that reads it."""


def load_encoder(folder: str | Path) -> Encoder:
    """The encoder that a folder holds, of whichever type its config.json names."""
    encoder_type = read_json(Path(folder) / CONFIG_FILE).get("encoder_type")
    if encoder_type not in ENCODERS:
        raise AnyGenError(
            "model_load_error",
            f"{Path(folder) / CONFIG_FILE}: encoder_type is {encoder_type!r}; expected one of {', '.join(ENCODERS)}",
        )
    return ENCODERS[encoder_type].from_pretrained(folder)
