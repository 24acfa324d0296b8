"""An autoencoder that works on patches: the cheap way from 64x64 pixels to 8x8 latents, and from mel spectrograms too.

The first levels of an ordinary convolutional autoencoder (Rombach et al. 2022) run at full resolution and cost most.
Here space is folded into channels instead (pixel-unshuffle), and the levels of diffusers' own `Encoder` and `Decoder`
start at 1/patch of the resolution. Stands where `AutoencoderKL` stands in a `StableDiffusionPipeline`.

Shapes: sample (N, in_channels, H, W) in [-1, 1] <-> latents (N, latent_channels, H/f, W/f), f = 2**(levels - 1).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import Decoder, DecoderOutput, DiagonalGaussianDistribution, Encoder
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn


class PatchAutoencoderKL(ModelMixin, ConfigMixin):
    """A KL autoencoder whose first log2(patch_size) levels are a pixel-unshuffle without parameters.

    `block_out_channels` has one entry a level, the folded ones included, so that `2 ** (len(block_out_channels) - 1)`
    is the downsampling factor, as diffusers' pipelines compute it; the folded levels' entries are not used.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        in_channels: int = 3,
        latent_channels: int = 8,
        block_out_channels: tuple[int, ...] = (64, 64, 64, 128),
        patch_size: int = 4,
        layers_per_block: int = 1,
        norm_num_groups: int = 16,
        scaling_factor: float = 1.0,
    ):
        super().__init__()
        folded = patch_size.bit_length() - 1
        levels = tuple(block_out_channels)[folded:]
        if patch_size != 2**folded or not levels:
            raise ValueError(
                f"patch_size={patch_size} must be a power of two that leaves a level of "
                f"block_out_channels={tuple(block_out_channels)}"
            )
        shared = dict(block_out_channels=levels, layers_per_block=layers_per_block, norm_num_groups=norm_num_groups)
        channels = in_channels * patch_size**2
        self.encoder = Encoder(
            in_channels=channels,
            out_channels=latent_channels,
            down_block_types=("DownEncoderBlock2D",) * len(levels),
            mid_block_add_attention=False,
            **shared,
        )
        self.decoder = Decoder(
            in_channels=latent_channels,
            out_channels=channels,
            up_block_types=("UpDecoderBlock2D",) * len(levels),
            mid_block_add_attention=False,
            **shared,
        )
        self.quant_conv = nn.Conv2d(2 * latent_channels, 2 * latent_channels, 1)
        self.post_quant_conv = nn.Conv2d(latent_channels, latent_channels, 1)

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple:
        """Sample (N, in_channels, H, W) -> distribution over latents (N, latent_channels, H/f, W/f)."""
        moments = self.quant_conv(self.encoder(F.pixel_unshuffle(x, self.config.patch_size)))
        posterior = DiagonalGaussianDistribution(moments)
        return AutoencoderKLOutput(latent_dist=posterior) if return_dict else (posterior,)

    def decode(self, z: Tensor, return_dict: bool = True, generator=None) -> DecoderOutput | tuple:
        """Latents (N, latent_channels, H/f, W/f) -> sample (N, in_channels, H, W). `generator` is not used."""
        sample = F.pixel_shuffle(self.decoder(self.post_quant_conv(z)), self.config.patch_size)
        return DecoderOutput(sample=sample) if return_dict else (sample,)

    @torch.no_grad()
    def whiten(self, mean: Tensor, std: Tensor) -> None:
        """Fold a standardisation of the latents into the 1x1 convolutions: what the encoder gives afterwards has
        mean 0 and deviation 1 a channel over the data that `mean` and `std` (latent_channels,) were measured on."""
        channels = self.config.latent_channels
        log_std = torch.log(std)
        self.quant_conv.weight[:channels] /= std[:, None, None, None]
        self.quant_conv.bias[:channels] = (self.quant_conv.bias[:channels] - mean) / std
        self.quant_conv.bias[channels:] -= 2 * log_std
        weight = self.post_quant_conv.weight[:, :, 0, 0]
        self.post_quant_conv.bias += weight @ mean
        self.post_quant_conv.weight *= std[None, :, None, None]
