"""A repository of the hub without its weights: configurations, and the heads of its safetensors files.

    with described_folder("Qwen/Qwen3-4B") as folder:    # seconds and kilobytes, where the whole would be gigabytes
        read_inventory(folder)

Each weight file of the folder is its head alone, which is all that `weight_files.py` reads of one.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from anygen.hub import find_folder, hub_errors

CONFIGS = (".json", ".md")
LEFT_OUT = ("tokenizer.json", "vocab.json", "tokenizer_config.json")
"""Configurations that say nothing of parts, and are large."""


@contextmanager
def described_folder(source: str) -> Iterator[Path]:
    """A folder to read an inventory from: "nano", one on disk, one of the hub's cache where there is no network, or for a
    repository of the hub a temporary one. Raises as `find_folder`."""
    repository, _, revision = source.partition("@")
    if source == "nano" or Path(source).is_dir() or repository.count("/") != 1 or repository[0] in "./~" or _is_offline():
        yield find_folder(source)
        return
    with TemporaryDirectory() as place:
        with hub_errors(repository):
            _describe(repository, revision or None, Path(place))
        yield Path(place)


def _is_offline() -> bool:
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE


def _describe(repository: str, revision: str | None, place: Path) -> None:
    from huggingface_hub import HfApi

    api = HfApi()
    found = api.model_info(repository, revision=revision)
    for name in (sibling.rfilename for sibling in found.siblings or ()):
        target = place / name
        if not target.resolve().is_relative_to(place.resolve()):
            continue
        if target.suffix == ".safetensors":
            tensors = api.parse_safetensors_file_metadata(repository, name, revision=found.sha).tensors
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(_head(tensors))
        elif target.suffix in CONFIGS and target.name not in LEFT_OUT and not name.endswith(".index.json"):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(Path(api.hf_hub_download(repository, name, revision=found.sha)).read_bytes())


def _head(tensors: dict[str, Any]) -> bytes:
    """A safetensors file up to where its values would begin."""
    entries = {
        name: {"dtype": each.dtype, "shape": list(each.shape), "data_offsets": list(each.data_offsets)}
        for name, each in tensors.items()
    }
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header
