"""How the trunks of nano's encoder begin: where small vision transformers learn fast."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from anygen.encoders.imagebind_encoder import ImageBindEncoder


@torch.no_grad()
def initialise(encoder: ImageBindEncoder) -> None:
    """Start where small vision transformers learn fast: positions as sines, attention that looks at what is near.

    Mimetic initialisation (Trockman & Kolter 2023): the product of query and key weights is near the identity, that of
    value and output weights near minus the identity, as in trained transformers.
    """
    generator = torch.Generator().manual_seed(0)
    for trunk in ("vision", "audio"):
        config = encoder.config.model.trunks[trunk]
        positions = encoder.model.modality_preprocessors[trunk].pos_embedding_helper.pos_embed
        positions[0, 1:] = 0.5 * sine_positions(config.layout[-2:], config.width)
        for block in encoder.model.modality_trunks[trunk].blocks:
            _mimic(block.attn, generator)


def sine_positions(layout: tuple[int, int], width: int) -> Tensor:
    """Sines and cosines of the row in one half of the channels, of the column in the other, (rows * columns, width)."""
    frequencies = math.pi / torch.logspace(0, 4, width // 4, base=2.0)
    rows, columns = (torch.arange(size)[:, None] * frequencies for size in layout)
    rows, columns = (torch.cat([angle.sin(), angle.cos()], dim=-1) for angle in (rows, columns))
    grid = rows[:, None].expand(-1, len(columns), -1), columns[None].expand(len(rows), -1, -1)
    return torch.cat(grid, dim=-1).flatten(0, 1)


def _mimic(attention: nn.Module, generator: torch.Generator) -> None:
    width = attention.out_proj.weight.shape[0]
    head_dim = width // attention.num_heads

    def near_identity(weight: float, sign: int) -> tuple[Tensor, Tensor]:
        noise = torch.randn(width, width, generator=generator) * width**-0.5
        left, scales, right = torch.linalg.svd(weight * (noise + sign * torch.eye(width)))
        return left * scales.sqrt(), right.T * scales.sqrt()

    query, key, value = attention.in_proj_weight.chunk(3)
    for head in range(attention.num_heads):
        left, right = near_identity(0.6, +1)
        rows = slice(head * head_dim, (head + 1) * head_dim)
        query[rows], key[rows] = left[:, :head_dim].T, right[:, :head_dim].T
    left, right = near_identity(0.4, -1)
    value.copy_(left.T)
    attention.out_proj.weight.copy_(right)
