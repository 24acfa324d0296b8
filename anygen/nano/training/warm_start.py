"""Takes a finished model apart, so that `anygen train nano --start-from MODEL` goes on from it and not from nothing.

Each part becomes the `start.safetensors` that `loop.fit` begins a new run with. What no longer changes once others depend
on it (tokenizers, caption encoder, the closed form of the autoencoders) is put in place as finished.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn

from anygen.errors import AnyGenError
from anygen.media.types import MEDIA
from anygen.model import AnyGenModel
from anygen.nano.training.loop import START_FILE


KEEPABLE = ("encoder", "llm", *(f"{part}-{modality}" for part in ("autoencoder", "denoiser") for modality in MEDIA), "decoder-image")
"""Steps of the recipe whose result can be taken over as it is."""


def take_apart(model: AnyGenModel, work: Path, *, keep: Collection[str] = ()) -> None:
    """Write the parts of `model` where the steps of the recipe look for them in `work`.

    The results of the steps in `keep` are put in place as finished. Raises `invalid_parameter` for one that is not
    among `KEEPABLE`.
    """
    if unknown := sorted(set(keep) - set(KEEPABLE)):
        raise AnyGenError("invalid_parameter", f"found --keep {', '.join(unknown)}; expected some of {', '.join(KEEPABLE)}")
    model.backbone.tokenizer.save_pretrained(work / "tokenizer")
    save_start(nn.ModuleDict({"llm": model.backbone.llm}), work / "llm")
    encoder = model.encoders["image"]
    encoder.tokenizer.save_pretrained(work / "encoder" / "tokenizer")
    save_start(nn.ModuleDict({"encoder": encoder}), work / "encoder" / "whole")
    generators = {modality: model.generators[modality].pipeline for modality in MEDIA}
    generators["image"].text_encoder.save_pretrained(work / "caption-encoder" / "export")
    for modality in MEDIA:
        generators[modality].vae.save_pretrained(work / f"autoencoder-{modality}" / "linear")
    for modality, pipeline in generators.items():
        save_start(pipeline.unet, work / f"denoiser-{modality}")
    finished = {
        "encoder": (encoder, "encoder/export"),
        "llm": (model.backbone, "llm/export"),
        **{f"autoencoder-{m}": (pipeline.vae, f"autoencoder-{m}/export") for m, pipeline in generators.items()},
        "decoder-image": (generators["image"].vae, "decoder-image/export"),
        **{f"denoiser-{m}": (pipeline.unet, f"denoiser-{m}/export/unet") for m, pipeline in generators.items()},
    }
    for name in keep:
        part, place = finished[name]
        part.save_pretrained(work / place)
    projectors = {name: tensor for name, tensor in model.state_dict().items() if name.startswith(("input_projectors.", "bridges."))}
    for stage, prefix in (("input_projectors", "input_projectors."), ("output_projectors", "bridges.")):
        chosen = {name.replace(".", "/"): tensor for name, tensor in projectors.items() if name.startswith(prefix)}
        write(chosen, work / f"stage-{stage}")


def save_start(module: nn.Module, folder: Path) -> None:
    """A module's weights as the start of the run in `folder`."""
    write(module.state_dict(), folder)


def write(tensors: dict[str, Tensor], folder: Path) -> None:
    """One start file; tied tensors are written out once each."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, folder / START_FILE)
