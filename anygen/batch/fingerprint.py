"""What a run's results depend on besides its input: the model's bytes, the parameters, and the code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anygen
from anygen.hub import find_folder, seen_from
from anygen.presets.preset import FOLDER, is_preset

PACKAGES = ("torch", "transformers", "diffusers", "numpy", "Pillow", "av", "soundfile")
"""Libraries that the bytes of a result pass through."""
REFERENCES = {"reference.json": (), "encoder.json": (), "retrieval.json": (), "config.json": ("generators", "otherwise")}
"""Files of a model that refer to folders elsewhere -> names of the folders in which they do; none: wherever they are."""
REFERENCE_KEYS = ("source", "index", "lora")
"""The keys there of what is referred to."""
CODE = (".", "batch", "encoders", "generators", "media", "projectors")
"""The folders of this package that an answer is made by."""


def run_fingerprint(model: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that has to be the same for a run to be gone on with, as plain data.

    Reads the model's files, which takes seconds a gigabyte, and those of folders that it refers to; loads none of its
    libraries. What it refers to on the hub is pinned by a commit.
    Raises `model_load_error` and the hub's errors where there is no such model.
    """
    folder, files = _model_files(model)
    parts = {str(place): files_digest(place, sorted(_weights_and_configs(place))) for place in _referred(folder, files)}
    sha256 = files_digest(folder, files)
    if parts:
        sha256 = hashlib.sha256("\n".join((sha256, *parts.values())).encode()).hexdigest()
    root = Path(anygen.__file__).parent
    sources = [path for name in CODE for path in sorted((root / name).glob("*.py"))]
    return {
        "model": {"name": model, "sha256": sha256} | ({"parts": parts} if parts else {}),
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


def _referred(folder: Path, files: list[Path]) -> list[Path]:
    """The folders elsewhere that files of a model refer to, and those that these refer to, each once."""
    found: dict[Path, None] = {}
    waiting = list(files)
    while waiting:
        path = waiting.pop(0)
        places = REFERENCES.get(path.name)
        if places is None or (places and path.parent.name not in places):
            continue
        for source in _references(json.loads(path.read_text(encoding="utf-8"))):
            place = Path(seen_from(path.parent, source)).resolve()
            if place.is_dir() and not place.is_relative_to(folder.resolve()) and place not in found:
                found[place] = None
                waiting += sorted(_weights_and_configs(place))
    return list(found)


def _references(value: Any) -> Iterator[str]:
    """What a JSON value refers to, at any depth."""
    for key, each in value.items() if isinstance(value, dict) else ():
        if key in REFERENCE_KEYS and isinstance(each, str):
            yield each
        yield from _references(each)


def _weights_and_configs(folder: Path) -> Iterator[Path]:
    """The files of a model folder that are not for people."""
    return (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md" and path.name[0] != ".")
