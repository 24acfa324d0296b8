"""anygen's model folders: nano, trained, composed and converted ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from anygen.inspection.folder_weights import component_headers
from anygen.inspection.hub_folders import component_parts, denoiser_width, hidden_size, make_part
from anygen.inspection.inventory import Inventory, Joint, PartInfo, read_config
from anygen.inspection.licences import licence_of_folder, licence_of_source
from anygen.inspection.weight_files import TensorHeader, read_tensor_headers

TRAINING = {
    "encoder": "frozen",
    "input_projectors": "trained",
    "llm": "LoRA and signal rows, folded in",
    "output_projectors": "trained",
    "generators": "frozen",
}
"""What became of each kind of part when the parts were joined, in the order of the data flow."""
REFERENCE_FILE = "encoder.json"
"""In the place of an encoder's own configuration where the encoder is elsewhere; says where, and its settings."""
PROJECTORS_FILE = "projectors.safetensors"
TRUNKS = {"image": "vision", "video": "vision", "audio": "audio"}

Projectors = dict[str, dict[str, dict[str, TensorHeader]]]
"""Group -> modality -> tensors."""


def read_anygen(folder: Path) -> Inventory:
    """Parts in the order of the data flow, and the width at every joint of every modality."""
    config = read_config(folder / "config.json")
    projectors = _read_projectors(folder)
    parts = [
        *_model_parts(folder, "encoder"),
        *_projector_parts(folder, config, projectors, "input_projectors"),
        *_model_parts(folder, "llm"),
        *_projector_parts(folder, config, projectors, "output_projectors"),
        *_generator_parts(folder),
    ]
    joints = [*_joints_in(folder, projectors), *_joints_out(folder, config, projectors)]
    return Inventory(kind="anygen", parts=tuple(parts), joints=tuple(joints))


def _read_projectors(folder: Path) -> Projectors:
    groups: Projectors = {"input_projectors": {}, "output_projectors": {}}
    if (folder / PROJECTORS_FILE).is_file():
        for tensor, header in read_tensor_headers(folder / PROJECTORS_FILE).items():
            group, modality, name = [*tensor.split(".", 2), "", ""][:3]
            groups.setdefault(group, {}).setdefault(modality, {})[name] = header
    return groups


def _model_parts(folder: Path, name: str) -> list[PartInfo]:
    """The encoder or the LLM, where the folder has it or refers to it."""
    if not (folder / name).is_dir():
        return []
    config = _own_config(folder / name)
    class_name = next(iter(config.get("architectures") or []), None) or config.get("encoder_type") or "unknown"
    if "source" in config:
        return [_reference(name, class_name, config["source"], licence=config.get("licence"))]
    licence = licence_of_folder(folder / name, top=folder)
    headers = component_headers(folder / name)
    return [make_part(name, class_name, headers, training=TRAINING[name], licence=licence)]


def _projector_parts(folder: Path, config: dict, projectors: Projectors, group: str) -> list[PartInfo]:
    licence = licence_of_folder(folder, top=folder)
    return [
        make_part(
            f"{group}/{modality}",
            config.get(group, {}).get(modality, {}).get("type", "unknown"),
            tensors,
            training=TRAINING[group],
            licence=licence,
        )
        for modality, tensors in projectors[group].items()
    ]


def _own_config(folder: Path) -> dict:
    """A part's configuration: a reference where it is one, or else its library's."""
    reference = folder / REFERENCE_FILE
    return read_config(reference if reference.is_file() else folder / "config.json")


def _reference(name: str, class_name: str, source: str, *, licence: str | None) -> PartInfo:
    """A part that is elsewhere, with what the folder there says where it is on this machine."""
    place = Path(source)
    if place.is_dir():
        headers = component_headers(place)
        licence = licence or licence_of_folder(place, top=place)
        part = make_part(name, class_name, headers, training=TRAINING[name.split("/")[0]], licence=licence)
        return replace(part, source=source)
    return PartInfo(
        name=name, class_name=class_name, num_parameters=0, num_bytes=0, training=TRAINING[name.split("/")[0]],
        licence=licence or licence_of_source(source), source=source,
    )  # fmt: skip


