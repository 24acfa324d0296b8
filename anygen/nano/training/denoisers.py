"""Trains nano's three latent diffusion models from scratch, each with its own caption encoder.

    pool of media --autoencoder--> latents (kept in memory)        captions --tokenizer--> text encoder
                                        \\_____ v-prediction loss (Salimans and Ho 2022) _____/

The video denoiser starts from the trained image denoiser: its spatial layers have the same names and shapes, and its
temporal layers begin as the identity, so it only has to learn how things move (as in ModelScope, Wang et al. 2023).
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anygen.generators.diffusion import prediction_target
from anygen.nano.architecture import CAPTION_TOKENS, build_scheduler, build_text_encoder, build_unet
from anygen.nano.training.autoencoders import fit_autoencoder, log_mels, pixels
from anygen.nano.training.loop import LoopConfig, fit, python_random
from anygen.nano.training.pools import Pool
from anygen.nano.world.captions import canonical_caption, caption

LOOPS = {
    "image": LoopConfig(steps=4500, learning_rate=1e-3, ema_decay=0.999, warmup_steps=200),
    "video": LoopConfig(steps=900, learning_rate=6e-4, ema_decay=0.99, warmup_steps=50, log_every=20),
    "audio": LoopConfig(steps=2500, learning_rate=1e-3, ema_decay=0.998, warmup_steps=100),
}
BATCH_SIZES = {"image": 32, "video": 12, "audio": 32}
CAPTION_DROPOUT = 0.1
"""Share of empty captions, for classifier-free guidance (Ho and Salimans 2022)."""
CANONICAL_SHARE = 0.5
"""Share of captions in the one canonical wording, which is what the LLM says of its own pictures."""


def train_denoiser(
    modality: str,
    *,
    pool: Pool,
    autoencoder_pool: Pool,
    tokenizer,
    work: Path,
    loop: LoopConfig | None = None,
    minutes: float | None = None,
) -> bool:
    """Train UNet and caption encoder of a modality; True when done and `work/denoiser-{modality}/export` is written.

    `autoencoder_pool`: what the autoencoder's closed form was or will be computed from ("image" for films too).
    """
    folder = work / f"denoiser-{modality}"
    model = nn.ModuleDict({"text_encoder": build_text_encoder(tokenizer), "unet": build_unet(modality)})
    if modality == "video":
        grow_from_image(model, work / "denoiser-image" / "export")
    model.to(memory_format=torch.channels_last) if modality != "video" else None
    latents = encode_pool(pool, autoencoder_pool, work)
    scheduler = build_scheduler()
    batch_size = BATCH_SIZES[modality]

    def loss_of_step(generator: torch.Generator) -> dict[str, Tensor]:
        indices = torch.randint(pool.count, (batch_size,), generator=generator)
        rng = python_random(generator)
        captions = [draw_caption(pool, index, rng) for index in indices.tolist()]
        states = encode_captions(model["text_encoder"], tokenizer, captions)
        x = latents[indices].float()
        steps = torch.randint(scheduler.config.num_train_timesteps, (batch_size,), generator=generator)
        noise = torch.randn(x.shape, generator=generator)
        prediction = model["unet"](scheduler.add_noise(x, noise, steps), steps, encoder_hidden_states=states).sample
        return {"loss": F.mse_loss(prediction, prediction_target(scheduler, x, noise, steps))}

    done = fit(model, loss_of_step, loop or LOOPS[modality], folder=folder, minutes=minutes)
    if done:
        for name, part in model.items():
            part.save_pretrained(folder / "export" / name)
    return done


def draw_caption(pool: Pool, index: int, rng: random.Random) -> str:
    """A wording of scene `index`; empty for a tenth of the draws."""
    if rng.random() < CAPTION_DROPOUT:
        return ""
    if rng.random() < CANONICAL_SHARE:
        return canonical_caption(pool.scene(index), pool.modality)
    return caption(pool.scene(index), pool.modality, rng)


def encode_captions(text_encoder, tokenizer, captions: list[str]) -> Tensor:
    """Captions (N) -> text states (N, 24, 128), padded as the pipelines do it."""
    tokens = tokenizer(captions, padding="max_length", max_length=CAPTION_TOKENS, truncation=True, return_tensors="pt")
    return text_encoder(tokens.input_ids).last_hidden_state


@torch.no_grad()
def encode_pool(pool: Pool, autoencoder_pool: Pool, work: Path) -> Tensor:
    """Latents of a whole pool in half precision: (count, C, H, W), or (count, C, T, H, W) for films."""
    autoencoder = fit_autoencoder(autoencoder_pool.modality, pool=autoencoder_pool, work=work)
    media = pool.media(work / "pools")
    latents = []
    for start in range(0, pool.count, 256):
        part = media[start : start + 256]
        if pool.modality == "video":
            frames = autoencoder.encode(pixels(part).flatten(0, 1)).latents
            latents.append(frames.unflatten(0, (len(part), -1)).transpose(1, 2).half())
        else:
            samples = log_mels(part) if pool.modality == "audio" else pixels(part)
            latents.append(autoencoder.encode(samples).latents.half())
    return torch.cat(latents)


def grow_from_image(model: nn.ModuleDict, export: Path) -> None:
    """Put the trained image denoiser into the spatial layers of the video denoiser; temporal layers become identity."""
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextModel

    model["text_encoder"].load_state_dict(CLIPTextModel.from_pretrained(export / "text_encoder").state_dict())
    spatial = UNet2DConditionModel.from_pretrained(export / "unet").state_dict()
    left_out = set(spatial) - set(model["unet"].state_dict())
    if left_out:
        raise ValueError(f"the image UNet has layers that the video UNet lacks: {sorted(left_out)[:5]}")
    model["unet"].load_state_dict(spatial, strict=False)
    for name, module in model["unet"].named_modules():
        if type(module).__name__ == "TransformerTemporalModel":
            nn.init.zeros_(module.proj_out.weight)
            nn.init.zeros_(module.proj_out.bias)
        elif isinstance(module, nn.Dropout):
            module.p = 0.0
