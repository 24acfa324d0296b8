"""The models of audiocraft on disk, and how they are made of it.

    state_dict.bin, compression_state_dict.bin    audiocraft's own: pickles of {"xp.cfg": YAML, "best_state": tensors}
    audiocraft.json, *.safetensors                ours: the same parts, and MultiBandDiffusion's bands where it decodes

audiocraft is optional and imported when such a model is loaded. Its published pickles are read where a caller allows
it, as weights only. Its text encoder, a T5, is in neither layout: the hub has it, by the name in the configuration.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anygen.errors import AnyGenError
from anygen.hub import hub_errors

if TYPE_CHECKING:
    from torch import Tensor

LANGUAGE, CODEC = "state_dict", "compression_state_dict"
"""The two parts of a model by the stems of audiocraft's files: what writes tokens, and what makes sound of them."""
INDEX_FILE = "audiocraft.json"
"""Ours: part -> its configuration, the YAML of audiocraft."""
BANDS_FILE = "mbd_musicgen_32khz.th"
"""MultiBandDiffusion for MusicGen in facebook/multiband-diffusion."""
SOLVERS = {"musicgen": "MusicGen", "lm": "MusicGen", "audiogen": "AudioGen", "sound_lm": "AudioGen"}
"""`solver` of a configuration -> the class that drives it, as in audiocraft's solvers/builders.py."""
INSTALL = (
    "pip install --no-deps audiocraft xformers torchaudio (of https://download.pytorch.org/whl/cpu beside a torch for "
    "the CPU), and what they need: pip install dora-search einops flashy hydra-core julius librosa num2words omegaconf "
    "sentencepiece spacy torchmetrics"
)
"""Without --no-deps pip would put torch 2.1 in place of the one that is here, which audiocraft 1.3 does not need."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One network: its configuration as YAML, and its weights; none of one that is published apart."""

    config: str
    weights: Mapping[str, Tensor]


def is_audiocraft_folder(folder: Path) -> bool:
    """Whether a folder holds a model of audiocraft, in its layout or in ours."""
    return is_pickled(folder) or (folder / INDEX_FILE).is_file()


def is_pickled(folder: Path) -> bool:
    """Whether it is audiocraft's own layout."""
    return all((folder / f"{name}.bin").is_file() for name in (LANGUAGE, CODEC))


# Reading and writing


def read_parts(folder: Path, *, allow_pickle: bool) -> dict[str, Part]:
    """Every part of a folder by name. Raises AnyGenError("model_load_error") for pickles where they are not allowed."""
    if (folder / INDEX_FILE).is_file():
        return _read_safetensors(folder)
    if not allow_pickle:
        detail = (
            f"{folder} holds pickles, {LANGUAGE}.bin and {CODEC}.bin; where you trust their origin, read them with "
        )
        hint = "LoadOptions(allow_pickle=True), as weights only; what save_pretrained then writes needs no leave"
        raise AnyGenError("model_load_error", detail + hint)
    return {name: _read_pickle(folder / f"{name}.bin") for name in (LANGUAGE, CODEC)}


def _read_safetensors(folder: Path) -> dict[str, Part]:
    from safetensors.torch import load_file

    try:
        configs = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
        missing = {LANGUAGE, CODEC} - set(configs)
    except (ValueError, TypeError) as error:
        raise AnyGenError("model_load_error", f"{folder / INDEX_FILE}: {error}; expected a JSON object") from error
    if missing:
        raise AnyGenError("model_load_error", f"{folder / INDEX_FILE}: {', '.join(sorted(missing))} is missing")
    files = {name: folder / f"{name}.safetensors" for name in configs}
    return {
        name: Part(config=config, weights=load_file(files[name]) if files[name].is_file() else {})
        for name, config in configs.items()
    }


def _read_pickle(path: Path) -> Part:
    found = _load_pickle(path)
    try:
        if "pretrained" in found:
            return Part(config=json.dumps({"pretrained": found["pretrained"]}), weights={})
        return Part(config=found["xp.cfg"], weights=found["best_state"])
    except (KeyError, TypeError) as error:
        detail = f"{path}: found no {error}; expected xp.cfg and best_state, as audiocraft.utils.export writes them"
        raise AnyGenError("model_load_error", detail) from error


def _load_pickle(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = "no zip file of torch.save"
        if zipfile.is_zipfile(path):
            found = f"{', '.join(torch.serialization.get_unsafe_globals_in_checkpoint(path))} in the pickle"
        raise AnyGenError("model_load_error", f"{path}: found {found}; expected weights only") from error
    except (RuntimeError, EOFError, OSError) as error:
        raise AnyGenError("model_load_error", f"{path}: {error}; expected weights of audiocraft") from error


def write_parts(parts: Mapping[str, Part], folder: Path) -> None:
    """Write parts in our layout."""
    from safetensors.torch import save_file

    for name, part in parts.items():
        if part.weights:
            tensors = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in part.weights.items()}
            save_file(tensors, folder / f"{name}.safetensors")
    configs = {name: part.config for name, part in parts.items()}
    (folder / INDEX_FILE).write_text(json.dumps(configs, indent=2) + "\n", encoding="utf-8")


