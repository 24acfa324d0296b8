"""The converted model folder: trained parts as safetensors, references to the frozen ones, and what became of every tensor.

    config.json              how the parts are joined, ids of signal tokens and stop sequences among it
    llm/                     LLM and tokenizer, the checkpoint's rows and LoRA folded in
    projectors.safetensors   the checkpoint's projectors
    encoder/                 a reference, or ImageBind's published file as safetensors
    generators/config.json   references
    conversion.json          every tensor of the source: its place, or why it was ignored
    README.md                parts and licences
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import save_file

from anygen.bridges import SignalSpec
from anygen.convert.projectors import ConvertedProjector
from anygen.convert.tokens import ConvertedTokens
from anygen.encoders.encoder import CONFIG_FILE, ENCODER_FILE, config_from_dict, locate, read_json
from anygen.encoders.imagebind_config import imagebind_huge
from anygen.encoders.imagebind_encoder import LICENCE, ImageBindEncoder, ImageBindEncoderConfig
from anygen.encoders.transformers_encoder import TransformersEncoderConfig
from anygen.errors import AnyGenError
from anygen.backbones import BackboneConfig, build_backbone
from anygen.model import AnyGenConfig

if TYPE_CHECKING:
    from anygen.convert.convert import Conversion

Projectors = dict[str, ConvertedProjector]


def write_folder(
    conversion: Conversion, *, llm: Any, tokens: ConvertedTokens, projectors: Projectors, allow_pickle: bool
) -> None:
    """Write everything into a folder beside the wanted one, which takes its place when it is whole."""
    conversion.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{conversion.folder.name}-", dir=conversion.folder.parent) as place:
        part = Path(place) / "model"
        _write_parts(part, conversion, llm=llm, tokens=tokens, projectors=projectors, allow_pickle=allow_pickle)
        part.replace(conversion.folder)


def _write_parts(
    folder: Path, conversion: Conversion, *, llm: Any, tokens: ConvertedTokens, projectors: Projectors, allow_pickle: bool
) -> None:
    layout = conversion.layout
    folder.mkdir()
    config = model_config(conversion, tokens, projectors)
    build_backbone(llm, tokens.tokenizer, config=config.backbone).save_pretrained(folder / "llm")
    save_file(_projector_state(config, projectors), folder / "projectors.safetensors")
    if config.input_projectors:
        write_encoder(folder / "encoder", conversion, projectors["input"].in_dim, allow_pickle=allow_pickle)
    write_generators(folder, {modality: conversion.frozen.generators[modality] for modality in config.output_projectors})
    lines = [asdict(line) for line in conversion.lines]
    record = {"layout": layout.name, "system": layout.system, "frozen": asdict(conversion.frozen), "tensors": lines}
    (folder / "conversion.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_card(conversion), encoding="utf-8")
    (folder / CONFIG_FILE).write_text(json.dumps(asdict(config), indent=2) + "\n", encoding="utf-8")


def model_config(conversion: Conversion, tokens: ConvertedTokens, projectors: Projectors) -> AnyGenConfig:
    """How the parts are joined, in anygen's terms."""
    layout = conversion.layout
    outputs = {name.partition(".")[2]: part for name, part in projectors.items() if name.startswith("output.")}
    return AnyGenConfig(
        backbone=BackboneConfig(media_start=tokens.media_start, media_end=tokens.media_end, stop_ids=tokens.stop_ids),
        signals={
            modality: SignalSpec(
                tokens=layout.signal_tokens[modality],
                ids=tokens.signal_ids[modality],
                separator_id=tokens.separator_id,
            )
            for modality in outputs
        },
        input_projectors=dict.fromkeys(layout.input_modalities, projectors["input"].config) if "input" in projectors else {},
        output_projectors={modality: part.config for modality, part in outputs.items()},
        conditions={modality: part.condition_spec for modality, part in outputs.items()},
    )