def _generator_parts(folder: Path) -> list[PartInfo]:
    """The components of every pipeline; one that several share is stored, and listed, once."""
    parts = []
    for modality, entry in _generator_entries(folder).items():
        source = entry.get("source")
        if source and (Path(source) / "model_index.json").is_file():
            index, top = read_config(Path(source) / "model_index.json"), Path(source)
            prefix, training = f"generators/{modality}/", TRAINING["generators"]
            parts += [replace(p, source=source) for p in component_parts(top, index, top=top, prefix=prefix, training=training)]
        elif source:
            parts.append(_reference(f"generators/{modality}", entry.get("class", "diffusers"), source, licence=None))
    for path in sorted((folder / "generators").glob("*/model_index.json")):
        prefix = f"generators/{path.parent.name}/"
        training = TRAINING["generators"]
        parts += component_parts(path.parent, read_config(path), top=folder, prefix=prefix, training=training)
    return parts


def _generator_entries(folder: Path) -> dict[str, dict]:
    """Modality -> what generators/config.json says of it."""
    path = folder / "generators" / "config.json"
    entries = read_config(path) if path.is_file() else {}
    return {modality: entry for modality, entry in entries.items() if isinstance(entry, dict)}


def _joints_in(folder: Path, projectors: Projectors) -> list[Joint]:
    """Encoder -> input projector -> LLM."""
    llm, joints = _llm_width(folder), []
    for modality, tensors in projectors["input_projectors"].items():
        name = f"input_projectors/{modality}"
        reads, writes = _ends(tensors)
        given = _encoder_width(folder, modality)
        if given and reads:
            joints.append(Joint(left="encoder", left_width=given, right=name, right_width=reads))
        if writes and llm:
            joints.append(Joint(left=name, left_width=writes, right="llm", right_width=llm))
    return joints


def _joints_out(folder: Path, config: dict, projectors: Projectors) -> list[Joint]:
    """LLM -> output projector -> recorded condition -> denoiser."""
    llm, joints = _llm_width(folder), []
    for modality, tensors in projectors["output_projectors"].items():
        name = f"output_projectors/{modality}"
        if llm and "in_fc.weight" in tensors:
            joints.append(Joint(left="llm", left_width=llm, right=name, right_width=tensors["in_fc.weight"].shape[1]))
        for argument, shape in config.get("conditions", {}).get(modality, {}).items():
            head = tensors.get(f"out_fc.{argument}.weight")
            if head:
                right = f"conditions.{modality}.{argument}"
                joints.append(Joint(left=name, left_width=head.shape[0], right=right, right_width=shape[-1]))
        shape = config.get("conditions", {}).get(modality, {}).get("prompt_embeds")
        source = _generator_entries(folder).get(modality, {}).get("source")
        denoiser = denoiser_width(Path(source) if source else folder / "generators" / modality)
        if shape and denoiser:
            right = f"generators/{modality}/{denoiser[0]}"
            left = f"conditions.{modality}.prompt_embeds"
            joints.append(Joint(left=left, left_width=shape[-1], right=right, right_width=denoiser[1]))
    return joints


def _ends(tensors: dict[str, TensorHeader]) -> tuple[int | None, int | None]:
    """How wide an input projector's first and last linear layers are, of those that are named `proj`."""
    layers = {
        int(name.split(".")[1]) if name.count(".") == 2 else 0: header.shape
        for name, header in tensors.items()
        if name.startswith("proj.") and name.endswith("weight") and len(header.shape) == 2
    }
    return (layers[min(layers)][1], layers[max(layers)][0]) if layers else (None, None)


def _encoder_width(folder: Path, modality: str) -> int | None:
    config = _own_config(folder / "encoder") if (folder / "encoder").is_dir() else {}
    model = config.get("model", {})
    if config.get("features") == "trunk":
        return (model.get(TRUNKS.get(modality, modality)) or {}).get("width")
    return model.get("joint_dim")


def _llm_width(folder: Path) -> int | None:
    path = folder / "llm" / "config.json"
    return hidden_size(read_config(path)) if path.is_file() else None
