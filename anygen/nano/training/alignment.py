"""Runs the three alignment stages on nano: each takes up the model that the one before it left.

    components -> stage 1 input projectors -> stage 2 output projectors -> stage 3 instruction -> a whole model folder

A stage's result is small: the parameters it trained (`trained.safetensors`), laid over the assembled components.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from anygen.media.types import MEDIA
from anygen.model import AnyGenModel
from anygen.nano.assemble import assemble
from anygen.nano.training.caption_encoder import load_reader
from anygen.nano.training.conversations import EncodedPool, ExampleSource, encode_media_pool
from anygen.nano.training.denoisers import encode_pool
from anygen.nano.training.loop import LoopConfig, fit, python_random
from anygen.nano.training.pools import Pool
from anygen.nano.world.dialogues import TASK_WEIGHTS
from anygen.training.stages import STAGES, freeze_for, stage_losses

LOOPS = {
    "input_projectors": LoopConfig(steps=800, learning_rate=2e-3, warmup_steps=20, log_every=20, weight_decay=0.0),
    "output_projectors": LoopConfig(steps=1000, learning_rate=1e-3, warmup_steps=50, log_every=20, weight_decay=0.0),
    "instruction": LoopConfig(steps=1450, learning_rate=1e-3, warmup_steps=50, log_every=20, weight_decay=0.0),
}
BATCH_SIZE = 28
MAKING = ("draw", "film", "play", "bare caption", "forced media", "several media")
"""Dialogue tasks that ask for media in words."""
SEEING = ("describe image", "describe video", "image to video", "image to audio", "video to image", "video to audio", "change medium")
"""Dialogue tasks in which a picture or film has to be seen."""
TASKS = {
    "input_projectors": (
        "describe image", "describe video", "describe audio", "questions", "questions about sound", "is there",
    ),
    "output_projectors": MAKING,
    "instruction": (*TASK_WEIGHTS, *MAKING, *MAKING, *SEEING, *SEEING),
}  # fmt: skip
"""Dialogue tasks that each stage learns from; the last from all, making and seeing three times as often: they are harder."""


def run_stage(
    name: str, *, pools: dict[str, Pool], work: Path, loop: LoopConfig | None = None, minutes: float | None = None
) -> bool:
    """Train one stage; True when its steps are done and `work/stage-{name}/trained.safetensors` is written."""
    folder = work / f"stage-{name}"
    torch.manual_seed(0)
    model = load_stages(work, before=name)
    limit = model.backbone.context_length
    source = ExampleSource(
        encoded_pools(model, pools, work),
        tasks=TASKS[name],
        fits=lambda conversation: len(model.write_script(conversation).ids) <= limit,
    )
    parameters = freeze_for(model, STAGES[name])
    reader = load_reader(work)

    def loss_of_step(generator: torch.Generator) -> dict[str, Tensor]:
        rng = python_random(generator)
        examples = [source.draw(rng) for _ in range(BATCH_SIZE)]
        return stage_losses(model, examples, STAGES[name], generator=generator, reader=reader)

    done = fit(parameters, loss_of_step, loop or LOOPS[name], folder=folder, minutes=minutes)
    if done:
        save_file({key: parameter.detach() for key, parameter in parameters.items()}, folder / "trained.safetensors")
    return done


def load_stages(work: Path, *, before: str | None = None) -> AnyGenModel:
    """The assembled model with what the stages before `before` (all of them when None) have learnt."""
    torch.manual_seed(0)
    model = assemble(work, with_generators=before != "input_projectors")
    for name, stage in STAGES.items():
        if name == before:
            break
        if before == "output_projectors":
            continue  # stage 2 shows the model no media, so it may run beside stage 1
        parameters = freeze_for(model, stage)
        with torch.no_grad():
            for key, tensor in load_file(work / f"stage-{name}" / "trained.safetensors").items():
                parameters[key].copy_(tensor)
    return model


def encoded_pools(model: AnyGenModel, pools: dict[str, Pool], work: Path) -> dict[str, EncodedPool]:
    """Every pool with its encoder tokens and its generator's latents."""
    return {
        modality: encode_media_pool(
            pools[modality],
            encoder=model.encoders[modality],
            latents=encode_pool(modality, pools, work),
            folder=work / "pools",
        )
        for modality in MEDIA
    }
