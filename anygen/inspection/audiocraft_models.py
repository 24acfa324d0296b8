"""Folders of audiocraft's models, in its layout and in ours: parts, and the widths from the text to the tokens.

text encoder (a T5, elsewhere) -> conditioner -> language model -> codec, or MultiBandDiffusion
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from anygen.errors import AnyGenError
from anygen.generators.audiocraft_folder import CODEC, INDEX_FILE, LANGUAGE, SOLVERS
from anygen.inspection.hub_folders import PUBLISHED, make_part
from anygen.inspection.inventory import Inventory, Joint, PartInfo, read_config
from anygen.inspection.licences import licence_of_folder
from anygen.inspection.weight_files import TensorHeader, read_pickle_notes, read_safetensors_headers

T5_WIDTHS = {"small": 512, "base": 768, "large": 1024, "3b": 1024, "11b": 1024}
"""Width of a T5's states by the last word of its name (Raffel et al. 2020, section 3.7), for those of audiocraft."""
CONDITIONER = "condition_provider."

Parts = dict[str, tuple[dict[str, Any], dict[str, TensorHeader]]]
"""Name of a part -> its configuration, and its tensors."""


def read_audiocraft(folder: Path) -> Inventory:
    """The inventory of a folder. Raises AnyGenError("model_load_error") for files that are none of audiocraft's."""
    parts = _read_parts(folder)
    rows = _rows(parts, training=PUBLISHED, licence=licence_of_folder(folder, top=folder))
    return Inventory(kind="audiocraft", parts=tuple(rows), joints=tuple(_joints(parts)))


def audiocraft_parts(folder: Path, *, top: Path, prefix: str, training: str) -> list[PartInfo]:
    """The parts of a folder as those of a generator in a larger model."""
    return _rows(_read_parts(folder), prefix=prefix, training=training, licence=licence_of_folder(folder, top=top))


def _read_parts(folder: Path) -> Parts:
    index = folder / INDEX_FILE
    if not index.is_file():
        return {name: _read_pickle(folder / f"{name}.bin") for name in (LANGUAGE, CODEC)}
    parts: Parts = {}
    for name, text in read_config(index).items():
        weights = folder / f"{name}.safetensors"
        parts[name] = (_read_yaml(text, index), read_safetensors_headers(weights) if weights.is_file() else {})
    if missing := {LANGUAGE, CODEC} - set(parts):
        raise AnyGenError("model_load_error", f"{index}: {', '.join(sorted(missing))} is missing")
    return parts


def _read_pickle(path: Path) -> tuple[dict[str, Any], dict[str, TensorHeader]]:
    found = read_pickle_notes(path)
    if isinstance(found, dict) and "pretrained" in found:
        return {"pretrained": found["pretrained"]}, {}
    if not isinstance(found, dict) or not isinstance(found.get("best_state"), dict):
        raise AnyGenError("model_load_error", f"{path}: expected xp.cfg and best_state, as audiocraft writes them")
    tensors = {name: each for name, each in found["best_state"].items() if isinstance(each, TensorHeader)}
    return _read_yaml(found.get("xp.cfg"), path), tensors


def _read_yaml(text: Any, path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, AttributeError) as error:
        detail = f"{path}: {' '.join(str(error).split())}; expected a configuration as YAML"
        raise AnyGenError("model_load_error", detail) from error
    if not isinstance(found, dict):
        detail = f"{path}: found {type(found).__name__} as a configuration; expected a mapping in YAML"
        raise AnyGenError("model_load_error", detail)
    return found


def _rows(parts: Parts, *, prefix: str = "", training: str, licence: str) -> list[PartInfo]:
    (config, tensors), (codec, codec_tensors) = parts[LANGUAGE], parts[CODEC]
    solver = str(config.get("solver"))
    bands = [(name, headers) for name, (_, headers) in parts.items() if name not in (LANGUAGE, CODEC)]
    groups = [
        ("conditioner", "text", {name: each for name, each in tensors.items() if name.startswith(CONDITIONER)}),
        (
            "language_model",
            SOLVERS.get(solver, solver),
            {name: each for name, each in tensors.items() if not name.startswith(CONDITIONER)},
        ),
        ("codec", str(codec.get("compression_model")), codec_tensors),
        ("decoder", "MultiBandDiffusion", {f"{band}.{name}": h for band, all_ in bands for name, h in all_.items()}),
    ]
    rows = [
        make_part(prefix + name, class_name, headers, training=training, licence=licence)
        for name, class_name, headers in groups
        if headers
    ]
    elsewhere = [("text_encoder", "T5EncoderModel", name) for name in _text_encoders(config)]
    if "pretrained" in codec:
        elsewhere.append(("codec", "EncodecModel", str(codec["pretrained"])))
    for name, class_name, source in elsewhere:
        row = make_part(prefix + name, class_name, {}, training=training, licence="its own")
        rows.append(replace(row, source=source))
    return rows


def _text_encoders(config: dict[str, Any]) -> list[str]:
    """The name of each T5 that a configuration asks for; published ones ask for one."""
    conditioners = config.get("conditioners")
    found = conditioners.values() if isinstance(conditioners, dict) else ()
    return [str(each["t5"]["name"]) for each in found if isinstance(each, dict) and each.get("model") == "t5"]


def _joints(parts: Parts) -> list[Joint]:
    """Text encoder -> conditioner -> language model."""
    config, tensors = parts[LANGUAGE]
    projection = next((each.shape for name, each in tensors.items() if name.endswith("output_proj.weight")), None)
    if projection is None:
        return []
    right = {"right": "conditioner", "right_width": projection[1]}
    widths = {name: T5_WIDTHS.get(name.rpartition("-")[2]) for name in _text_encoders(config)}
    joints = [Joint(left=name, left_width=width, **right) for name, width in widths.items() if width]
    if "emb.0.weight" in tensors:
        taken = tensors["emb.0.weight"].shape[1]
        joints.append(Joint(left="conditioner", left_width=projection[0], right="language_model", right_width=taken))
    return joints
