"""Builds an index: every medium below a folder, told by its content, embedded in batches.

DIR/**/*.{png,mp4,wav,...} -> load -> encoder.embed -> MediaIndex + the files that were skipped, and why
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from anygen.encoders import load_encoder
from anygen.encoders.encoder import Encoder
from anygen.errors import AnyGenError
from anygen.hub import find_folder
from anygen.media.formats import HEAD_BYTES, READABLE, sniff_format
from anygen.media.load import load_media
from anygen.media.types import MEDIA
from anygen.retrieval.index import IndexConfig, Item, MediaIndex, fingerprint_of, read_below

log = logging.getLogger(__name__)

SOUND_OR_FILM = READABLE["video"] & READABLE["audio"] - {"wav", "flac", "ogg", "mp3", "aac"}
"""Formats that hold films, or sounds alone."""


@dataclass(kw_only=True)
class Built:
    """An index, and what became of the other files."""

    index: MediaIndex
    skipped: dict[str, str] = field(default_factory=dict)
    """Path below the folder -> why it is not in the index."""


def joint_encoder(source: str | Path) -> Encoder:
    """The encoder of "nano", of a model folder, or an encoder's own folder or repository, with a joint space.

    Raises `model_load_error`.
    """
    folder = find_folder(source)
    encoder = load_encoder(folder / "encoder" if (folder / "encoder").is_dir() else source)
    if encoder.joint_dim is None or "text" not in encoder.modalities:
        found = f"{source}: found a {encoder.encoder_type} encoder of {', '.join(encoder.modalities)}"
        raise AnyGenError(
            "model_load_error", f"{found}; expected one that embeds text and media in one space, e.g. nano's"
        )
    return encoder


@torch.no_grad()
def build_index(
    folder: str | Path,
    *,
    encoder: str | Path = "nano",
    modalities: Sequence[str] = MEDIA,
    batch_size: int = 16,
    on_file: Callable[[int, int], None] | None = None,
) -> Built:
    """Index the media below a folder; `on_file` hears (files done, files in all).

    Hidden files, links, and what is no medium that the encoder reads are left out and named in `skipped`.
    Raises `path_not_allowed` where there is no folder, and `model_load_error`.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise AnyGenError("path_not_allowed", f"found no folder {folder}; expected one with media in it")
    embedder = joint_encoder(encoder)
    read = [modality for modality in modalities if modality in embedder.modalities]
    paths = list(_files(folder))
    found: list[tuple[Item, Any]] = []
    items: list[Item] = []
    rows: list[torch.Tensor] = []
    skipped: dict[str, str] = {}

    def flush() -> None:
        for modality in read:
            batch = [(item, medium) for item, medium in found if item.modality == modality]
            if batch:
                inputs = embedder.preprocess(modality, [medium for _, medium in batch])
                rows.extend(embedder.embed(modality, inputs).float())
                items.extend(item for item, _ in batch)
        found.clear()

    for number, path in enumerate(paths, start=1):
        name = path.relative_to(folder).as_posix()
        try:
            found.append(_read(folder, name, read))
        except AnyGenError as error:
            skipped[name] = str(error)
        if len(found) >= batch_size:
            flush()
        if on_file:
            on_file(number, len(paths))
    flush()
    order = sorted(range(len(items)), key=lambda row: items[row].path)
    embeddings = torch.stack([rows[row] for row in order]) if rows else torch.zeros(0, embedder.joint_dim)
    place = str(Path(encoder).resolve()) if Path(encoder).is_dir() else str(encoder)
    config = IndexConfig(folder=str(folder), encoder=place, fingerprint=fingerprint_of(embedder))
    index = MediaIndex(config, items=[items[row] for row in order], embeddings=embeddings, base=folder)
    return Built(index=index, skipped=skipped)


def _files(folder: Path) -> Iterator[Path]:
    """Regular files in a fixed order; no links, nothing hidden."""
    for place, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place) / name
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path


def _read(folder: Path, name: str, modalities: Sequence[str]) -> tuple[Item, Any]:
    """One file as an item and its medium."""
    data = read_below(folder, name)
    kind = sniff_format(data[:HEAD_BYTES])
    guesses = [modality for modality in MEDIA if kind in READABLE[modality]]
    if kind in READABLE["image"]:
        guesses = ["image"]
    elif kind not in SOUND_OR_FILM:
        guesses = guesses[-1:]
    guesses = [modality for modality in guesses if modality in modalities]
    if not guesses:
        raise AnyGenError("media_type_not_allowed", f"found {kind}; expected one of {', '.join(modalities)}")
    for last, modality in zip([False] * (len(guesses) - 1) + [True], guesses, strict=True):
        try:
            medium = load_media(modality, data)
        except AnyGenError as error:
            if last or error.code != "media_no_video_stream":
                raise
            continue
        sha256 = hashlib.sha256(data).hexdigest()
        return Item(path=name, modality=modality, sha256=sha256, num_bytes=len(data)), medium
    raise AssertionError("the last guess returns or raises")
