"""A model on disk: reading and writing the folder that `AnyGenModel.from_pretrained` takes.

    config.json              AnyGenConfig: how the parts are joined
    encoder/                 the encoder of every modality that is read; where they are several, encoder/{modality}/ and
                             encoders.json, which says whose is whose; or references
    llm/                     transformers: LLM and tokenizer, LoRA and trained rows folded in; or reference.json;
                             or remote.json, where another program serves it
    projectors.safetensors   input_projectors.{modality}.*, output_projectors.{modality}.*, queries.{modality}
    generators/              one diffusers folder a modality, or references

A frozen part that came from a repository or a folder is referred to (`name/repository@commit`, or the path) and not
copied, with the options that it was loaded with; of a referred LLM the rows of its added tokens are among the
projectors, as llm.embedding and llm.head. Paths are
written absolute; one that is not, of an LLM or a generator, is seen from the folder of the file that it stands in.

Reading is strict: an unknown key, a missing, surplus, misshapen or non-finite tensor is a `model_load_error` that names
the file, the key, and what was found and expected. Half precision on disk becomes float32 in memory, but for referred parts
whose options say otherwise.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from anygen.bridges import QueryBridge, SignalBridge
from anygen.encoders import load_encoders, save_encoders
from anygen.encoders.encoder import config_from_dict, read_json
from anygen.errors import AnyGenError
from anygen.generators import load_generators, save_generators
from anygen.hub import find_folder, seen_from
from anygen.backbones import Backbone
from anygen.model import AnyGenConfig, AnyGenModel
from anygen.remote.llm import CONFIG_FILE as REMOTE_FILE
from anygen.remote.llm import RemoteLLM

CONFIG_FILE, PROJECTORS_FILE, REFERENCE_FILE = "config.json", "projectors.safetensors", "reference.json"


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
    model = AnyGenModel(
        config,
        encoders=load_encoders(folder / "encoder", modalities=list(config.input_projectors)),
        backbone=load_backbone(folder / "llm", config),
        generators=load_generators(folder / "generators"),
    )
    load_projectors(model, folder / PROJECTORS_FILE)
    return model.eval()


def save_model(model: AnyGenModel, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
    """Write a model; `dtype` (e.g. `torch.float16`) is the precision on disk, by default that in memory.

    LoRA and trained token rows are folded into the LLM, in memory too. Raises ValueError for a model whose generators are
    not with it: the folder would not be whole.
    """
    missing = sorted(set(model.bridges) - set(model.generators))
    if missing:
        raise ValueError(f"found no generator for {', '.join(missing)}; expected one for each modality that is made")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(asdict(model.config), indent=2) + "\n", encoding="utf-8")
    save_encoders(dict(model.encoders.items()), folder / "encoder")
    save_backbone(model.backbone, folder / "llm")
    save_projectors(model, folder / PROJECTORS_FILE)
    save_generators(model.generators, folder / "generators")
    if dtype is not None:
        for path in sorted(folder.rglob("*.safetensors")):
            cast_file(path, dtype)


def save_backbone(backbone: Backbone | RemoteLLM, folder: Path) -> None:
    """The LLM and its tokenizer; or of one that is frozen and elsewhere, where that is and what tokens were added."""
    if isinstance(backbone, RemoteLLM):
        backbone.save_pretrained(folder)
        return
    backbone.fold()
    if backbone.source is None:
        backbone.save_pretrained(folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    reference = {"source": backbone.source, "added_tokens": backbone.added_tokens}
    (folder / REFERENCE_FILE).write_text(json.dumps(reference, indent=2) + "\n", encoding="utf-8")


def load_backbone(folder: Path, config: AnyGenConfig) -> Backbone | RemoteLLM:
    """What `save_backbone` wrote; rows of added tokens come with the projectors."""
    if (folder / REMOTE_FILE).exists():
        return RemoteLLM.from_pretrained(folder)
    path = folder / REFERENCE_FILE
    if not path.exists():
        return Backbone.from_pretrained(folder, config=config.backbone)
    reference = read_json(path)
    if set(reference) != {"source", "added_tokens"}:
        raise AnyGenError("model_load_error", f"{path}: found the keys {sorted(reference)}; expected source and added_tokens")
    source = seen_from(folder, reference["source"])
    backbone = Backbone.from_pretrained(find_folder(source), config=config.backbone, **config.llm_options)
    backbone.add_tokens(reference["added_tokens"])
    backbone.source = source
    return backbone


def projector_state(model: AnyGenModel) -> dict[str, Tensor]:
    """The tensors of projectors, queries and added rows by the names they have on disk; changing one changes the model."""
    learned = {modality: bridge for modality, bridge in model.bridges.items() if isinstance(bridge, SignalBridge)}
    groups = {
        "input_projectors": model.input_projectors,
        "output_projectors": {modality: bridge.projector for modality, bridge in learned.items()},
    }
    tensors = {
        f"{group}.{modality}.{name}": tensor
        for group, modules in groups.items()
        for modality, module in modules.items()
        for name, tensor in module.state_dict().items()
    }
    queries = {m: bridge.queries.detach() for m, bridge in learned.items() if isinstance(bridge, QueryBridge)}
    return tensors | {f"queries.{modality}": tensor for modality, tensor in queries.items()} | added_rows(model.backbone)


def added_rows(backbone: Backbone) -> dict[str, Tensor]:
    """The rows of the added tokens of an LLM that is referred to, as views of its matrices; empty for other LLMs."""
    if backbone.source is None or not backbone.added_tokens:
        return {}
    ids = backbone.special_ids(backbone.added_tokens)
    rows = slice(min(ids), max(ids) + 1)
    embedding, head = backbone.llm.get_input_embeddings().weight, backbone.llm.get_output_embeddings().weight
    found = {"llm.embedding": embedding.detach()[rows]}
    return found if head is embedding else found | {"llm.head": head.detach()[rows]}


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
