"""Input projectors: encoder tokens float[N, P, D_enc] -> LLM embeddings float[N, K, D_llm] (step 4 of the data flow).

One embedding a token (K = P) in the members so far; resamplers with K != P say so in `num_tokens`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class InputProjectorConfig:
    """Which input projector; its widths come from the encoder and the LLM."""

    type: str = "linear"
    """A key of `INPUT_PROJECTORS`."""


class InputProjector(nn.Module, ABC):
    """Contract of every input projector."""

    @abstractmethod
    def __init__(self, config: InputProjectorConfig, *, in_dim: int, out_dim: int):
        super().__init__()
        self.config = config

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
