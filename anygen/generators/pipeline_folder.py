"""A diffusers pipeline's folder: which classes it may name, how it is read, and how it is written.

    model_index.json             class of the pipeline, library and class of each component
    {unet,vae,scheduler,...}/    components, weights in safetensors
    generator.json               ours: defaults of the sampling parameters; absent in a folder of diffusers alone
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from anygen.errors import AnyGenError

INDEX_FILE = "model_index.json"
SETTINGS_FILE = "generator.json"


def own_classes() -> dict[str, type]:
    """The classes of ours that a pipeline folder may name; every other one is diffusers' or transformers'."""
    from anygen.generators.audio_pipeline import AudioLatentDiffusionPipeline
    from anygen.generators.autoencoder import DetailAutoencoder, PatchAutoencoder
    from anygen.generators.unet_3d import TextPooledUNet3D
    from anygen.generators.vocoder import GriffinLimVocoder

    return {
        "AudioLatentDiffusionPipeline": AudioLatentDiffusionPipeline,
        "DetailAutoencoder": DetailAutoencoder,
        "GriffinLimVocoder": GriffinLimVocoder,
        "PatchAutoencoder": PatchAutoencoder,
        "TextPooledUNet3D": TextPooledUNet3D,
    }


def find_class(library: str, name: str) -> type:
    """A class that a pipeline folder names: one of ours, or one of the two libraries' (never code of the folder's).

    diffusers names the module of a pipeline as the library of what belongs to that pipeline alone.
    """
    if name in (ours := own_classes()):
        return ours[name]
    if library in ("diffusers", "transformers"):
        found = getattr(importlib.import_module(library), name, None)
    elif library.isidentifier() and hasattr(importlib.import_module("diffusers.pipelines"), library):
        found = getattr(getattr(importlib.import_module("diffusers.pipelines"), library), name, None)
    else:
        found = None
    if not isinstance(found, type):
        detail = f"found the class {name} of {library}; expected one of diffusers, transformers or {', '.join(ours)}"
        raise AnyGenError("model_load_error", detail)
    return found


def read_index(folder: Path) -> dict[str, Any]:
    """The folder's `model_index.json`. Raises AnyGenError("model_load_error") where it is missing or is none."""
    path = folder / INDEX_FILE
    if not path.is_file():
        detail = f"{path} is missing; expected a folder of a diffusers pipeline, or a model of transformers or audiocraft"
        raise AnyGenError("model_load_error", f"{detail} (whose pickles are fetched where allow_pickle is set)")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise AnyGenError("model_load_error", f"{path}: {error}; expected JSON") from error
    if not isinstance(index, dict) or not isinstance(index.get("_class_name"), str):
        raise AnyGenError("model_load_error", f"{path}: expected an object with _class_name, the pipeline's class")
    return index


def read_settings(folder: Path) -> dict[str, int | float]:
    """Our defaults of the sampling parameters; none for a folder of diffusers alone."""
    path = folder / SETTINGS_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def load_pipeline(
    folder: Path,
    *,
    parts: Mapping[str, nn.Module],
    torch_dtype: torch.dtype,
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Any, dict[str, int | float]]:
    """(the pipeline, our settings) of a folder.

    `parts` are components that are not read from it. `more` maps a component to further arguments of its class's
    `from_pretrained`.
    """
    index = read_index(folder)
    named = {name: entry for name, entry in index.items() if isinstance(entry, list) and len(entry) == 2}
    plain = {n: e for n, e in index.items() if n not in named and not n.startswith("_")}
    found = {n: find_class(*entry) for n, entry in named.items() if None not in entry and n not in parts}
    pipeline_class = find_class("diffusers", index["_class_name"])
    components = {
        name: load_component(folder / name, component_class, torch_dtype=torch_dtype, **(more or {}).get(name, {}))
        for name, component_class in found.items()
    }
    absent = dict.fromkeys(name for name, entry in named.items() if None in entry)
    return pipeline_class(**absent | components | dict(parts), **plain), read_settings(folder)


def load_component(folder: Path, found: type, *, torch_dtype: torch.dtype, **more: Any):
    """One component out of its folder; weights from safetensors alone, in half precision files where there are no others."""
    if not issubclass(found, nn.Module):
        return found.from_pretrained(folder)
    weights = [path.name for path in folder.glob("*.safetensors*")]
    if not weights and any(folder.glob("*.bin")):
        raise AnyGenError("model_load_error", f"{folder} holds pickled weights alone; expected safetensors")
    variant = {} if any(".fp16." not in name for name in weights) or not weights else {"variant": "fp16"}
    dtype = {"dtype" if found.__module__.startswith("transformers.") else "torch_dtype": torch_dtype}
    return found.from_pretrained(folder, use_safetensors=True, **dtype, **variant, **more)


def save_pipeline(pipeline, folder: Path, *, settings: Mapping[str, int | float], leave_out: Sequence[str] = ()) -> None:
    """Write a pipeline folder with our settings in it; the parts in `leave_out` are somebody else's."""
    kept = {name: getattr(pipeline, name) for name in leave_out}
    pipeline.register_modules(**dict.fromkeys(leave_out))
    try:
        pipeline.save_pretrained(folder)
    finally:
        pipeline.register_modules(**kept)
    for path in folder.glob("*/config.json"):  # where a part was read from is nobody else's business
        config = json.loads(path.read_text(encoding="utf-8"))
        config.pop("_name_or_path", None)
        path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    (folder / SETTINGS_FILE).write_text(json.dumps(dict(settings)) + "\n", encoding="utf-8")
