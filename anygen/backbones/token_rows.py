"""Trainable rows for a few tokens of a frozen LLM, such as its signal tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class TokenRows(nn.Module):
    """Trainable additions to a few rows of the frozen embedding matrix and of the frozen output head.

    Zero at the start, so that nothing changes before training; folded into the matrices when the LLM is saved.
    With tied matrices one table serves both.
    """

    def __init__(self, ids: Sequence[int], *, embedding: nn.Embedding, tied: bool):
        super().__init__()
        index = torch.full((embedding.num_embeddings,), len(ids))
        index[list(ids)] = torch.arange(len(ids))
        self.register_buffer("index", index, persistent=False)  # token id -> its row, or len(ids) for none
        self.register_buffer("ids", torch.tensor(ids), persistent=False)
        self.scale = _scale_of(embedding)
        self.embedding_rows = nn.Parameter(torch.zeros(len(ids), embedding.embedding_dim))
        self.head_rows = self.embedding_rows if tied else nn.Parameter(torch.zeros(len(ids), embedding.embedding_dim))

    def added_to_embeddings(self, ids: Tensor) -> Tensor:
        """int64[...] -> float[..., D], zero for other tokens."""
        none = self.embedding_rows.new_zeros(1, self.embedding_rows.shape[1])
        return torch.cat([self.embedding_rows, none])[self.index[ids]] * self.scale

    def added_to_logits(self, hidden: Tensor) -> Tensor:
        """float[..., D] -> float[..., number of rows]."""
        return hidden @ self.head_rows.T


def _scale_of(embedding: nn.Embedding) -> float:
    """What an LLM multiplies the rows of its matrix with when it reads them: Gemma, BART and others do."""
    if not hasattr(embedding, "embed_scale"):
        return 1.0
    return float(torch.as_tensor(embedding.embed_scale).to(embedding.weight.dtype))
