"""How a generator was trained to denoise: noisy latents z_t for a time t, and what the denoiser has to predict of them.

    latents x (N, C, ...), noise n, t (N,) -> z_t and the target of the denoising loss (survey eq. 5)

Read from the pipeline's scheduler, which samples by one method and was configured for one training:

    epsilon, v_prediction, sample   z_t = sqrt(a_t) x + sqrt(1 - a_t) n        a_t = scheduler.alphas_cumprod[t]
    flow                            z_t = (1 - s) x + s n, target n - x        t = s * num_train_timesteps
    preconditioned                  z_t = c_in (x + s n), target (x - c_skip (x + s n)) / c_out
                                    with the scheduler's own c (Karras et al. 2022, arXiv:2206.00364, table 1)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from anygen.errors import AnyGenError


@dataclass(frozen=True, kw_only=True)
class NoiseSchedule:
    """What one denoising loss is computed with, for N items."""

    timesteps: Tensor
    """(N,), as the denoiser takes them."""
    sigmas: Tensor
    """(N,), the share of noise in z_t, for pipelines that look it up."""
    noisy: Tensor
    """z_t (N, C, ...)"""
    target: Tensor
    """(N, C, ...)"""


def schedule_kind(scheduler) -> str:
    """"flow", "preconditioned", "epsilon", "v_prediction" or "sample".

    Raises AnyGenError("model_load_error") for a scheduler of no known training.
    """
    config, name = scheduler.config, type(scheduler).__name__
    if name.startswith("FlowMatch") or config.get("prediction_type") == "flow_prediction" or config.get("use_flow_sigmas"):
        return "flow"
    if all(hasattr(scheduler, method) for method in ("precondition_inputs", "precondition_noise", "precondition_outputs")):
        return "preconditioned"
    if hasattr(scheduler, "alphas_cumprod") and config.prediction_type in ("epsilon", "v_prediction", "sample"):
        return config.prediction_type
    raise AnyGenError(
        "model_load_error",
        f"found the scheduler {name} with prediction_type={config.get('prediction_type')!r}; expected a FlowMatch"
        " scheduler, an EDM scheduler, or one with alphas_cumprod that predicts epsilon, v_prediction or sample: without"
        " that there is no denoising loss",
    )


def draw_noise(scheduler, latents: Tensor, *, generator: torch.Generator) -> NoiseSchedule:
    """Times and noise drawn from `generator`, uniformly over the training's times, the noise after them."""
    kind, size = schedule_kind(scheduler), len(latents)
    if kind == "preconditioned":
        angles = torch.rand(size, generator=generator).to(latents.device) * math.pi / 2
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        return _preconditioned(scheduler, latents, noise, angles)
    steps = torch.randint(scheduler.config.num_train_timesteps, (size,), generator=generator).to(latents.device)
    noise = torch.randn(latents.shape, generator=generator).to(latents)
    if kind == "flow":
        sigmas = flow_sigmas(scheduler, steps)
        share = _like(sigmas, latents)
        noisy, target = (1 - share) * latents + share * noise, noise - latents
        timesteps = sigmas * scheduler.config.num_train_timesteps
    else:
        alphas = scheduler.alphas_cumprod.to(latents.device)[steps]
        kept = _like(alphas, latents)
        noisy = kept**0.5 * latents + (1 - kept) ** 0.5 * noise
        target = prediction_target(scheduler, latents, noise, steps)
        timesteps, sigmas = steps, (1 - alphas) ** 0.5
    return NoiseSchedule(timesteps=timesteps, sigmas=sigmas, noisy=noisy, target=target)


def _preconditioned(scheduler, latents: Tensor, noise: Tensor, angles: Tensor) -> NoiseSchedule:
    """Times uniform in the angle between signal and noise, within the scheduler's range of sigmas."""
    config = scheduler.config
    sigmas = (config.sigma_data * angles.tan()).clamp(config.sigma_min, config.sigma_max)
    sigma = _like(sigmas, latents)
    sample = latents + sigma * noise
    one, zero = torch.ones_like(sigma), torch.zeros_like(sigma)
    skipped = scheduler.precondition_outputs(one, zero, sigma)  # linear in both, so these are c_skip and c_out
    scaled = scheduler.precondition_outputs(zero, one, sigma)
    return NoiseSchedule(
        timesteps=scheduler.precondition_noise(sigmas),
        sigmas=sigmas,
        noisy=scheduler.precondition_inputs(sample, sigma),
        target=(latents - skipped * sample) / scaled,
    )


def flow_sigmas(scheduler, steps: Tensor) -> Tensor:
    """Whole steps (N,) -> share of noise (N,), moved by the scheduler's own fixed shift where it has one.

    s' = shift * s / (1 + (shift - 1) * s) (Esser et al. 2024, arXiv:2403.03206, eq. 23). A shift that depends on the
    picture's size is part of sampling, not of training, and is left out.
    """
    config = scheduler.config
    shift = 1.0 if config.get("use_dynamic_shifting") else config.get("shift", config.get("flow_shift")) or 1.0
    share = (steps + 1) / config.num_train_timesteps
    return shift * share / (1 + (shift - 1) * share)


def prediction_target(scheduler, latents: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
    """What the denoiser has to predict, by the scheduler's `prediction_type` (never noise by default)."""
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        kept = _like(scheduler.alphas_cumprod.to(latents.device)[steps], latents)
        return kept**0.5 * noise - (1 - kept) ** 0.5 * latents
    if kind == "sample":
        return latents
    raise ValueError(f"prediction_type={kind!r} of {type(scheduler).__name__}; expected epsilon, v_prediction or sample")


def _like(values: Tensor, latents: Tensor) -> Tensor:
    """(N,) as (N, 1, ...) of the latents' type."""
    return values.to(latents).reshape(-1, *[1] * (latents.ndim - 1))
