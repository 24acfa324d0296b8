"""Makes the three autoencoders of nano: pictures, the frames of films, and log-mel spectrograms.

The linear parts have a closed form and are exported at once, so that the denoisers of films and sounds can start on final
latents; then the decoder's refiner is trained, in small batches: a picture holds many patches, and many small steps
sharpen sooner. Pictures begin with the linear parts of frames, which are as large as half a picture, and their network
for details is trained with the refiner; so their denoiser waits. A start (`linear`) that is trained already is gone on with.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anygen.generators.autoencoder import DetailAutoencoder, PatchAutoencoder
from anygen.nano.architecture import build_autoencoder
from anygen.nano.training.loop import LoopConfig, fit
from anygen.nano.training.pools import Pool

LOOPS = {
    "image": LoopConfig(steps=3000, learning_rate=2e-3, weight_decay=0.0, ema_decay=0.998, warmup_steps=200),
    "video": LoopConfig(steps=2500, learning_rate=1e-3, weight_decay=0.0, ema_decay=0.998, warmup_steps=200),
    "audio": LoopConfig(steps=1000, learning_rate=1e-3, weight_decay=0.0, ema_decay=0.998, warmup_steps=200),
}
BATCH_SIZE = 16
NOISE = 0.25
"""Largest deviation of the noise on the latents that the refiner learns to see through: those that a denoiser makes are
never quite right, and a decoder that trusts them paints their faults."""
FIT_SAMPLES = 4000
"""Samples that the closed form is computed from."""

SampleSource = Callable[[Tensor], Tensor]
"""indices (N,) -> what the autoencoder sees: pixels (N, 3, H, W) or log-mels (N, 1, 128, 64), about [-1, 1]."""


def fit_autoencoder(modality: str, *, pools: dict[str, Pool], work: Path) -> PatchAutoencoder | DetailAutoencoder:
    """The autoencoder of a modality with its linear parts in closed form; kept in `work`, made on first use."""
    folder = work / f"autoencoder-{modality}" / "linear"
    if not folder.exists():
        autoencoder = build_autoencoder(modality)
        if isinstance(autoencoder, DetailAutoencoder):
            autoencoder.set_coarse(fit_autoencoder("video", pools=pools, work=work))
        else:
            pool = seen_pool(modality, pools)
            autoencoder.fit_linear(sample_source(pool, work)(torch.arange(min(FIT_SAMPLES, pool.count))))
        autoencoder.save_pretrained(folder)
    return type(build_autoencoder(modality)).from_pretrained(folder)


def seen_pool(modality: str, pools: dict[str, Pool]) -> Pool:
    """What the autoencoder of a modality learns from: that of films from still pictures of their size."""
    return pools["image"].as_drawn if modality == "image" else pools["image" if modality == "video" else modality]


def train_autoencoder(
    modality: str, *, pools: dict[str, Pool], work: Path, loop: LoopConfig | None = None, minutes: float | None = None
) -> bool:
    """Train all but the linear encoder; True when the steps are done and `work/autoencoder-{modality}/export` is written."""
    folder = work / f"autoencoder-{modality}"
    pool = seen_pool(modality, pools)
    autoencoder = fit_autoencoder(modality, pools=pools, work=work).to(memory_format=torch.channels_last).train()
    autoencoder.encoder.requires_grad_(False)
    samples, shares = sample_source(pool, work), pool.shares

    def loss_of_step(generator: torch.Generator) -> dict[str, Tensor]:
        x = samples(torch.multinomial(shares, BATCH_SIZE, replacement=True, generator=generator))
        if modality != "audio" and torch.rand((), generator=generator) < 0.5:
            x = x.flip(-1)
        latents = autoencoder.encode(x).latents
        strength = NOISE * torch.rand(len(x), 1, 1, 1, generator=generator)
        latents = latents + strength * torch.randn(latents.shape, generator=generator)
        losses = reconstruction_losses(x, autoencoder.decode(latents).sample)
        return {"loss": losses["l1"] + 2 * losses["l2"] + losses["edges"]} | losses

    done = fit(autoencoder, loss_of_step, loop or LOOPS[modality], folder=folder, minutes=minutes)
    if done:
        autoencoder.eval().save_pretrained(folder / "export")
    return done


def reconstruction_losses(x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Absolute and squared error, and the absolute error of neighbouring differences, which keeps edges sharp."""
    rows, columns = (x - y).diff(dim=-2), (x - y).diff(dim=-1)
    return {"l1": (x - y).abs().mean(), "l2": F.mse_loss(y, x), "edges": rows.abs().mean() + columns.abs().mean()}


def sample_source(pool: Pool, work: Path) -> SampleSource:
    """How to get at the samples of a pool of pictures or sounds."""
    media = pool.media(work / "pools")
    if pool.modality == "audio":
        spectrograms = log_mels(media)
        return lambda indices: spectrograms[indices]
    return lambda indices: pixels(media[np.sort(indices.numpy())])


@torch.no_grad()
def log_mels(media: np.ndarray) -> Tensor:
    """int16 samples (N, S) -> log-mel spectrograms (N, 1, 128, 64)."""
    from anygen.generators.mel import MelConfig, mel_spectrogram

    parts = np.array_split(media, max(1, len(media) // 256))
    return torch.cat([mel_spectrogram(torch.from_numpy(part / np.float32(32767)), MelConfig()) for part in parts])[:, None]


def pixels(images: np.ndarray) -> Tensor:
    """uint8 (..., H, W, 3) -> float (..., 3, H, W) in [-1, 1], as the pipelines of diffusers scale them."""
    return torch.from_numpy(np.array(images)).movedim(-1, -3).float() / 127.5 - 1
