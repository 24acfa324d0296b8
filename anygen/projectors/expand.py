"""The input projector that makes several embeddings of one token: float[N, P, D_enc] -> float[N, K, D_llm], K = P * queries."""

from __future__ import annotations

from torch import Tensor, nn

from anygen.projectors.input import InputProjector, InputProjectorConfig


class ExpandProjector(InputProjector):
    """One linear map from a token to `num_queries` embeddings side by side.

    For encoders that are read at their pooled token: GILL makes 4 of it (Koh et al. 2023, section 3.1), Frozen 2
    (Tsimpoukelli et al. 2021, section 3.1).
    """

    def __init__(self, config: InputProjectorConfig, *, in_dim: int, out_dim: int):
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.proj = nn.Linear(in_dim, config.num_queries * out_dim)

    def num_tokens(self, encoder_tokens: int) -> int:
        return encoder_tokens * self.config.num_queries

    def forward(self, features: Tensor) -> Tensor:
        return self.proj(features).unflatten(2, (self.config.num_queries, -1)).flatten(1, 2)
