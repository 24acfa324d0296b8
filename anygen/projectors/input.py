"""Input projectors: encoder tokens float[N, P, D_enc] -> LLM embeddings float[N, K, D_llm] (step 4 of the data flow).

One embedding a token (K = P) in the members of this file; those with K != P say so in `num_tokens`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class InputProjectorConfig:
    """Which input projector; its widths come from the encoder and the LLM."""

    type: str = "linear"
    """A key of `INPUT_PROJECTORS`."""
    num_layers: int = 1
    """Layers of those that are transformers."""
    num_heads: int = 4
    """Attention heads of each such layer."""
    num_queries: int = 32
    """K of those that resample: learned queries of "perceiver" and "qformer"; embeddings of each token of "expand"; room for
    frames of "space_time_pool"."""
    head_dim: int | None = None
    """Width of a head of "perceiver"; None is the encoder's width shared out among the heads."""
    hidden_dim: int | None = None
    """Width of "qformer"; None is the encoder's."""
    vocab_size: int | None = None
    """Words that "qformer" reads instructions in; None is one that reads none."""
    merge: int = 2
    """Tokens that become one: that many in a row of "concat", squares of that side of the others on a grid."""
    grid: tuple[int, int] | None = None
    """Rows and columns of the tokens of one picture, for those on a grid; None is the square of all tokens."""

    def __post_init__(self):
        for name in ("num_layers", "num_heads", "num_queries", "head_dim", "hidden_dim", "vocab_size", "merge"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value}; expected at least 1")


class InputProjector(nn.Module, ABC):
    """Contract of every input projector."""

    @abstractmethod
    def __init__(self, config: InputProjectorConfig, *, in_dim: int, out_dim: int):
        super().__init__()
        self.config = config

    @property
    def reads_instruction(self) -> bool:
        """Whether `forward` takes the instruction's `instruction_ids` and `instruction_mask`, int64[N, T]."""
        return False

    def num_tokens(self, encoder_tokens: int) -> int:
        """K, the number of LLM embeddings that `encoder_tokens` (P) tokens become."""
        return encoder_tokens

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """float[N, P, D_enc] -> float[N, K, D_llm]."""


class LinearProjector(InputProjector):
    """One linear map a token (NExT-GPT, section 3, before its grouping variant; LLaVA's first version)."""

    def __init__(self, config: InputProjectorConfig, *, in_dim: int, out_dim: int):
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.proj = nn.Linear(in_dim, out_dim)

    def forward(self, features: Tensor) -> Tensor:
        return self.proj(features)


class MLPProjector(InputProjector):
    """Two layers with a GELU between (LLaVA 1.5, section 3.2), the inner width that of the LLM."""

    def __init__(self, config: InputProjectorConfig, *, in_dim: int, out_dim: int):
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.proj = nn.Sequential(nn.Linear(in_dim, out_dim), nn.GELU(), nn.Linear(out_dim, out_dim))

    def forward(self, features: Tensor) -> Tensor:
        return self.proj(features)


class TransformerInputProjector(InputProjector):
    """A small transformer over the tokens of one medium, then two layers as in `MLPProjector`.

    For encoders whose tokens come from clips that did not see each other: how a thing moves shows in all of them
    together (the temporal half of Video-LLaMA's video Q-Former, Zhang et al. 2023, without queries of its own). Positions
    are sines and cosines (Vaswani et al. 2017), so any number of tokens will do; layers are as wide as the encoder.
    """

    def __init__(self, config: InputProjectorConfig, *, in_dim: int, out_dim: int):
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        if in_dim % (2 * config.num_heads):
            raise ValueError(f"the encoder's width {in_dim} must be a multiple of twice num_heads={config.num_heads}")
        layer = nn.TransformerEncoderLayer(
            in_dim, config.num_heads, dim_feedforward=4 * in_dim, dropout=0.0, batch_first=True, norm_first=True
        )
        self.reader = nn.TransformerEncoder(
            layer, config.num_layers, norm=nn.LayerNorm(in_dim), enable_nested_tensor=False
        )
        self.proj = nn.Sequential(nn.Linear(in_dim, out_dim), nn.GELU(), nn.Linear(out_dim, out_dim))

    def forward(self, features: Tensor) -> Tensor:
        return self.proj(self.reader(features + token_positions(features.shape[1], features.shape[2]).to(features)))


def token_positions(num_tokens: int, width: int) -> Tensor:
    """float[num_tokens, width]: sines in the first half of the channels, cosines in the second."""
    rates = torch.exp(-math.log(10_000.0) * torch.arange(width // 2) / (width // 2))
    angles = torch.arange(num_tokens)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
