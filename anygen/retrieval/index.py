"""An index of media: where each is, what its bytes were, and its embedding in an encoder's joint space.

    index.json                 format_version, the folder of the media, the encoder: where it is, its fingerprint
    items.jsonl                one item a line: path (below the folder), modality, sha256, num_bytes
    embeddings.safetensors     embeddings float32 (N, D_joint), each of unit length, row i that of line i

Media are opened only below the folder, links that lead out of it included, and only with the bytes that were indexed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from anygen.encoders.encoder import Encoder, config_from_dict, read_json
from anygen.errors import AnyGenError
from anygen.media.load import load_media
from anygen.media.types import MEDIA

CONFIG_FILE, ITEMS_FILE, EMBEDDINGS_FILE = "index.json", "items.jsonl", "embeddings.safetensors"
FORMAT_VERSION = 1
CHUNK_BYTES = 2**20


@dataclass(frozen=True, kw_only=True)
class Item:
    """One medium of the index."""

    path: str
    """Below the index's folder, with "/" between its parts."""
    modality: str
    sha256: str
    """Of the file's bytes, in hexadecimal digits."""
    num_bytes: int

    def __post_init__(self):
        parts = PurePosixPath(self.path).parts
        if not parts or self.path.startswith("/") or ".." in parts or "\\" in self.path or "\0" in self.path:
            raise ValueError(f"path is {self.path!r}; expected one below the folder, without '..'")
        if self.modality not in MEDIA:
            raise ValueError(f"modality is {self.modality!r}; expected one of {', '.join(MEDIA)}")


@dataclass(frozen=True, kw_only=True)
class Match:
    """An item that was found."""

    item: Item
    similarity: float
    """Cosine of the two embeddings, from -1 to 1."""


@dataclass(frozen=True, kw_only=True)
class IndexConfig:
    """What index.json holds."""

    format_version: int = FORMAT_VERSION
    folder: str
    """Where the media are: an absolute path, or one seen from the index's own folder."""
    encoder: str
    """Where the encoder is: "nano", a folder, or a repository of the hub."""
    fingerprint: str
    """`fingerprint_of` the encoder."""


