"""anygen's model folders: nano, trained, composed and converted ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from anygen.generators.audiocraft_folder import is_audiocraft_folder
from anygen.inspection.audiocraft_models import audiocraft_parts
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
REFERENCE_FILES = ("reference.json", "encoder.json")
"""In the place of a part's own configuration where the part is elsewhere: what refers to an LLM, and to an encoder."""
REMOTE_FILE = "remote.json"
"""In the place of an LLM or a generator that another program serves."""
RETRIEVAL_FILE = "retrieval.json"
"""In the place of a generator that answers with what it finds."""
ENCODERS_FILE = "encoders.json"
"""Of several encoders: modality -> the modality whose folder it is in."""
PROJECTORS_FILE = "projectors.safetensors"
TRUNKS = {"image": "vision", "video": "vision", "audio": "audio"}

Projectors = dict[str, dict[str, dict[str, TensorHeader]]]
"""Group -> modality -> tensors."""


def read_anygen(folder: Path) -> Inventory:
    """Parts in the order of the data flow, and the width at every joint of every modality."""
    config = read_config(folder / "config.json")
    projectors = _read_projectors(folder)
    parts = [
        *(_model_part(place, name, top=folder) for name, place in _encoder_folders(folder).items()),
        *_projector_parts(folder, config, projectors, "input_projectors"),
        *([_model_part(folder / "llm", "llm", top=folder)] if (folder / "llm").is_dir() else []),
        *_added_rows(folder, projectors),
        *_projector_parts(folder, config, projectors, "output_projectors"),
        *_generator_parts(folder),
    ]
    joints = [*_joints_in(folder, config, projectors), *_joints_out(folder, config, projectors)]
    return Inventory(kind="anygen", parts=tuple(parts), joints=tuple(joints))


def _read_projectors(folder: Path) -> Projectors:
    groups: Projectors = {"input_projectors": {}, "output_projectors": {}}
    if (folder / PROJECTORS_FILE).is_file():
        for tensor, header in read_tensor_headers(folder / PROJECTORS_FILE).items():
            group, modality, name = [*tensor.split(".", 2), "", ""][:3]
            groups.setdefault(group, {}).setdefault(modality, {})[name] = header
    return groups


def _model_part(folder: Path, name: str, *, top: Path) -> PartInfo:
    """An encoder or the LLM, which the folder has or refers to."""
    if (folder / REMOTE_FILE).is_file():
        return _remote(name, read_config(folder / REMOTE_FILE))
    config = _own_config(folder)
    class_name = next(iter(config.get("architectures") or []), None) or config.get("encoder_type") or "unknown"
    if "source" in config:
        return _reference(name, class_name, config["source"], licence=config.get("licence"))
    headers = component_headers(folder)
    training = TRAINING[name.split("/")[0]]
    return make_part(name, class_name, headers, training=training, licence=licence_of_folder(folder, top=top))


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
    names = [name for name in REFERENCE_FILES if (folder / name).is_file()]
    return read_config(folder / (names[0] if names else "config.json"))


def _encoder_folders(folder: Path) -> dict[str, Path]:
    """Name of an encoder -> its folder: one for all that is read, or one a modality."""
    place = folder / "encoder"
    if any((place / name).is_file() for name in (*REFERENCE_FILES, "config.json")):
        return {"encoder": place}
    return {f"encoder/{each.name}": each for each in sorted(place.glob("*")) if each.is_dir()}


def _reference(name: str, class_name: str, source: str, *, licence: str | None) -> PartInfo:
    """A part that is elsewhere, with what the folder there says where it is on this machine."""
    place = Path(source)
    if place.is_dir():
        headers = component_headers(place)
        licence = licence or licence_of_folder(place, top=place)
        if class_name == "unknown":
            class_name = next(iter(_own_config(place).get("architectures") or []), class_name)
        return replace(make_part(name, class_name, headers, training="frozen", licence=licence), source=source)
    return PartInfo(
        name=name, class_name=class_name, num_parameters=0, num_bytes=0, training="frozen",
        licence=licence or licence_of_source(source), source=source,
    )  # fmt: skip


def _remote(name: str, config: dict) -> PartInfo:
    """A part that another program serves."""
    endpoint = config.get("endpoint", {})
    return PartInfo(
        name=name, class_name="served elsewhere", num_parameters=0, num_bytes=0, training="frozen",
        licence="its own", source=f"{endpoint.get('base_url')}#{endpoint.get('model')}",
    )  # fmt: skip


def _added_rows(folder: Path, projectors: Projectors) -> list[PartInfo]:
    """The rows that were added to an LLM that is elsewhere, and the queries of query bridges."""
    licence, parts = licence_of_folder(folder, top=folder), []
    for group, name in (("llm", "llm/added rows"), ("queries", "queries")):
        headers = {f"{first}.{rest}": h for first, tensors in projectors.get(group, {}).items() for rest, h in tensors.items()}
        if headers:
            parts.append(make_part(name, "embedding", headers, training="trained", licence=licence))
    return parts


