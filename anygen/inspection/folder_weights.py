"""The tensors of one component's folder, by their heads: one precision, one format, all shards."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from anygen.inspection.weight_files import PICKLE_SUFFIXES, TensorHeader, read_tensor_headers

STEMS = ("model", "diffusion_pytorch_model", "pytorch_model", "adapter_model")
"""What transformers, diffusers and peft call their weight files, before a variant's name and a shard's number."""


def component_headers(folder: Path) -> dict[str, TensorHeader]:
    """Name -> header of all tensors of a component; safetensors before pickles, and the plain files before a variant's."""
    candidates = [path for path in sorted(folder.iterdir()) if path.is_file()] if folder.is_dir() else []
    for suffixes in ((".safetensors",), PICKLE_SUFFIXES):
        for is_plain in (True, False):
            paths = [path for path in candidates if path.suffix in suffixes and _matches(path, is_plain=is_plain)]
            if paths:
                first = _variant(paths[0])
                return merged_headers(path for path in paths if _variant(path) == first)
    return {}


def merged_headers(paths: Iterable[Path]) -> dict[str, TensorHeader]:
    """The tensors of several files together."""
    return {name: header for path in paths for name, header in read_tensor_headers(path).items()}


def _matches(path: Path, *, is_plain: bool) -> bool:
    return path.name.split(".")[0].split("-")[0] in STEMS and (not _variant(path)) == is_plain


def _variant(path: Path) -> str:
    """"fp16" of model.fp16.safetensors and of model.fp16-00001-of-00002.safetensors; "" of a plain file."""
    return re.sub(r"-\d+-of-\d+", "", path.stem).partition(".")[2]
