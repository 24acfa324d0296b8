"""A model on disk: reading and writing the folder that `AnyGenModel.from_pretrained` takes.

    config.json              AnyGenConfig: how the parts are joined
    encoder/                 the encoder of every modality that is read
    llm/                     transformers: LLM and tokenizer, LoRA and trained rows folded in
    projectors.safetensors   input_projectors.{modality}.*, output_projectors.{modality}.*
    generators/              one diffusers folder a modality

Reading is strict: an unknown key, a missing, surplus, misshapen or non-finite tensor is a `model_load_error` that names
the file, the key, and what was found and expected. Half precision on disk becomes float32 in memory.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from anygen.encoders import load_encoder
from anygen.encoders.encoder import config_from_dict, read_json
from anygen.errors import AnyGenError
from anygen.generators import load_generators, save_generators
from anygen.hub import find_folder
from anygen.llm import Backbone
from anygen.model import AnyGenConfig, AnyGenModel

CONFIG_FILE, PROJECTORS_FILE = "config.json", "projectors.safetensors"


def load_model(source: str | Path) -> AnyGenModel:
    """Read a model in float32 and evaluation mode.

    `source`: "nano", which is inside the package; a folder; or `name/repository`, with `@revision` where wanted, of the
    hub. Raises `model_load_error`, `hub_unavailable` and `hub_access_denied`.
    """
    folder = find_folder(source)
    path = folder / CONFIG_FILE
    config = config_from_dict(AnyGenConfig, read_json(path), where=str(path))
    expected = AnyGenConfig()
    for key in ("model_type", "format_version"):
        if getattr(config, key) != getattr(expected, key):
            found = f"{path}: {key} is {getattr(config, key)!r}; this version reads {getattr(expected, key)!r}"
            raise AnyGenError("model_load_error", found)
    encoder = load_encoder(folder / "encoder")
    model = AnyGenModel(
        config,
        encoders={modality: encoder for modality in encoder.modalities if modality in config.input_projectors},
        backbone=Backbone.from_pretrained(folder / "llm", config=config.backbone),
        generators=load_generators(folder / "generators"),
    )
    load_projectors(model, folder / PROJECTORS_FILE)
    return model.eval()


def save_model(model: AnyGenModel, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
    """Write a model; `dtype` (e.g. `torch.float16`) is the precision on disk, by default that in memory.

    LoRA and trained token rows are folded into the LLM, in memory too. Raises ValueError for a model that has no
    generators with it, or several encoders: the folder would not be whole.
    """
    encoders = {id(encoder): encoder for encoder in model.encoders.values()}
    missing = sorted(set(model.bridges) - set(model.generators))
    if missing or len(encoders) != 1:
        raise ValueError(
            f"found {len(encoders)} encoders and no generator for {missing}; expected one encoder, none missing"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(asdict(model.config), indent=2) + "\n", encoding="utf-8")
    for encoder in encoders.values():
        encoder.save_pretrained(folder / "encoder")
    model.backbone.save_pretrained(folder / "llm")
    save_projectors(model, folder / PROJECTORS_FILE)
    save_generators(model.generators, folder / "generators")
    if dtype is not None:
        for path in sorted(folder.rglob("*.safetensors")):
            cast_file(path, dtype)


def projector_state(model: AnyGenModel) -> dict[str, Tensor]:
    """The tensors of the input and output projectors by the names they have on disk; changing one changes the model."""
    groups = {
        "input_projectors": model.input_projectors,
        "output_projectors": {modality: bridge.projector for modality, bridge in model.bridges.items()},
    }
    return {
        f"{group}.{modality}.{name}": tensor
        for group, modules in groups.items()
        for modality, module in modules.items()
        for name, tensor in module.state_dict().items()
    }


def save_projectors(model: AnyGenModel, path: str | Path) -> None:
    """Write `projector_state` to one file."""
    save_file({name: tensor.contiguous() for name, tensor in projector_state(model).items()}, path)


@torch.no_grad()
def load_projectors(model: AnyGenModel, path: str | Path) -> None:
    """Read what `save_projectors` wrote into a model, strictly (see the module's first lines)."""
    try:
        given = load_file(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise AnyGenError("model_load_error", f"{path}: {error}; expected a safetensors file") from error
    wanted = projector_state(model)
    if given.keys() != wanted.keys():
        missing, surplus = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
        raise AnyGenError("model_load_error", f"{path}: found {surplus} beyond what is expected; missing are {missing}")
    for name, tensor in given.items():
        if tensor.shape != wanted[name].shape:
            found, expected = tuple(tensor.shape), tuple(wanted[name].shape)
            raise AnyGenError("model_load_error", f"{path}: {name} has shape {found}; expected {expected}")
        if not tensor.isfinite().all():
            raise AnyGenError("model_load_error", f"{path}: {name} holds NaN or infinity; expected finite numbers")
        wanted[name].copy_(tensor)


def cast_file(path: Path, dtype: torch.dtype) -> None:
    """Rewrite a safetensors file with its floating-point tensors in `dtype`."""
    tensors = load_file(path)
    cast = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    save_file(cast, path, metadata={"format": "pt"})
