"""What a run's results depend on besides its input: the model's bytes, the parameters, and the code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anygen
from anygen.hub import find_folder
from anygen.presets.preset import FOLDER, is_preset

PACKAGES = ("torch", "transformers", "diffusers", "numpy", "Pillow", "av", "soundfile")
"""Libraries that the bytes of a result pass through."""
CODE = (".", "batch", "encoders", "generators", "media", "projectors")
"""The folders of this package that an answer is made by."""


def run_fingerprint(model: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that has to be the same for a run to be gone on with, as plain data.

    Reads the model's files, which takes seconds a gigabyte; loads none of its libraries.
    Raises `model_load_error` and the hub's errors where there is no such model.
    """
    folder, files = _model_files(model)
    root = Path(anygen.__file__).parent
    sources = [path for name in CODE for path in sorted((root / name).glob("*.py"))]
    return {
        "model": {"name": model, "sha256": files_digest(folder, files)},
        "parameters": dict(parameters),
        "code": {"anygen": version("anygen"), "sha256": files_digest(root, sources)}
        | {name: version(name) for name in PACKAGES},
    }


def _model_files(model: str) -> tuple[Path, list[Path]]:
    """A folder, and the files there that make a model; of a preset the file that names its parts."""
    if is_preset(model) and not Path(model).is_dir():
        return FOLDER, [FOLDER / f"{model}.yaml"]
    folder = find_folder(model)
    return folder, sorted(_weights_and_configs(folder))


def model_digest(fingerprint: Mapping[str, Any]) -> str:
    """The model's part of a fingerprint in 16 hexadecimal digits."""
    return fingerprint["model"]["sha256"][:16]


def differences(found: Any, expected: Any, *, where: str = "") -> list[str]:
    """The places at which two fingerprints differ, each as "where: found ..., expected ..."."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        keys = dict.fromkeys([*expected, *found])
        prefix = f"{where}." if where else ""
        return [
            line for key in keys for line in differences(found.get(key), expected.get(key), where=f"{prefix}{key}")
        ]
    return [] if found == expected else [f"{where}: found {found!r}, expected {expected!r}"]


def files_digest(root: Path, paths: list[Path]) -> str:
    """SHA-256 over the names, seen from `root`, and the contents of files."""
    whole = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    return whole.hexdigest()


def _weights_and_configs(folder: Path) -> Iterator[Path]:
    """The files of a model folder that are not for people."""
    return (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md" and path.name[0] != ".")
