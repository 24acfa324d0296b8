"""The tensors that a weight file says it holds, without reading them: safetensors headers and the index of torch's zip files.

A file of `torch.save` holds a pickle. It is read here by an unpickler that knows nothing but the few names that stand for
tensors, each replaced by a note of shape and type: no code of the file can run, and torch is not needed.
Formats: https://huggingface.co/docs/safetensors, https://docs.pytorch.org/docs/stable/notes/serialization.html.
"""

from __future__ import annotations

import json
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anygen.errors import AnyGenError

PICKLE_SUFFIXES = (".pt", ".pth", ".bin", ".tar", ".ckpt")
STORAGE_BYTES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
}  # fmt: skip
STORAGE_DTYPES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool",
}  # fmt: skip
SAFETENSORS_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True, kw_only=True)
class TensorHeader:
    """One tensor as its file announces it."""

    shape: tuple[int, ...]
    dtype: str
    num_bytes: int

    @property
    def num_values(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def read_tensor_headers(path: Path) -> dict[str, TensorHeader]:
    """Name -> header of every tensor of a weight file. Raises `model_load_error` for a file that is not one."""
    return read_safetensors_headers(path) if path.suffix == ".safetensors" else read_pickle_headers(path)


def read_safetensors_headers(path: Path) -> dict[str, TensorHeader]:
    """The header of a safetensors file: eight bytes with its length, little-endian, then a JSON object."""
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, MAX_HEADER_BYTES)))
        header.pop("__metadata__", None)
        return {
            name: TensorHeader(
                shape=tuple(entry["shape"]),
                dtype=SAFETENSORS_DTYPES.get(entry["dtype"], entry["dtype"]),
                num_bytes=entry["data_offsets"][1] - entry["data_offsets"][0],
            )
            for name, entry in header.items()
        }
    except (OSError, struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnyGenError("model_load_error", f"{path}: {error}; expected a safetensors file") from error


def read_pickle_headers(path: Path) -> dict[str, TensorHeader]:
    """The tensors of a file of `torch.save` (torch 1.6 and later), a dict of tensors or one with a "state_dict"."""
    found = read_pickle_notes(path)
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(each, TensorHeader) for each in found.values()):
        raise AnyGenError("model_load_error", f"{path}: found no dict of tensors, and none under state_dict")
    return dict(found)


def read_pickle_notes(path: Path) -> Any:
    """What a file of `torch.save` holds, with a header in the place of each tensor. Raises `model_load_error`."""
    try:
        with zipfile.ZipFile(path) as archive:
            (member,) = (each for each in archive.infolist() if each.filename.endswith("/data.pkl"))
            if member.file_size > MAX_HEADER_BYTES:
                raise ValueError(f"its index takes {member.file_size} bytes; at most {MAX_HEADER_BYTES} are read")
            with archive.open(member) as file:
                return _HeaderUnpickler(file).load()
    except (OSError, zipfile.BadZipFile, pickle.UnpicklingError, *MALFORMED) as error:
        raise AnyGenError("model_load_error", f"{path}: {error}; expected a zip file of torch.save") from error


MALFORMED = (EOFError, ValueError, KeyError, TypeError, IndexError, AttributeError, ImportError, MemoryError)
"""What a pickle that is not one may raise."""


class _HeaderUnpickler(pickle.Unpickler):
    """Builds notes in place of tensors; any name that is not in `names` is refused."""

    def find_class(self, module: str, name: str) -> Any:
        names = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _note_tensor,
            ("torch._utils", "_rebuild_parameter"): _note_parameter,
        }
        if module == "torch" and name in STORAGE_BYTES:
            return name
        if (module, name) not in names:
            raise pickle.UnpicklingError(f"found {module}.{name} in the pickle; expected tensors only")
        return names[module, name]

    def persistent_load(self, pid: Any) -> str:
        kind, storage, *_ = pid
        if kind != "storage" or storage not in STORAGE_BYTES:
            raise pickle.UnpicklingError(f"found {pid!r} in the pickle; expected a storage of tensors")
        return storage


def _note_tensor(storage: str, offset: int, shape: tuple, *_: Any) -> TensorHeader:
    shape = tuple(int(size) for size in shape)
    num_bytes = math.prod(shape) * STORAGE_BYTES[storage]
    return TensorHeader(shape=shape, dtype=STORAGE_DTYPES[storage], num_bytes=num_bytes)


def _note_parameter(tensor: TensorHeader, *_: Any) -> TensorHeader:
    return tensor
