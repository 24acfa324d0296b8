"""Folders that transformers and diffusers wrote: components, their parameters, and the width at which text is handed on."""

from __future__ import annotations

from pathlib import Path

from anygen.inspection.folder_weights import component_headers
from anygen.inspection.inventory import Inventory, Joint, PartInfo, read_config
from anygen.inspection.licences import licence_of_folder
from anygen.inspection.weight_files import TensorHeader

PUBLISHED = "published"
CONDITION_KEYS = (
    "caption_channels", "joint_attention_dim", "text_dim", "text_embed_dim", "cap_feat_dim", "cross_attention_input_dim",
    "cross_attention_dim", "projection_class_embeddings_input_dim",
)  # fmt: skip
"""Where a denoiser's configuration says how wide the text states are that it takes, the first that holds a number; the
last is AudioLDM's, whose text is one vector."""
DENOISERS = ("unet", "transformer", "prior")
PROJECTORS = {"multi_modal_projector": "vision_config", "language_projection": "qformer_config"}
"""Modules of vision-language models that lead into the LLM -> the configuration of what they read."""


LANGUAGE_MODULES = ("lm_head", "embed_tokens", "layers", "norm", "text_model")
"""First modules of the LLM inside those vision-language models that do not keep it under one name."""


def read_diffusers(folder: Path) -> Inventory:
    """A pipeline folder: one part a component that has weights."""
    index = read_config(folder / "model_index.json")
    parts = tuple(component_parts(folder, index, top=folder))
    return Inventory(kind="diffusers", parts=parts, joints=tuple(pipeline_joints(folder, index)))


def component_parts(folder: Path, index: dict, *, top: Path, prefix: str = "", training: str = PUBLISHED) -> list[PartInfo]:
    """The parts of a pipeline folder in the order of its model_index.json."""
    parts = []
    for name, entry in index.items():
        if not isinstance(entry, list) or len(entry) != 2 or not entry[1]:
            continue
        headers = component_headers(folder / name)
        if headers:
            licence = licence_of_folder(folder / name, top=top)
            parts.append(make_part(f"{prefix}{name}", entry[1], headers, training=training, licence=licence))
    return parts


def make_part(name: str, class_name: str, headers: dict[str, TensorHeader], *, training: str, licence: str) -> PartInfo:
    """A part that has these tensors."""
    return PartInfo(
        name=name,
        class_name=class_name,
        num_parameters=sum(header.num_values for header in headers.values()),
        num_bytes=sum(header.num_bytes for header in headers.values()),
        training=training,
        licence=licence,
    )


def pipeline_joints(folder: Path, index: dict, *, prefix: str = "") -> list[Joint]:
    """Text encoders -> denoiser. Where there are several encoders a denoiser may take one's states or all side by side."""
    width = denoiser_width(folder)
    encoders = {}
    for name, entry in index.items():
        path = folder / name / "config.json"
        if name.startswith("text_encoder") and isinstance(entry, list) and entry[1] and path.is_file():
            encoders[name] = text_width(read_config(path), class_name=entry[1])
    widths = {name: found for name, found in encoders.items() if found}
    if width is None or not widths:
        return []
    denoiser, taken = width
    names, given = max(widths.items(), key=lambda item: item[1])
    if sum(widths.values()) == taken:
        names, given = " + ".join(widths), taken
    elif taken in widths.values():
        names, given = next(item for item in widths.items() if item[1] == taken)
    return [Joint(left=prefix + names, left_width=given, right=prefix + denoiser, right_width=taken)]


def denoiser_width(folder: Path) -> tuple[str, int] | None:
    """The denoiser's name in a pipeline folder, and how wide the text states are that it takes."""
    for name in DENOISERS:
        if (folder / name / "config.json").is_file():
            config = read_config(folder / name / "config.json")
            for key in CONDITION_KEYS:
                if type(config.get(key)) is int:
                    return name, config[key]
    return None


def text_width(config: dict, *, class_name: str) -> int | None:
    """How wide the states of a text encoder are, or the vector of one that gives a vector."""
    if class_name.startswith("ClapTextModelWithProjection"):
        return config.get("projection_dim")
    return hidden_size(config)


def hidden_size(config: dict) -> int | None:
    """The width of a transformers model's states, by the names that its families use."""
    nested = [config[name] for name in ("text_config", "thinker_config") if isinstance(config.get(name), dict)]
    for place in (config, *nested):
        for key in ("hidden_size", "d_model", "n_embd", "embed_dim"):
            if type(place.get(key)) is int:
                return place[key]
    return hidden_size(nested[0]) if nested and nested[0] is not config else None


def read_transformers(folder: Path) -> Inventory:
    """A model folder; vision-language models by their towers and projectors."""
    config = read_config(folder / "config.json")
    headers = component_headers(folder)
    class_name = next(iter(config.get("architectures") or []), None) or config.get("model_type") or config.get("encoder_type")
    licence = licence_of_folder(folder, top=folder)
    has_towers = any(isinstance(config.get(f"{name}_config"), dict) for name in ("vision", "audio", "thinker"))
    groups = tower_groups(headers) if has_towers else {"model": headers}
    parts = [
        make_part(name, class_name if name == "model" else f"{class_name}.{name}", tensors, training=PUBLISHED, licence=licence)
        for name, tensors in groups.items()
    ]
    joints = [joint for name, tensors in groups.items() for joint in projector_joints(name, tensors, config)]
    return Inventory(kind="transformers", parts=tuple(parts), joints=tuple(joints))


def tower_groups(headers: dict[str, TensorHeader]) -> dict[str, dict[str, TensorHeader]]:
    """Tensors by the first module of their names, which `model.` may precede."""
    groups: dict[str, dict[str, TensorHeader]] = {}
    for name, header in headers.items():
        first, _, rest = name.partition(".")
        tower = rest.partition(".")[0] if first == "model" and rest else first
        tower = "language_model" if tower in LANGUAGE_MODULES else tower
        groups.setdefault(tower, {})[name] = header
    return groups


def projector_joints(name: str, tensors: dict[str, TensorHeader], config: dict) -> list[Joint]:
    """What a vision-language model's projector reads and writes, against its neighbours' configurations."""
    matrices = [header.shape for key, header in tensors.items() if key.endswith(".weight") and len(header.shape) == 2]
    reads = config.get(PROJECTORS.get(name, ""))
    if not matrices or not isinstance(reads, dict):
        return []
    given, taken = reads.get("hidden_size"), hidden_size(config.get("text_config") or {})
    source = PROJECTORS[name].removesuffix("_config")
    joints = []
    if type(given) is int:
        joints.append(Joint(left=source, left_width=given, right=name, right_width=matrices[0][1]))
    if type(taken) is int:
        joints.append(Joint(left=name, left_width=matrices[-1][0], right="text", right_width=taken))
    return joints
