"""Generators: frozen diffusion models behind one contract (`generator.py`), and the folder that holds several of them.

    generators/config.json     {"video": {"class": "VideoGenerator", "shared": {"vae": "image"}}, ...}
    generators/{image,video,audio}/    each a diffusers pipeline folder

A component that two pipelines share (nano's films use the autoencoder of its pictures) is stored and held once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from anygen.errors import AnyGenError
from anygen.hub import seen_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anygen.generators.generator import Generator


def generator_classes() -> dict[str, type[Generator]]:
    """Every generator class by the name that a model folder stores; adding one is adding a line here."""
    from anygen.generators.diffusion import AudioGenerator, ImageGenerator, VideoGenerator
    from anygen.generators.musicgen import MusicgenGenerator
    from anygen.generators.speech import SpeechT5Generator, VitsGenerator
    from anygen.remote.generator import RemoteGenerator
    from anygen.retrieval.generator import RetrievalGenerator

    return {
        "ImageGenerator": ImageGenerator,
        "VideoGenerator": VideoGenerator,
        "AudioGenerator": AudioGenerator,
        "MusicgenGenerator": MusicgenGenerator,
        "VitsGenerator": VitsGenerator,
        "SpeechT5Generator": SpeechT5Generator,
        "RemoteGenerator": RemoteGenerator,
        "RetrievalGenerator": RetrievalGenerator,
    }


def save_generators(generators: Mapping[str, Generator], folder: str | Path) -> None:
    """Write generators by modality; a module that an earlier one holds too is referred to, not written again.

    A generator that came from a repository or a folder (`Generator.source`) is referred to as a whole.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config, owners = {}, {}
    for modality, generator in generators.items():
        if generator.source is not None:
            config[modality] = {"source": generator.source, "settings": generator.settings}
            continue
        components = generator.pipeline_components
        shared = {name: owners[id(part)] for name, part in components.items() if id(part) in owners}
        generator.save_pretrained(folder / modality, leave_out=tuple(shared))
        owners |= {id(part): modality for name, part in components.items() if name not in shared}
        config[modality] = {"class": type(generator).__name__, "shared": shared}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_generators(folder: str | Path) -> dict[str, Generator]:
    """Read what `save_generators` wrote. Raises AnyGenError("model_load_error") for a folder that it did not write."""
    from anygen.generators.loading import LoadOptions, load_generator

    folder = Path(folder)
    path = folder / "config.json"
    if not path.is_file():
        raise AnyGenError("model_load_error", f"{path} is missing; expected a folder written by save_generators")
    classes = generator_classes()
    generators: dict[str, Generator] = {}
    for modality, entry in json.loads(path.read_text(encoding="utf-8")).items():
        if {"source"} <= set(entry) <= {"source", "settings"}:
            options = LoadOptions(settings=entry.get("settings", {}))
            source = seen_from(folder, entry["source"])
            generators[modality] = load_generator(source, modality=modality, options=options)
            generators[modality].source = source
            continue
        if set(entry) != {"class", "shared"} or entry["class"] not in classes:
            raise AnyGenError(
                "model_load_error",
                f"{path}: {modality} is {entry}; expected the keys class (one of {', '.join(classes)}) and shared, or source",
            )
        missing = sorted(set(entry["shared"].values()) - set(generators))
        if missing:
            raise AnyGenError("model_load_error", f"{path}: {modality} shares a part of {missing}, which come later or never")
        parts = {name: generators[owner].pipeline_components[name] for name, owner in entry["shared"].items()}
        generators[modality] = classes[entry["class"]].from_pretrained(folder / modality, parts=parts)
    return generators
