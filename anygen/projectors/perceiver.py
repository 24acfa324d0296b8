"""The perceiver resampler as an input projector: any number of encoder tokens -> a fixed number of LLM embeddings.

Step 4 of the data flow, float[N, P, D_enc] -> float[N, K, D_llm], K = `num_queries` (Alayrac et al. 2022, Flamingo, section
3.1.1). The resampler has the module names of OpenFlamingo's checkpoints.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anygen.projectors.input import InputProjector, InputProjectorConfig


class PerceiverProjector(InputProjector):
    """Learned latents read the tokens in `num_layers` rounds, as wide as the encoder, then one linear map to the LLM.

    Flamingo's size is num_queries=64, num_layers=6, num_heads=8, head_dim=64. Flamingo itself has no linear map at the end:
    there, cross attention inside the LLM takes the latents at the encoder's width.
    """

    def __init__(self, config: InputProjectorConfig, *, in_dim: int, out_dim: int):
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.resampler = PerceiverResampler(config, dim=in_dim)
        self.proj = nn.Linear(in_dim, out_dim)

    def num_tokens(self, encoder_tokens: int) -> int:
        return self.config.num_queries

    def forward(self, features: Tensor) -> Tensor:
        return self.proj(self.resampler(features))


class PerceiverResampler(nn.Module):
    """Latents after `num_layers` rounds of attention to tokens and latents, and a feed-forward network: -> (N, K, dim)."""

    def __init__(self, config: InputProjectorConfig, *, dim: int):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(config.num_queries, dim))
        self.layers = nn.ModuleList(
            nn.ModuleList([PerceiverAttention(config, dim=dim), feed_forward(dim)]) for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, features: Tensor) -> Tensor:
        latents = self.latents.expand(len(features), -1, -1)
        for attention, feed in self.layers:
            latents = latents + attention(features, latents)
            latents = latents + feed(latents)
        return self.norm(latents)


class PerceiverAttention(nn.Module):
    """Latents attend to the tokens and to themselves: float[N, P, dim], float[N, K, dim] -> float[N, K, dim]."""

    def __init__(self, config: InputProjectorConfig, *, dim: int):
        super().__init__()
        self.num_heads = config.num_heads
        inner = config.num_heads * (config.head_dim or dim // config.num_heads)
        self.norm_media, self.norm_latents = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_kv = nn.Linear(dim, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, dim, bias=False)

    def forward(self, features: Tensor, latents: Tensor) -> Tensor:
        latents = self.norm_latents(latents)
        key, value = self.to_kv(torch.cat([self.norm_media(features), latents], dim=1)).chunk(2, dim=-1)
        heads = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in (self.to_q(latents), key, value))
        return self.to_out(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))


def feed_forward(dim: int) -> nn.Sequential:
    """LayerNorm, to four widths, GELU, back; no biases in the linear maps."""
    return nn.Sequential(
        nn.LayerNorm(dim), nn.Linear(dim, 4 * dim, bias=False), nn.GELU(), nn.Linear(4 * dim, dim, bias=False)
    )
