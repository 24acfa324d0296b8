"""Media -> scaled latents in the form that the pipeline itself takes and returns them, what the denoiser is trained on.

    pictures (N, 3, H, W), films (N, T, 3, H, W) in [-1, 1]; log-mels (N, 1, T, M); waveforms (N, C, S)
      -> autoencoder -> scaled by its own statistics -> laid out and packed as the pipeline's `prepare_latents` does

The inverse is each pipeline's own last lines; the tests decode by the pipeline what was encoded here.
"""

from __future__ import annotations

import inspect

import torch
from torch import Tensor, nn

from anygen.errors import AnyGenError
from anygen.generators.families import deviation_of


def is_temporal(vae: nn.Module) -> bool:
    """Whether the autoencoder sees films (N, C, T, H, W) rather than pictures."""
    return any(isinstance(part, nn.Conv3d) for part in vae.modules())


def encode_samples(pipeline, samples: Tensor) -> Tensor:
    """What `pixels`, a log-mel or a waveform became -> scaled latents as the pipeline takes them."""
    vae = pipeline.vae
    is_film = samples.ndim == 5
    if is_temporal(vae):
        seen = samples.transpose(1, 2) if is_film else samples[:, :, None]
        latents = scale(vae, _encoded(vae, seen))
    elif is_film:  # an autoencoder of pictures sees the frames one by one
        latents = scale(vae, _encoded(vae, samples.flatten(0, 1))).unflatten(0, samples.shape[:2]).transpose(1, 2)
    else:
        latents = scale(vae, _encoded(vae, samples))
    return lay_out(pipeline, latents)


def scale(vae: nn.Module, latents: Tensor) -> Tensor:
    """Latents to about mean 0 and variance 1, by the numbers that the autoencoder carries: (z - mean) * factor / std."""
    config, buffers = vae.config, dict(vae.named_buffers())
    mean = _per_channel(buffers.get("latents_mean", config.get("latents_mean")), latents)
    std = _per_channel(buffers.get("latents_std", config.get("latents_std")), latents)
    if mean is not None:
        latents = latents - mean
    if config.get("shift_factor"):
        latents = latents - config["shift_factor"]
    if config.get("scaling_factor"):
        latents = latents * config["scaling_factor"]
    return latents / std if std is not None else latents


def lay_out(pipeline, latents: Tensor) -> Tensor:
    """(N, C, ...) in the order of the pipeline, packed into (N, positions, C') where it does so."""
    if deviation_of(pipeline).frames_first:
        latents = latents.transpose(1, 2)
        patch = pipeline.transformer.config.get("patch_size_t")
        missing = -latents.shape[1] % patch if patch else 0
        return torch.cat([latents.new_zeros(len(latents), missing, *latents.shape[2:]), latents], dim=1)
    pack = getattr(pipeline, "_pack_latents", None)
    if pack is None:
        return latents
    if latents.ndim == 5 and "patch_size_t" not in inspect.signature(pack).parameters:
        latents = latents.transpose(1, 2)  # a picture's latents from an autoencoder of films: (N, 1, C, H, W)
    values = {
        "batch_size": len(latents),
        "num_channels_latents": latents.shape[-3],
        "height": latents.shape[-2],
        "width": latents.shape[-1],
        "patch_size": getattr(pipeline, "transformer_spatial_patch_size", 1),
        "patch_size_t": getattr(pipeline, "transformer_temporal_patch_size", 1),
    }
    asked = [name for name in inspect.signature(pack).parameters if name != "latents"]
    unknown = [name for name in asked if name not in values]
    if unknown:
        raise AnyGenError(
            "model_load_error",
            f"{type(pipeline).__name__}._pack_latents asks for {', '.join(unknown)}; expected some of {', '.join(values)}",
        )
    return pack(latents, **{name: values[name] for name in asked})


def _encoded(vae: nn.Module, samples: Tensor) -> Tensor:
    """The likeliest latents, in the autoencoder's own scale."""
    encoded = vae.encode(samples.to(vae.dtype))
    if hasattr(encoded, "latent_dist"):
        return encoded.latent_dist.mode()
    return encoded.latents if hasattr(encoded, "latents") else encoded.latent


def _per_channel(values, latents: Tensor) -> Tensor | None:
    if values is None:
        return None
    return torch.as_tensor(values).to(latents).reshape(1, -1, *[1] * (latents.ndim - 2))
