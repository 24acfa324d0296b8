"""Generators: frozen diffusion models behind one contract (`generator.py`), and the folder that holds several of them.

    generators/config.json     {"video": {"class": "VideoGenerator", "shared": {"vae": "image"}}, ...}
    generators/{image,video,audio}/    each a diffusers pipeline folder

A component that two pipelines share (nano's films use the autoencoder of its pictures) is stored and held once.
A frozen generator that is elsewhere is referred to, with the options that it was loaded with; lazy ones stay lazy:

    {"image": {"source": "name/repository@commit", "settings": {...}, "options": {"dtype": "float16"},
               "lazy": {"max_loaded": 1, "header": {...}}}}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from anygen.errors import AnyGenError
from anygen.hub import seen_from

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from anygen.generators.generator import Generator
    from anygen.generators.lazy import GeneratorBudget


def generator_classes() -> dict[str, type[Generator]]:
    """Every generator class by the name that a model folder stores; adding one is adding a line here."""
    from anygen.generators.audiocraft import AudiocraftGenerator
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
        "AudiocraftGenerator": AudiocraftGenerator,
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
            config[modality] = generator.reference()
            continue
        components = generator.pipeline_components
        shared = {name: owners[id(part)] for name, part in components.items() if id(part) in owners}
        generator.save_pretrained(folder / modality, leave_out=tuple(shared))
        owners |= {id(part): modality for name, part in components.items() if name not in shared}
        config[modality] = {"class": type(generator).__name__, "shared": shared}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_generators(folder: str | Path) -> dict[str, Generator]:
    """Read what `save_generators` wrote. Raises AnyGenError("model_load_error") for a folder that it did not write."""
    folder = Path(folder)
    path = folder / "config.json"
    if not path.is_file():
        raise AnyGenError("model_load_error", f"{path} is missing; expected a folder written by save_generators")
    classes = generator_classes()
    generators: dict[str, Generator] = {}
    budgets: dict[int, GeneratorBudget] = {}
    for modality, entry in json.loads(path.read_text(encoding="utf-8")).items():
        if {"source"} <= set(entry) <= {"source", "settings", "options", "lazy"}:
            generators[modality] = _referred(entry, modality, folder=folder, budgets=budgets, where=f"{path}: {modality}")
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


def _referred(
    entry: Mapping[str, Any], modality: str, *, folder: Path, budgets: dict[int, GeneratorBudget], where: str
) -> Generator:
    """A generator that is elsewhere; the lazy ones of a folder share a budget of each size."""
    from anygen.generators.lazy import GeneratorBudget, GeneratorHeader, LazyGenerator
    from anygen.generators.loading import LoadOptions, load_generator

    source = seen_from(folder, entry["source"])
    options = LoadOptions.from_plain(entry.get("options", {}), settings=entry.get("settings", {}), where=where)
    lazy = entry.get("lazy")
    if lazy is None:
        try:
            generator = load_generator(source, modality=modality, options=options)
        except AnyGenError as error:
            raise AnyGenError(error.code, f"{where}: {error.detail or error.message}", **error.fields) from error
        generator.source = source
        return generator
    if not isinstance(lazy, dict) or set(lazy) != {"max_loaded", "header"}:
        raise AnyGenError("model_load_error", f"{where}: lazy is {lazy!r}; expected the keys max_loaded and header")
    header = None if lazy["header"] is None else GeneratorHeader.from_plain(lazy["header"], where=where)
    if lazy["max_loaded"] not in budgets:
        budgets[lazy["max_loaded"]] = GeneratorBudget(max_loaded=lazy["max_loaded"])
    budget = budgets[lazy["max_loaded"]]
    return LazyGenerator.from_source(source, modality=modality, options=options, header=header, budget=budget)