def read_bands(source: str | Path) -> dict[str, Part]:
    """The parts band_0, band_1, ... of MultiBandDiffusion from audiocraft's file, or a folder or repository of it."""
    import torch
    from omegaconf import DictConfig, ListConfig, OmegaConf
    from omegaconf.base import ContainerMetadata, Metadata
    from omegaconf.nodes import AnyNode

    path = Path(source)
    if path.is_dir():
        path = path / BANDS_FILE
    elif not path.is_file():
        path = _fetch_bands(str(source))
    plain = [dict, list, int, float, str, bool, tuple, Any, defaultdict]
    with torch.serialization.safe_globals([DictConfig, ListConfig, ContainerMetadata, Metadata, AnyNode, *plain]):
        found = _load_pickle(path)
    parts = {}
    for number in range(found["n_bands"]):
        band = found[number]
        config = {"sample_rate": found["sample_rate"], "cfg": OmegaConf.to_container(OmegaConf.create(band["cfg"]))}
        weights = {f"model.{key}": tensor for key, tensor in band["model_state"].items()}
        weights |= {f"processor.{key}": tensor for key, tensor in band["processor_state"].items()}
        parts[f"band_{number}"] = Part(config=OmegaConf.to_yaml(OmegaConf.create(config)), weights=weights)
    return parts


def _fetch_bands(source: str) -> Path:
    from huggingface_hub import hf_hub_download

    repository, _, revision = source.partition("@")
    with hub_errors(repository):
        return Path(hf_hub_download(repository, BANDS_FILE, revision=revision or None))


# Making

FAULTS = (RuntimeError, AttributeError, AssertionError)
"""What audiocraft and omegaconf raise, beside the usual, for a configuration or weights that they cannot use."""


@contextmanager
def audiocraft_errors(where: str | Path) -> Iterator[None]:
    """audiocraft within it, which is imported; what it raises becomes AnyGenError("model_load_error")."""
    try:
        import audiocraft.models  # noqa: F401  (whether it can be)
    except (ImportError, OSError) as error:  # torchaudio raises OSError where it was built for another torch
        detail = f"{where} is a model of audiocraft, which cannot be imported ({error}); {INSTALL}"
        raise AnyGenError("model_load_error", detail) from error
    try:
        yield
    except (ImportError, OSError, LookupError, TypeError, ValueError, *FAULTS) as error:
        raise AnyGenError("model_load_error", f"{where}: {error}") from error


def make_model(parts: Mapping[str, Part], *, name: str) -> Any:
    """`MusicGen` or `AudioGen` of its parts in float32 on the CPU, as its `get_pretrained` makes it."""
    from audiocraft import models
    from audiocraft.models import builders
    from omegaconf import OmegaConf

    config = OmegaConf.create(parts[LANGUAGE].config)
    if config.get("solver") not in SOLVERS:
        raise ValueError(f"found the solver {config.get('solver')!r}; expected one of {', '.join(SOLVERS)}")
    config.device, config.dtype = "cpu", "float32"
    readers = [each.t5.name for each in config.conditioners.values() if each.get("model") == "t5"]
    try:
        language = builders.get_lm_model(config)
    except OSError as error:
        detail = f"the text encoder of {name}, {', '.join(readers)}: {error}"
        raise AnyGenError("hub_unavailable", detail) from error
    language.load_state_dict(parts[LANGUAGE].weights)
    language.cfg = config
    return getattr(models, SOLVERS[config.solver])(name, _make_codec(parts[CODEC]), language.eval())


def _make_codec(part: Part) -> Any:
    from audiocraft.models import CompressionModel, builders
    from omegaconf import OmegaConf

    config = OmegaConf.create(part.config)
    if "pretrained" in config:
        return CompressionModel.get_pretrained(config.pretrained, device="cpu")
    config.device = "cpu"
    codec = builders.get_compression_model(config)
    codec.load_state_dict(part.weights)
    return codec.eval()


def make_decoder(bands: Mapping[str, Part], *, codec: Any) -> Any:
    """`MultiBandDiffusion` over the codec of a model. Raises ValueError where it was trained for another one."""
    from audiocraft.models import MultiBandDiffusion, builders
    from audiocraft.models.multibanddiffusion import DiffusionProcess
    from audiocraft.modules.diffusion_schedule import NoiseSchedule
    from omegaconf import OmegaConf

    processes = []
    for name, part in bands.items():
        config = OmegaConf.create(part.config)
        found = (config.sample_rate, config.cfg.channels)
        if found != (codec.sample_rate, codec.channels):
            expected = f"{codec.sample_rate} Hz and {codec.channels} channels, as the codec of the model"
            detail = f"found {found[0]} Hz and {found[1]} channels; expected {expected}"
            raise ValueError(f"{name} of multi_band_diffusion: {detail}")
        network = builders.get_diffusion_model(config.cfg)
        processor = builders.get_processor(config.cfg.processor, sample_rate=config.sample_rate)
        for module, prefix in ((network, "model."), (processor, "processor.")):
            module.load_state_dict({k.removeprefix(prefix): v for k, v in part.weights.items() if k.startswith(prefix)})
        schedule = NoiseSchedule(**config.cfg.schedule, sample_processor=processor.eval(), device="cpu")
        processes.append(DiffusionProcess(model=network.eval(), noise_schedule=schedule))
    return MultiBandDiffusion(DPs=processes, codec_model=codec)