class MediaIndex:
    """N media with their embeddings.

    Args:
        config: where media and encoder are.
        items: the media.
        embeddings: float32 (N, D_joint), of unit length.
        base: what a relative `config.folder` is seen from.
    """

    def __init__(self, config: IndexConfig, *, items: Sequence[Item], embeddings: Tensor, base: Path):
        if embeddings.ndim != 2 or len(embeddings) != len(items):
            found = f"embeddings {tuple(embeddings.shape)} for {len(items)} items"
            raise AnyGenError("model_load_error", f"index: found {found}; expected a row for each item")
        if not embeddings.isfinite().all():
            raise AnyGenError("model_load_error", "index: the embeddings hold NaN or infinity; build it again")
        self.config, self.items, self.embeddings = config, tuple(items), embeddings.float()
        self.folder = (base / config.folder).resolve()

    def save(self, folder: str | Path) -> None:
        """Write the three files."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"embeddings": self.embeddings.contiguous()}, folder / EMBEDDINGS_FILE)
        lines = "".join(json.dumps(asdict(item)) + "\n" for item in self.items)
        (folder / ITEMS_FILE).write_text(lines, encoding="utf-8")
        (folder / CONFIG_FILE).write_text(json.dumps(asdict(self.config), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> MediaIndex:
        """Read what `save` wrote, strictly. Raises `model_load_error` with the file and what is wrong in it."""
        folder = Path(folder)
        config = config_from_dict(IndexConfig, read_json(folder / CONFIG_FILE), where=str(folder / CONFIG_FILE))
        if config.format_version != FORMAT_VERSION:
            found = f"format_version is {config.format_version!r}; this version reads {FORMAT_VERSION}"
            raise AnyGenError("model_load_error", f"{folder / CONFIG_FILE}: {found}")
        path = folder / ITEMS_FILE
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            items = [
                config_from_dict(Item, json.loads(line), where=f"{path}:{i}") for i, line in enumerate(lines, start=1)
            ]
            embeddings = load_file(folder / EMBEDDINGS_FILE)
        except (OSError, ValueError, TypeError, SafetensorError) as error:
            raise AnyGenError(
                "model_load_error", f"{folder}: {error}; expected an index that anygen index wrote"
            ) from error
        if set(embeddings) != {"embeddings"}:
            found = f"{folder / EMBEDDINGS_FILE}: found {sorted(embeddings)}; expected embeddings"
            raise AnyGenError("model_load_error", found)
        return cls(config, items=items, embeddings=embeddings["embeddings"], base=folder)

    def check_encoder(self, encoder: Encoder) -> None:
        """Raise `model_load_error` unless this is the encoder that the media were embedded with."""
        if encoder.joint_dim != self.embeddings.shape[1]:
            found = f"embeddings of width {self.embeddings.shape[1]}; the encoder's joint space has {encoder.joint_dim}"
            raise AnyGenError("model_load_error", f"index: found {found}")
        if (found := fingerprint_of(encoder)) != self.config.fingerprint:
            built = self.config.fingerprint[:12]
            detail = f"index: built with the encoder {built}; found {found[:12]}; build the index again"
            raise AnyGenError("model_load_error", detail)

    def nearest(self, vectors: Tensor, *, modality: str) -> list[Match]:
        """The nearest item of a modality to each of `vectors` float (B, D_joint), of unit length; of equals the first.

        Raises `model_load_error` where the index has no item of that modality.
        """
        rows = [row for row, item in enumerate(self.items) if item.modality == modality]
        if not rows:
            found = sorted({item.modality for item in self.items}) or ["nothing"]
            raise AnyGenError("model_load_error", f"index: found {', '.join(found)} in it; expected {modality}")
        similarities = vectors.float().cpu() @ self.embeddings[rows].T
        best = similarities.argmax(dim=1).tolist()
        values = similarities.tolist()
        return [Match(item=self.items[rows[column]], similarity=values[i][column]) for i, column in enumerate(best)]

    def open(self, item: Item) -> Any:
        """The medium itself: a PIL image, `Video` or `Audio`.

        Raises `path_not_allowed` for a path that leads out of the folder, `index_stale` for a file that is gone or has
        changed since, and the `media_...` codes.
        """
        data = read_below(self.folder, item.path)
        if hashlib.sha256(data).hexdigest() != item.sha256:
            raise AnyGenError(
                "index_stale", f"{self.folder / item.path} has changed since it was indexed; build the index again"
            )
        return load_media(item.modality, data)

    def stale_items(self) -> list[Item]:
        """Items whose file is gone or has changed; reads every file."""
        found = []
        for item in self.items:
            try:
                data = read_below(self.folder, item.path)
            except AnyGenError:
                found.append(item)
                continue
            if hashlib.sha256(data).hexdigest() != item.sha256:
                found.append(item)
        return found


def read_below(folder: Path, path: str) -> bytes:
    """The bytes of a file below a folder. Raises `path_not_allowed` where it is elsewhere, and `index_stale` where it
    is not."""
    from anygen.media.sources import open_source

    place = (folder / path).resolve()
    if not place.is_relative_to(folder):
        raise AnyGenError("path_not_allowed", f"{path!r} leads out of {folder}; expected a file below it")
    if not place.is_file():
        raise AnyGenError("index_stale", f"{place} is gone; build the index again")
    with open_source(place) as file:
        return file.read()


def fingerprint_of(encoder: Encoder) -> str:
    """SHA-256 over an encoder's settings and weights, in hexadecimal digits: equal means equal embeddings."""
    digest = hashlib.sha256(f"{encoder.encoder_type} {encoder.config!r}".encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.detach().cpu().float().contiguous().numpy().tobytes())
    return digest.hexdigest()
