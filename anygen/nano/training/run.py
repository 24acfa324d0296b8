"""`anygen train nano`: every component of nano from nothing, then the three alignment stages, then the model folder.

    tokenizer -> encoder, llm
              -> caption-encoder, autoencoder-video, -image, -audio -> denoiser-image -> denoiser-video, -audio, decoder-image
              -> stage1 -> stage2 -> stage3 -> sampling -> export

Each step keeps its run in a folder of its own under the work folder and is resumed by the same call; a step that is done
is not done again. With the work folder empty this takes hours on two CPU cores; the model card (anygen/nano/weights/README.md) says how many.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import torch

from anygen.errors import AnyGenError
from anygen.model import AnyGenModel
from anygen.nano.training.alignment import load_stages, run_stage
from anygen.nano.training.autoencoders import train_autoencoder
from anygen.nano.training.caption_encoder import train_caption_encoder
from anygen.nano.training.decoder import train_decoder
from anygen.nano.training.denoisers import train_denoiser
from anygen.nano.training.encoder import TrainingPlan, build_encoder, encoder_tokenizer, load_media, train_encoder
from anygen.nano.training.llm import LOOP as LLM_LOOP
from anygen.nano.training.llm import pretrain_llm
from anygen.nano.training.pools import Pool
from anygen.nano.training.sampling import choose_guidance
from anygen.nano.training.tokenizer import make_tokenizer
from anygen.nano.training.warm_start import take_apart
from anygen.pipeline import AnyGenPipeline

logger = logging.getLogger(__name__)

POOLS = {
    "image": Pool(modality="image", count=40_000),
    "video": Pool(modality="video", count=12_000),
    "audio": Pool(modality="audio", count=12_000),
}
"""What encoder, autoencoders, denoisers and stages learn from."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the recipe: `run(work, minutes)` says whether it is done."""

    run: Callable[[Path, float | None], bool]
    result: str
    """What exists in the work folder once the step is done."""


def steps() -> dict[str, Step]:
    """The recipe by name, in the order in which it goes."""
    return {
        "tokenizer": Step(run=_tokenizer, result="tokenizer/tokenizer.json"),
        "encoder": Step(run=_encoder, result="encoder/export/config.json"),
        "llm": Step(run=_llm, result="llm/export/config.json"),
        "caption-encoder": Step(run=train_caption_encoder, result="caption-encoder/reader.safetensors"),
        **{f"autoencoder-{m}": _autoencoder_step(m) for m in ("video", "image", "audio")},
        **{f"denoiser-{m}": _denoiser_step(m) for m in ("image", "video", "audio")},
        "decoder-image": Step(run=_decoder, result="decoder-image/export/config.json"),
        "stage1": _stage_step("input_projectors"),
        "stage2": _stage_step("output_projectors"),
        "stage3": _stage_step("instruction"),
        "sampling": Step(run=_sampling, result="sampling/guidance.json"),
        "export": Step(run=export, result="export/config.json"),
    }


def train(
    *,
    work_dir: Path,
    only: str | None = None,
    minutes: float | None = None,
    start_from: str | None = None,
    keep: Collection[str] = (),
) -> None:
    """Run the recipe, or one step of it, in `work_dir`; with `minutes`, stop each step after that long.

    `start_from`, a model ("nano" or a folder), fills an empty work folder with the parts of that model to go on from; the
    results of the steps in `keep` stay as they are in it. Raises AnyGenError("invalid_parameter") for an unknown step. Stops, with a log line, at a step that is not done.
    """
    recipe = steps()
    if only is not None and only not in recipe:
        raise AnyGenError("invalid_parameter", f"found --only {only}; expected one of {', '.join(recipe)}")
    work_dir.mkdir(parents=True, exist_ok=True)
    if start_from is not None and not (work_dir / "tokenizer").exists():
        take_apart(AnyGenModel.from_pretrained(start_from), work_dir, keep=keep)
    for name, step in recipe.items():
        if only not in (None, name):
            continue
        if (work_dir / step.result).exists():
            logger.info("%s: done before, in %s", name, work_dir / step.result)
            continue
        started = time.monotonic()
        done = step.run(work_dir, minutes)
        logger.info("%s: %s after %.1f minutes", name, "done" if done else "stopped", (time.monotonic() - started) / 60)
        if not done:
            return


def _tokenizer(work: Path, minutes: float | None) -> bool:
    make_tokenizer(work / "tokenizer")
    return True


def _encoder(work: Path, minutes: float | None) -> bool:
    encoder = build_encoder(encoder_tokenizer(work / "encoder" / "tokenizer"))
    media = {modality: load_media(pool, work / "pools", encoder) for modality, pool in POOLS.items()}
    done = train_encoder(media, encoder, folder=work / "encoder", plan=TrainingPlan(), minutes=minutes)
    if done:
        encoder.eval().save_pretrained(work / "encoder" / "export", dtype=torch.float16)
    return done


def _llm(work: Path, minutes: float | None) -> bool:
    return pretrain_llm(tokenizer_folder=work / "tokenizer", folder=work / "llm", loop=LLM_LOOP, minutes=minutes)


def _decoder(work: Path, minutes: float | None) -> bool:
    return train_decoder(pools=POOLS, work=work, minutes=minutes)


def _sampling(work: Path, minutes: float | None) -> bool:
    choose_guidance(AnyGenPipeline(load_stages(work)), folder=work / "sampling")
    return True


def export(work: Path, minutes: float | None = None) -> bool:
    """Write the aligned model as a folder in half precision: what ships as `anygen/nano/weights`."""
    load_stages(work).save_pretrained(work / "export", dtype=torch.float16)
    return True


def _autoencoder_step(modality: str) -> Step:
    def run(work: Path, minutes: float | None) -> bool:
        return train_autoencoder(modality, pools=POOLS, work=work, minutes=minutes)

    return Step(run=run, result=f"autoencoder-{modality}/export/config.json")


def _denoiser_step(modality: str) -> Step:
    def run(work: Path, minutes: float | None) -> bool:
        return train_denoiser(modality, pools=POOLS, work=work, minutes=minutes)

    return Step(run=run, result=f"denoiser-{modality}/export/unet/config.json")


def _stage_step(stage: str) -> Step:
    def run(work: Path, minutes: float | None) -> bool:
        return run_stage(stage, pools=POOLS, work=work, minutes=minutes)

    return Step(run=run, result=f"stage-{stage}/trained.safetensors")
