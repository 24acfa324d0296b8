"""The optimisation loop that every component of nano is trained by: steps, schedule, average, resume, metrics.

A component gives its modules and a function from a step's random generator to a loss; everything else is here, in one
visible loop. A run is a folder: `checkpoint.pt` (weights, averages, optimiser, step) and `metrics.jsonl`.
"""

from __future__ import annotations

import copy
import json
import math
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

START_FILE = "start.safetensors"
"""Weights in a run's folder that a new run begins with, see `warm_start.py`."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long and how fast a component learns."""

    steps: int
    """Optimiser steps in all; a resumed run goes on to the same number."""
    learning_rate: float = 1e-3
    """Peak of the schedule: linear warm-up, then a cosine down to a hundredth."""
    warmup_steps: int = 100
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    ema_decay: float = 0.0
    """Decay of the exponential average of the weights; 0 keeps none."""
    checkpoint_minutes: float = 3.0
    log_every: int = 50
    seed: int = 0

    def __post_init__(self):
        if self.steps < 1 or self.learning_rate <= 0:
            raise ValueError(f"steps={self.steps} and learning_rate={self.learning_rate} must be positive")

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def fit(
    module: nn.Module,
    loss_of_step: Callable[[torch.Generator], dict[str, Tensor]],
    config: LoopConfig,
    *,
    folder: Path,
    minutes: float | None = None,
) -> bool:
    """Train the parameters of `module` that require gradients; True when all steps are done.

    `loss_of_step(generator)` draws a batch with the step's own generator (a function of seed and step, so a resumed
    run sees the data of an unbroken one) and returns named scalars; the one named "loss" is minimised. With `minutes`
    the run stops there, to be resumed by the same call. At the end the averaged weights are put into `module`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError(f"{type(module).__name__} has no parameter that requires gradients: nothing to train")
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, betas=(0.9, 0.98))
    average = copy.deepcopy(module).requires_grad_(False) if config.ema_decay else None
    step, spent = load_checkpoint(folder, module, average, optimizer)
    started, saved = time.monotonic(), time.monotonic()
    found: dict[str, list[float]] = {}
    while step < config.steps:
        for group in optimizer.param_groups:
            group["lr"] = config.rate(step)
        losses = loss_of_step(torch.Generator().manual_seed(config.seed * 1_000_003 + step))
        optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        norm = nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
        if torch.isfinite(norm):
            optimizer.step()
        if average is not None:
            update_average(average, module, min(config.ema_decay, (step + 1) / (step + 10)))
        step += 1
        for name, value in losses.items():
            found.setdefault(name, []).append(float(value.detach()))
        now = time.monotonic()
        out_of_time = minutes is not None and now - started > 60 * minutes
        if step % config.log_every == 0 or step == config.steps:
            means = {name: sum(values) / len(values) for name, values in found.items()}
            log(folder, {"step": step, "seconds": round(spent + now - started, 1)} | means)
            found = {}
        if now - saved > 60 * config.checkpoint_minutes or out_of_time or step == config.steps:
            save_checkpoint(folder, module, average, optimizer, step, spent + now - started)
            saved = now
        if out_of_time:
            break
    if average is not None:
        module.load_state_dict(average.state_dict())
    return step >= config.steps


@torch.no_grad()
def update_average(average: nn.Module, module: nn.Module, decay: float) -> None:
    """average <- decay * average + (1 - decay) * module, parameter by parameter; buffers are copied."""
    torch._foreach_lerp_(list(average.parameters()), list(module.parameters()), 1 - decay)
    for kept, new in zip(average.buffers(), module.buffers(), strict=True):
        kept.copy_(new)


def save_checkpoint(folder: Path, module, average, optimizer, step: int, spent: float) -> None:
    """Write everything that a resumed run needs, to a new file first so that a cut never leaves half of one."""
    state = {"module": module.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "seconds": spent}
    if average is not None:
        state["average"] = average.state_dict()
    torch.save(state, folder / "checkpoint.pt.new")
    os.replace(folder / "checkpoint.pt.new", folder / "checkpoint.pt")


def load_checkpoint(folder: Path, module, average, optimizer) -> tuple[int, float]:
    """Take up a run where its last complete checkpoint left it; (step, seconds spent).

    A new run, (0, 0), begins with the weights of `START_FILE` where the folder has one.
    """
    path = folder / "checkpoint.pt"
    if not path.exists():
        if (folder / START_FILE).exists():
            start = load_file(folder / START_FILE)
            for each in filter(None, (module, average)):
                if unknown := each.load_state_dict(start, strict=False).unexpected_keys:
                    raise ValueError(f"{folder / START_FILE}: found {unknown[:3]}, which {type(module).__name__} has not")
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    if average is not None:
        average.load_state_dict(state["average"])
    return state["step"], state["seconds"]


def log(folder: Path, record: dict) -> None:
    """Append one line to the run's metrics."""
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({k: round(v, 6) if isinstance(v, float) else v for k, v in record.items()}) + "\n")


def python_random(generator: torch.Generator) -> random.Random:
    """Python's random numbers for a step, seeded by its torch generator."""
    return random.Random(int(torch.randint(2**62, (), generator=generator)))
