"""A `UNet3DConditionModel` that also hears the caption as a whole, as the 2-D class does with `addition_embed_type="text"`.

diffusers' text-to-video UNet reads the caption by cross-attention alone. Here the attention-pooled text states are added
to the time embedding too, which every residual block of every frame hears. Same call, so `TextToVideoSDPipeline` drives
it unchanged, and an image UNet of the 2-D class can be grown into it: names and shapes of the spatial layers are equal.
"""

from __future__ import annotations

from diffusers import UNet3DConditionModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import TextTimeEmbedding, TimestepEmbedding
from torch import Tensor


class TextPooledUNet3D(UNet3DConditionModel):
    """Sample (N, C, T, H, W), time steps (N,), text states (N, L, D) -> prediction (N, C, T, H, W)."""

    @register_to_config
    def __init__(
        self,
        sample_size: int = 8,
        in_channels: int = 4,
        out_channels: int = 4,
        down_block_types: tuple[str, ...] = ("DownBlock3D", "CrossAttnDownBlock3D"),
        up_block_types: tuple[str, ...] = ("CrossAttnUpBlock3D", "UpBlock3D"),
        block_out_channels: tuple[int, ...] = (96, 112),
        layers_per_block: int = 1,
        norm_num_groups: int = 16,
        cross_attention_dim: int = 128,
        attention_head_dim: int = 16,
        addition_embed_type_num_heads: int = 4,
    ):
        shape = dict(self._internal_dict)
        heads = shape.pop("addition_embed_type_num_heads")
        super().__init__(**{name: value for name, value in shape.items() if not name.startswith("_")})
        self.register_to_config(addition_embed_type_num_heads=heads)
        width = 4 * block_out_channels[0]
        self.time_embedding = CaptionedTimestepEmbedding(block_out_channels[0], width)
        self.time_embedding.add_embedding = TextTimeEmbedding(cross_attention_dim, width, num_heads=heads)

    def forward(self, sample: Tensor, timestep: Tensor | float | int, encoder_hidden_states: Tensor, **kwargs):
        """As the parent's, with the text states also in the time embedding."""
        kwargs["timestep_cond"] = encoder_hidden_states
        return super().forward(sample, timestep, encoder_hidden_states, **kwargs)


class CaptionedTimestepEmbedding(TimestepEmbedding):
    """Time embedding plus the pooled text states that are handed in as its condition."""

    def forward(self, sample: Tensor, condition: Tensor | None = None) -> Tensor:
        return super().forward(sample) + self.add_embedding(condition)
