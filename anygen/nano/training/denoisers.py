"""Trains nano's three latent diffusion models from scratch.

    pool of media --autoencoder--> latents (kept in memory)        captions --frozen caption encoder--> text states
                                        \\_____ v-prediction loss (Salimans and Ho 2022) _____/

The video denoiser starts from the trained image denoiser: its spatial layers have the same names and shapes, and its
temporal layers begin as the identity, so it only has to learn how things move (as in ModelScope, Wang et al. 2023).
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPTextModel

from anygen.generators.autoencoder import DetailAutoencoder
from anygen.generators.noise_schedule import draw_noise
from anygen.nano import tokenizer as nano_tokenizer
from anygen.nano.architecture import build_scheduler, build_unet
from anygen.nano.training.autoencoders import fit_autoencoder, log_mels, pixels
from anygen.nano.training.caption_encoder import encode_captions, say
from anygen.nano.training.loop import LoopConfig, fit, python_random
from anygen.nano.training.pools import Pool

LOOPS = {
    "image": LoopConfig(steps=20000, learning_rate=1e-3, ema_decay=0.999, warmup_steps=200),
    "video": LoopConfig(steps=4000, learning_rate=6e-4, ema_decay=0.995, warmup_steps=50, log_every=20),
    "audio": LoopConfig(steps=6800, learning_rate=1e-3, ema_decay=0.998, warmup_steps=100),
}
BATCH_SIZES = {"image": 32, "video": 16, "audio": 32}
"""16 films: on one thread torch falls back to slow 3-D convolutions for smaller batches."""
CAPTION_DROPOUT = 0.1
"""Share of empty captions, for classifier-free guidance (Ho and Salimans 2022)."""
FOREGROUND = 3.0
"""How much more a latent position counts where something stands out from the background."""
MOVING = 3.0
"""How much more again where it is not the same in all frames."""


def train_denoiser(
    modality: str, *, pools: dict[str, Pool], work: Path, loop: LoopConfig | None = None, minutes: float | None = None
) -> bool:
    """Train the UNet of a modality; True when done and `work/denoiser-{modality}/export` is written."""
    folder = work / f"denoiser-{modality}"
    torch.manual_seed(0)
    tokenizer = nano_tokenizer.load(work / "tokenizer")
    text_encoder = CLIPTextModel.from_pretrained(work / "caption-encoder" / "export").requires_grad_(False)
    unet = build_unet(modality)
    if modality == "video":
        grow_from_image(unet, work / "denoiser-image" / "export")
    else:
        unet.to(memory_format=torch.channels_last)
    pool, latents = pools[modality], encode_pool(modality, pools, work)
    scheduler = build_scheduler()
    batch_size = BATCH_SIZES[modality]
    shares = pool.shares

    def loss_of_step(generator: torch.Generator) -> dict[str, Tensor]:
        indices = torch.multinomial(shares, batch_size, replacement=True, generator=generator)
        rng = python_random(generator)
        states = encode_captions(text_encoder, tokenizer, [draw_caption(pool, index, rng) for index in indices.tolist()])
        x = latents[indices].float()
        drawn = draw_noise(scheduler, x, generator=generator)
        errors = (unet(drawn.noisy, drawn.timesteps, encoder_hidden_states=states).sample - drawn.target).pow(2)
        return {"loss": (errors * foreground_weights(x)).mean(), "plain": errors.mean()}

    done = fit(unet, loss_of_step, loop or LOOPS[modality], folder=folder, minutes=minutes)
    if done:
        unet.save_pretrained(folder / "export" / "unet")
    return done


def foreground_weights(x: Tensor) -> Tensor:
    """Latents (N, C, ...) -> weights (N, 1, ...) of mean 1: larger where a position is unlike the item's median.

    A thing covers a tenth of a picture, and without this its share of the loss is as small. In films (N, C, T, H, W) those
    positions count more again that change in time: by them alone a thing that grows differs from one that stays.
    """
    median = x.flatten(2).median(dim=2).values.view(*x.shape[:2], *[1] * (x.ndim - 2))
    distance = (x - median).pow(2).mean(dim=1, keepdim=True)
    weights = 1 + FOREGROUND * distance / (distance + 0.5)
    if x.ndim == 5:
        change = (x - x.mean(dim=2, keepdim=True)).pow(2).mean(dim=1, keepdim=True)
        weights = weights + MOVING * change / (change + 0.25)
    return weights / weights.mean(dim=tuple(range(1, x.ndim)), keepdim=True)


def draw_caption(pool: Pool, index: int, rng: random.Random) -> str:
    """A wording of scene `index`; empty for a tenth of the draws."""
    return "" if rng.random() < CAPTION_DROPOUT else say(pool.scene(index), pool.modality, rng)


@torch.no_grad()
def encode_pool(modality: str, pools: dict[str, Pool], work: Path) -> Tensor:
    """Latents of the pool of a modality in half precision: (count, C, H, W), or (count, C, T, H, W) for films."""
    if modality == "image":  # their details are learnt
        autoencoder = DetailAutoencoder.from_pretrained(work / "autoencoder-image" / "export")
    else:
        autoencoder = fit_autoencoder(modality, pools=pools, work=work)
    pool = pools[modality].as_drawn
    media = pool.media(work / "pools")
    latents = []
    for start in range(0, pool.count, 256):
        part = media[start : start + 256]
        if modality == "video":
            frames = autoencoder.encode(pixels(part).flatten(0, 1)).latents
            latents.append(frames.unflatten(0, (len(part), -1)).transpose(1, 2).half())
        else:
            samples = log_mels(part) if modality == "audio" else pixels(part)
            latents.append(autoencoder.encode(samples).latents.half())
    return torch.cat(latents)


def grow_from_image(unet: nn.Module, export: Path) -> None:
    """Put the trained image UNet into the spatial layers of the video UNet; temporal layers become the identity.

    Of the image's latents films have the first channels, the coarse ones.
    """
    from diffusers import UNet2DConditionModel

    image = UNet2DConditionModel.from_pretrained(export / "unet").state_dict()
    spatial = {name.replace("add_embedding.", "time_embedding.add_embedding."): tensor for name, tensor in image.items()}
    left_out = set(spatial) - set(unet.state_dict())
    if left_out:
        raise ValueError(f"the image UNet has layers that the video UNet lacks: {sorted(left_out)[:5]}")
    coarse = unet.config.in_channels
    spatial["conv_in.weight"] = spatial["conv_in.weight"][:, :coarse]
    spatial |= {f"conv_out.{name}": spatial[f"conv_out.{name}"][:coarse] for name in ("weight", "bias")}
    unet.load_state_dict(spatial, strict=False)
    for module in unet.modules():
        if type(module).__name__ == "TransformerTemporalModel":
            nn.init.zeros_(module.proj_out.weight)
            nn.init.zeros_(module.proj_out.bias)
        elif isinstance(module, nn.Dropout):
            module.p = 0.0
