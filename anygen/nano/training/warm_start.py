"""Takes a finished model apart, so that `anygen train nano --start-from MODEL` goes on from it and not from nothing.

Each part becomes the `start.safetensors` that `loop.fit` begins a new run with. What no longer changes once others depend
on it (tokenizers, caption encoder, the closed form of the autoencoders) is put in place as finished.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn

from anygen.media.types import MEDIA
from anygen.model import AnyGenModel
from anygen.nano.training.loop import START_FILE


def take_apart(model: AnyGenModel, work: Path) -> None:
    """Write the parts of `model` where the steps of the recipe look for them in `work`."""
    model.backbone.tokenizer.save_pretrained(work / "tokenizer")
    save_start(nn.ModuleDict({"llm": model.backbone.llm}), work / "llm")
    encoder = model.encoders["image"]
    encoder.tokenizer.save_pretrained(work / "encoder" / "tokenizer")
    save_start(encoder, work / "encoder" / "sparse")
    generators = {modality: model.generators[modality].pipeline for modality in MEDIA}
    generators["image"].text_encoder.save_pretrained(work / "caption-encoder" / "export")
    for modality in ("image", "audio"):
        generators[modality].vae.save_pretrained(work / f"autoencoder-{modality}" / "linear")
    for modality, pipeline in generators.items():
        save_start(pipeline.unet, work / f"denoiser-{modality}")
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
