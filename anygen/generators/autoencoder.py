"""Autoencoders that cost little to train: principal components in, a small network out.

A patch of 8x8 pixels (or mel bins) is encoded by its first principal components, a linear map with a closed form. They
are scaled by the root of their deviation, so that coarse components keep a larger share of the variance and a diffusion
model resolves them first, as it does with the frequencies of an image. The decoder is the closed-form linear map from a
3x3 neighbourhood of latents, refined by a convolutional network that is trained. Latents exist before any training,
so denoiser and decoder can learn side by side. `PatchAutoencoder` is all of that; `DetailAutoencoder` encodes a picture
twice as large to as many positions, and has channels beside the components for what those lose: the craters by which a
moon is no circle. Both stand where `AutoencoderTiny` stands in a `StableDiffusionPipeline`.

    PatchAutoencoder    sample (N, in_channels, H, W) in [-1, 1] <-> latents (N, latent_channels, H/8, W/8)
    DetailAutoencoder   sample (N, in_channels, H, W) in [-1, 1] <-> latents (N, latent_channels, H/16, W/16)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTinyOutput
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

PATCH = 8
FOLD = 4
"""Side of the squares of pixels that are folded into channels before a picture's details are encoded."""
RIDGE = 10.0
"""Added to the diagonal of the normal equations of the linear decoder, for the components that hardly vary."""


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """Principal components of 8x8 patches with a refined decoder.

    `block_out_channels` has one entry a level from full to 1/8 resolution, so that `2 ** (len - 1)` is the
    downsampling factor as diffusers' pipelines compute it; the decoder works on the last two levels only and folds the
    others into channels (pixel-shuffle).
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        in_channels: int = 3,
        latent_channels: int = 20,
        block_out_channels: tuple[int, int, int, int] = (64, 64, 64, 128),
        num_blocks: int = 2,
        scaling_factor: float = 1.0,
    ):
        super().__init__()
        if len(block_out_channels) != 4:
            raise ValueError(f"block_out_channels={block_out_channels}: expected four levels, full to 1/8 resolution")
        fine, coarse = block_out_channels[2:]
        self.encoder = nn.Conv2d(in_channels, latent_channels, PATCH, stride=PATCH)
        self.linear_decoder = nn.Conv2d(latent_channels, in_channels * PATCH**2, 3, padding=1, padding_mode="replicate")
        self.refiner = nn.Sequential(
            nn.Conv2d(latent_channels, coarse, 3, padding=1),
            *(ResidualBlock(coarse) for _ in range(num_blocks)),
            nn.Conv2d(coarse, 4 * fine, 3, padding=1),
            nn.PixelShuffle(2),
            *(ResidualBlock(fine) for _ in range(num_blocks + 1)),
            nn.SiLU(),
            nn.Conv2d(fine, in_channels * (PATCH // 2) ** 2, 3, padding=1),
            nn.PixelShuffle(PATCH // 2),
        )
        nn.init.zeros_(self.refiner[-2].weight)
        nn.init.zeros_(self.refiner[-2].bias)

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderTinyOutput | tuple:
        """Sample (N, in_channels, H, W) -> latents (N, latent_channels, H/8, W/8); deterministic."""
        latents = self.encoder(x)
        return AutoencoderTinyOutput(latents=latents) if return_dict else (latents,)

    def decode(self, z: Tensor, return_dict: bool = True, generator=None) -> DecoderOutput | tuple:
        """Latents (N, latent_channels, H/8, W/8) -> sample (N, in_channels, H, W). `generator` is not used."""
        sample = F.pixel_shuffle(self.linear_decoder(z), PATCH) + self.refiner(z)
        return DecoderOutput(sample=sample) if return_dict else (sample,)

    @torch.no_grad()
    def fit_linear(self, samples: Tensor) -> None:
        """Set encoder and linear decoder in closed form from samples (N, in_channels, H, W).

        The latents get variance 1 on average over channels, each channel's share being the root of its eigenvalue.
        """
        channels, latent_channels = self.config.in_channels, self.config.latent_channels
        patches = F.pixel_unshuffle(samples, PATCH).double()
        rows = patches.movedim(1, -1).flatten(0, -2)
        mean = rows.mean(0)
        values, vectors = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
        values, basis = values.flip(0)[:latent_channels], vectors.flip(1)[:, :latent_channels]
        scale = values.pow(-0.25) / values.sqrt().mean().sqrt()
        weight = (basis * scale).T
        self.encoder.weight.copy_(weight.view(latent_channels, channels, PATCH, PATCH))
        self.encoder.bias.copy_(-weight @ mean)
        latents = F.pad(self.encoder(samples), (1, 1, 1, 1), mode="replicate")
        around = F.unfold(latents, 3).movedim(1, -1).flatten(0, -2).double()
        around = torch.cat([around, torch.ones(len(around), 1, dtype=torch.float64)], dim=1)
        normal = around.T @ around + RIDGE * torch.eye(around.shape[1], dtype=torch.float64)
        solution = torch.linalg.solve(normal, around.T @ rows)
        self.linear_decoder.weight.copy_(solution[:-1].T.view(-1, latent_channels, 3, 3))
        self.linear_decoder.bias.copy_(solution[-1])


class DetailAutoencoder(ModelMixin, ConfigMixin):
    """Principal components of the picture at half its size, and learnt channels for the details that they lose.

    Latents are the `coarse_channels` that a `PatchAutoencoder` makes of the halved picture (fixed: `set_coarse`), then
    the outputs of a convolutional network, each of mean 0 and variance 1 over the training data (a batch normalisation
    without gains). So a denoiser of the coarse channels alone is a start for one of all of them, and the first channels
    of these latents are latents of films of half the size.

    `block_out_channels` has one entry a level from full to 1/16 resolution, as diffusers' pipelines count them; the
    networks work on the last three levels and fold the others into channels.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        in_channels: int = 3,
        latent_channels: int = 32,
        coarse_channels: int = 20,
        block_out_channels: tuple[int, int, int, int, int] = (40, 40, 40, 64, 128),
        num_blocks: int = 2,
        scaling_factor: float = 1.0,
    ):
        super().__init__()
        if len(block_out_channels) != 5:
            raise ValueError(f"block_out_channels={block_out_channels}: expected five levels, full to 1/16 resolution")
        if not 0 < coarse_channels < latent_channels:
            raise ValueError(f"coarse_channels={coarse_channels}: expected at least 1 and fewer than {latent_channels=}")
        fine, middle, coarse = block_out_channels[2:]
        folded = in_channels * FOLD**2
        self.encoder = nn.Conv2d(in_channels, coarse_channels, PATCH, stride=PATCH)
        self.detail_encoder = nn.Sequential(
            nn.PixelUnshuffle(FOLD),
            nn.Conv2d(folded, fine, 3, padding=1),
            ResidualBlock(fine),
            nn.Conv2d(fine, middle, 3, stride=2, padding=1),
            ResidualBlock(middle),
            nn.Conv2d(middle, coarse, 3, stride=2, padding=1),
            ResidualBlock(coarse),
            nn.SiLU(),
            nn.Conv2d(coarse, latent_channels - coarse_channels, 1),
            nn.BatchNorm2d(latent_channels - coarse_channels, affine=False, momentum=0.02),
        )
        self.linear_decoder = nn.Conv2d(coarse_channels, in_channels * PATCH**2, 3, padding=1, padding_mode="replicate")
        self.refiner = nn.Sequential(
            nn.Conv2d(latent_channels, coarse, 3, padding=1),
            *(ResidualBlock(coarse) for _ in range(num_blocks)),
            nn.Conv2d(coarse, 4 * middle, 3, padding=1),
            nn.PixelShuffle(2),
            *(ResidualBlock(middle) for _ in range(num_blocks + 1)),
            nn.Conv2d(middle, 4 * fine, 3, padding=1),
            nn.PixelShuffle(2),
            *(ResidualBlock(fine) for _ in range(num_blocks + 1)),
            nn.SiLU(),
            nn.Conv2d(fine, folded, 3, padding=1),
            nn.PixelShuffle(FOLD),
        )
        nn.init.zeros_(self.refiner[-2].weight)
        nn.init.zeros_(self.refiner[-2].bias)

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderTinyOutput | tuple:
        """Sample (N, in_channels, H, W) -> latents (N, latent_channels, H/16, W/16), coarse channels first; deterministic."""
        latents = torch.cat([self.encoder(F.avg_pool2d(x, 2)), self.detail_encoder(x)], dim=1)
        return AutoencoderTinyOutput(latents=latents) if return_dict else (latents,)

    def decode(self, z: Tensor, return_dict: bool = True, generator=None) -> DecoderOutput | tuple:
        """Latents (N, latent_channels, H/16, W/16) -> sample (N, in_channels, H, W). `generator` is not used."""
        halved = F.pixel_shuffle(self.linear_decoder(z[:, : self.config.coarse_channels]), PATCH)
        sample = F.interpolate(halved, scale_factor=2, mode="bilinear", align_corners=False) + self.refiner(z)
        return DecoderOutput(sample=sample) if return_dict else (sample,)

    @torch.no_grad()
    def set_coarse(self, halved: PatchAutoencoder) -> None:
        """Take the linear parts of the autoencoder of pictures of half the size; it must have as many channels."""
        self.encoder.load_state_dict(halved.encoder.state_dict())
        self.linear_decoder.load_state_dict(halved.linear_decoder.state_dict())


class ResidualBlock(nn.Module):
    """x + conv(silu(conv(silu(x)))), (N, C, H, W) -> the same; no normalisation, as in TAESD."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.normal_(self.second.weight, std=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.silu(self.first(F.silu(x))))