def _generator_parts(folder: Path) -> list[PartInfo]:
    """The components of every pipeline; one that several share is stored, and listed, once."""
    parts = []
    for modality, entry in _generator_entries(folder).items():
        source = entry.get("source")
        if source and (Path(source) / "model_index.json").is_file():
            index, top = read_config(Path(source) / "model_index.json"), Path(source)
            prefix, training = f"generators/{modality}/", TRAINING["generators"]
            parts += [replace(p, source=source) for p in component_parts(top, index, top=top, prefix=prefix, training=training)]
        elif source and is_audiocraft_folder(Path(source)):
            prefix, training = f"generators/{modality}/", TRAINING["generators"]
            found = audiocraft_parts(Path(source), top=Path(source), prefix=prefix, training=training)
            parts += [replace(part, source=part.source or source) for part in found]
        elif source:
            parts.append(_reference(f"generators/{modality}", entry.get("class", "diffusers"), source, licence=None))
    for place in sorted((folder / "generators").glob("*")):
        parts += _stored_generator(place, f"generators/{place.name}", top=folder)
    return parts


def _stored_generator(place: Path, name: str, *, top: Path) -> list[PartInfo]:
    """The parts of a generator that is in the model's own folder: a pipeline, a model, or where to find one."""
    training = TRAINING["generators"]
    if (place / "model_index.json").is_file():
        index = read_config(place / "model_index.json")
        return component_parts(place, index, top=top, prefix=f"{name}/", training=training)
    if is_audiocraft_folder(place):
        return audiocraft_parts(place, top=top, prefix=f"{name}/", training=training)
    if (place / REMOTE_FILE).is_file():
        return [_remote(name, read_config(place / REMOTE_FILE))]
    if (place / RETRIEVAL_FILE).is_file():
        others = [_stored_generator(each, f"{name}/otherwise", top=top) for each in (place / "otherwise").glob("*")]
        return [_retrieval(name, read_config(place / RETRIEVAL_FILE)), *(part for parts in others for part in parts)]
    if not (place / "config.json").is_file():
        return []
    inner = [each.parent for each in sorted(place.glob("*/config.json"))]  # a vocoder
    return [_model_part(each, name if each == place else f"{name}/{each.name}", top=top) for each in (place, *inner)]


def _retrieval(name: str, config: dict) -> PartInfo:
    """An index of media, which is elsewhere."""
    return PartInfo(
        name=name, class_name="index of media", num_parameters=0, num_bytes=0, training="frozen",
        licence="that of the media", source=config.get("index"),
    )  # fmt: skip


def _generator_entries(folder: Path) -> dict[str, dict]:
    """Modality -> what generators/config.json says of it."""
    path = folder / "generators" / "config.json"
    entries = read_config(path) if path.is_file() else {}
    return {modality: entry for modality, entry in entries.items() if isinstance(entry, dict)}


def _joints_in(folder: Path, config: dict, projectors: Projectors) -> list[Joint]:
    """Encoder -> input projector -> LLM."""
    llm, joints = _llm_width(folder), []
    for modality, tensors in projectors["input_projectors"].items():
        name = f"input_projectors/{modality}"
        reads, writes = _ends(tensors, config.get("input_projectors", {}).get(modality, {}))
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


def _ends(tensors: dict[str, TensorHeader], settings: dict) -> tuple[int | None, int | None]:
    """How wide the tokens are that an input projector reads and writes, by its first and last linear layers.

    Those with layers of another kind in front of `proj` are left out.
    """
    merge, kind = settings.get("merge", 2), settings.get("type")
    joined = {"linear": 1, "mlp": 1, "transformer": 1, "expand": 1, "concat": merge, "pixel_shuffle": merge**2}
    if kind not in joined:
        return None, None
    layers = {
        int(name.split(".")[1]) if name.count(".") == 2 else 0: header.shape
        for name, header in tensors.items()
        if name.startswith("proj.") and name.endswith("weight") and len(header.shape) == 2
    }
    if not layers:
        return None, None
    split = settings.get("num_queries", 1) if kind == "expand" else 1
    return layers[min(layers)][1] // joined[kind], layers[max(layers)][0] // split


def _encoder_width(folder: Path, modality: str) -> int | None:
    places = _encoder_folders(folder)
    owners = folder / "encoder" / ENCODERS_FILE
    owner = read_config(owners).get(modality, modality) if owners.is_file() else modality
    place = places.get("encoder") or places.get(f"encoder/{owner}")
    config = _own_config(place) if place else {}
    if config.get("encoder_type") == "transformers":
        library = Path(config.get("source", place)) / "config.json"
        own = read_config(library) if library.is_file() else {}
        return hidden_size(own.get(f"{TRUNKS.get(modality)}_config") or own)
    model = config.get("model", {})
    if config.get("features") == "trunk":
        return (model.get(TRUNKS.get(modality, modality)) or {}).get("width")
    return model.get("joint_dim")


def _llm_width(folder: Path) -> int | None:
    if not (folder / "llm").is_dir():
        return None
    if (folder / "llm" / REMOTE_FILE).is_file():
        return None
    config = _own_config(folder / "llm")
    if "source" in config:
        path = Path(config["source"]) / "config.json"
        return hidden_size(read_config(path)) if path.is_file() else None
    return hidden_size(config)