def _projector_state(config: AnyGenConfig, projectors: Projectors) -> dict:
    """The tensors by the names of `anygen.checkpoint`; the one shared input projector is written for each modality."""
    state = {}
    for modality in config.input_projectors:
        state |= {f"input_projectors.{modality}.{name}": t.clone() for name, t in projectors["input"].state.items()}
    for modality in config.output_projectors:
        tensors = projectors[f"output.{modality}"].state
        state |= {f"output_projectors.{modality}.{name}": tensor for name, tensor in tensors.items()}
    return state


def write_encoder(folder: Path, conversion: Conversion, width: int, *, allow_pickle: bool) -> None:
    """Refer to the encoder with the reading that the checkpoint was trained with; convert ImageBind's published file."""
    layout, source = conversion.layout, conversion.frozen.encoder
    if source is None:
        raise AnyGenError(
            "model_load_error",
            f"{layout.system} reads media through {layout.encoder}, whose weights are not on the hub; pass --encoder with "
            "ImageBind's published file imagebind_huge.pth, or a folder that anygen made of it",
        )
    if Path(source).is_file():
        config = ImageBindEncoderConfig(model=imagebind_huge(), licence=LICENCE, read=layout.encoder_read)
        _check_encoder_width(source, config.model.joint_dim, width, layout.system)
        ImageBindEncoder.from_checkpoint(source, config=config, allow_pickle=allow_pickle).save_pretrained(folder)
        return
    settings = _encoder_settings(source, conversion)
    if layout.encoder_type == "imagebind":
        _check_encoder_width(source, settings.model.joint_dim, width, layout.system)
    folder.mkdir(parents=True, exist_ok=True)
    place = str(Path(source).resolve()) if Path(source).is_dir() else source
    reference = {"encoder_type": layout.encoder_type, "source": place, **asdict(settings)}
    (folder / ENCODER_FILE).write_text(json.dumps(reference, indent=2) + "\n", encoding="utf-8")


def _check_encoder_width(source: str, found: int, width: int, system: str) -> None:
    if found != width:
        raise AnyGenError("model_load_error", f"{source} gives {found}; the input projector of {system} takes {width}")


def _encoder_settings(source: str, conversion: Conversion) -> Any:
    """The encoder's own settings with the checkpoint's reading."""
    layout = conversion.layout
    if layout.encoder_type == "transformers":
        return TransformersEncoderConfig(read=layout.encoder_read)
    folder, _ = locate(source)
    given = read_json(folder / CONFIG_FILE)
    if given.pop("encoder_type", None) != layout.encoder_type:
        raise AnyGenError("model_load_error", f"{folder}: expected an encoder of the type {layout.encoder_type}")
    return config_from_dict(ImageBindEncoderConfig, given | {"read": layout.encoder_read}, where=str(folder / CONFIG_FILE))


def write_generators(folder: Path, sources: dict[str, str]) -> None:
    """Refer to the generators."""
    places = {m: str(Path(source).resolve()) if Path(source).is_dir() else source for m, source in sources.items()}
    (folder / "generators").mkdir(exist_ok=True)
    entries = {modality: {"source": place} for modality, place in places.items()}
    (folder / "generators" / CONFIG_FILE).write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


def _card(conversion: Conversion) -> str:
    """A model card: what this is, where its parts come from, and under which licences."""
    layout, frozen = conversion.layout, conversion.frozen
    rows = [f"| trained parts | {layout.system} | {layout.licence} |"]
    rows += [f"| encoder | {layout.encoder} | {layout.encoder_licence} |"]
    rows += [f"| LLM | {frozen.llm or 'in the checkpoint'} | its own |"]
    rows += [f"| {modality} generator | {source} | its own |" for modality, source in frozen.generators.items()]
    table = "\n".join(["| part | from | licence |", "|---|---|---|", *rows])
    return (
        f"---\nlicense: other\nlibrary_name: anygen\n---\n\n# {layout.system}, converted\n\n"
        f"Made by `anygen convert`; `conversion.json` says what became of every tensor.\n\n{table}\n"
    )
