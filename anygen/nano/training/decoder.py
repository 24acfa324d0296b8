"""Teaches the decoder of pictures to read what the denoiser makes: latents that are nearly right, and wrong in its own way.

    picture --encoder--> x --noise of a time--> z_t --denoiser, caption--> estimate of x --decoder--> the picture

A decoder that has only met true latents takes every error of the denoiser for a detail and paints ragged edges. Encoder
and denoiser stay as they are; half of a batch are true latents with noise, as before.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel

from anygen.generators.autoencoder import DetailAutoencoder
from anygen.nano import tokenizer as nano_tokenizer
from anygen.nano.architecture import build_scheduler
from anygen.nano.training.autoencoders import BATCH_SIZE, NOISE, pixels, reconstruction_losses
from anygen.nano.training.caption_encoder import encode_captions
from anygen.nano.training.denoisers import draw_caption
from anygen.nano.training.loop import LoopConfig, fit, python_random
from anygen.nano.training.pools import Pool

LOOP = LoopConfig(steps=1500, learning_rate=6e-4, weight_decay=0.0, ema_decay=0.995, warmup_steps=50)
LATEST_TIME = 500
"""Times below this one of 1,000 are estimated from: later ones tell too little of the very picture."""


def train_decoder(*, pools: dict[str, Pool], work: Path, loop: LoopConfig | None = None, minutes: float | None = None) -> bool:
    """Train the decoder of pictures on; True when its steps are done and `work/decoder-image/export` is written."""
    folder, pool = work / "decoder-image", pools["image"].as_drawn
    autoencoder = DetailAutoencoder.from_pretrained(work / "autoencoder-image" / "export").to(memory_format=torch.channels_last)
    autoencoder.eval().requires_grad_(False)
    for part in (autoencoder.linear_decoder, autoencoder.refiner):
        part.requires_grad_(True)
    unet = UNet2DConditionModel.from_pretrained(work / "denoiser-image" / "export" / "unet").to(memory_format=torch.channels_last)
    text_encoder = CLIPTextModel.from_pretrained(work / "caption-encoder" / "export")
    tokenizer = nano_tokenizer.load(work / "tokenizer")
    alphas, media, shares = build_scheduler().alphas_cumprod, pool.media(work / "pools"), pool.shares

    @torch.no_grad()
    def estimates(x: Tensor, captions: list[str], generator: torch.Generator) -> Tensor:
        """What the denoiser takes latents (N, C, H, W) for when it sees them noisy (v-prediction, Salimans and Ho 2022)."""
        times = torch.randint(LATEST_TIME, (len(x),), generator=generator)
        kept = alphas[times].view(-1, 1, 1, 1)
        noisy = kept**0.5 * x + (1 - kept) ** 0.5 * torch.randn(x.shape, generator=generator)
        velocity = unet(noisy, times, encoder_hidden_states=encode_captions(text_encoder, tokenizer, captions)).sample
        return kept**0.5 * noisy - (1 - kept) ** 0.5 * velocity

    def loss_of_step(generator: torch.Generator) -> dict[str, Tensor]:
        indices = torch.multinomial(shares, BATCH_SIZE, replacement=True, generator=generator).sort().values
        rng = python_random(generator)
        x = pixels(media[indices.numpy()])
        latents = autoencoder.encode(x).latents
        made = torch.rand(len(x), generator=generator) < 0.5
        noisy = latents + NOISE * torch.rand(len(x), 1, 1, 1, generator=generator) * torch.randn(latents.shape, generator=generator)
        noisy[made] = estimates(latents[made], [draw_caption(pool, i, rng) for i in indices[made].tolist()], generator)
        losses = reconstruction_losses(x, autoencoder.decode(noisy).sample)
        return {"loss": losses["l1"] + 2 * losses["l2"] + losses["edges"]} | losses

    done = fit(autoencoder, loss_of_step, loop or LOOP, folder=folder, minutes=minutes)
    if done:
        autoencoder.save_pretrained(folder / "export")
    return done
