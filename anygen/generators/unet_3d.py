"""A `UNet3DConditionModel` that also hears the caption as a whole, as the 2-D class does with `addition_embed_type="text"`.

diffusers' text-to-video UNet reads the caption by cross-attention alone. Here the attention-pooled text states are added
to the time embedding too, which every residual block of every frame hears. Same call, so `TextToVideoSDPipeline` drives
it unchanged, and an image UNet of the 2-D class can be grown into it: names and shapes of the spatial layers are equal.
"""

from __future__ import annotations

import functools

from diffusers import UNet3DConditionModel
from diffusers.models.embeddings import TextTimeEmbedding, TimestepEmbedding
from torch import Tensor

POOLING_HEADS = 4
"""Heads of the attention that pools the text states."""


class TextPooledUNet3D(UNet3DConditionModel):
    """Sample (N, C, T, H, W), time steps (N,), text states (N, L, D) -> prediction (N, C, T, H, W)."""

    @functools.wraps(UNet3DConditionModel.__init__)  # the same signature, which diffusers reads configurations by
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        channels = self.config.block_out_channels[0]
        self.time_embedding = CaptionedTimestepEmbedding(channels, 4 * channels)
        self.time_embedding.add_embedding = TextTimeEmbedding(
            self.config.cross_attention_dim, 4 * channels, num_heads=POOLING_HEADS
        )

    def forward(self, sample: Tensor, timestep: Tensor | float | int, encoder_hidden_states: Tensor, **kwargs):
        """As the parent's, with the text states also in the time embedding."""
        kwargs["timestep_cond"] = encoder_hidden_states
        return super().forward(sample, timestep, encoder_hidden_states, **kwargs)


class CaptionedTimestepEmbedding(TimestepEmbedding):
    """Time embedding plus the pooled text states that are handed in as its condition."""

    def forward(self, sample: Tensor, condition: Tensor | None = None) -> Tensor:
        return super().forward(sample) + self.add_embedding(condition)
