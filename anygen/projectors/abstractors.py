"""Input projectors that read a grid of tokens with its places: float[N, P, D_enc] -> float[N, K, D_llm].

Step 4 of the data flow: one layer of cross attention (Qwen-VL), and pooling that a convolution tells the places of (MobileVLM
V2). Grids as in `merging.py`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anygen.errors import AnyGenError
from anygen.projectors.input import InputProjectorConfig, token_positions
from anygen.projectors.merging import GridProjector


class CrossAttentionProjector(GridProjector):
    """Queries that lie on a square grid of their own read the tokens in one layer (Qwen-VL, Bai et al. 2023, section 2.1).

    Queries and keys have sines and cosines of their rows and columns added, those of the keys scaled to their grid; values have
    not. K = `num_queries`, a square; of several pictures each gives K. Qwen-VL's size is num_queries=256, num_heads=32. The
    names are those of its checkpoints (`attn_pool.*` without the prefix, `ln_post`, `proj`).
    """

    def __init__(self, config: InputProjectorConfig, *, in_dim: int, out_dim: int):
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        side = math.isqrt(config.num_queries)
        if side**2 != config.num_queries or out_dim % 4 or out_dim % config.num_heads:
            raise ValueError(
                f"num_queries={config.num_queries} must be a square, and the LLM's width {out_dim} a multiple of 4 and of "
                f"num_heads={config.num_heads}"
            )
        places = token_positions(side, out_dim // 2)
        columns, rows = places.repeat(side, 1), places.repeat_interleave(side, dim=0)
        self.register_buffer("pos_embed", torch.cat([columns, rows], dim=-1))
        self.query = nn.Parameter(0.02 * torch.randn(config.num_queries, out_dim))
        self.kv_proj = nn.Linear(in_dim, out_dim, bias=False)
        self.ln_q, self.ln_kv, self.ln_post = (nn.LayerNorm(out_dim, eps=1e-6) for _ in range(3))
        self.attn = nn.MultiheadAttention(out_dim, config.num_heads, batch_first=True)
        self.proj = nn.Parameter(out_dim**-0.5 * torch.randn(out_dim, out_dim))

    def num_tokens(self, encoder_tokens: int) -> int:
        return self.grid(encoder_tokens)[0] * self.config.num_queries

    def forward(self, features: Tensor) -> Tensor:
        pictures, rows, columns = self.grid(features.shape[1])
        each = features.unflatten(1, (pictures, rows * columns)).flatten(0, 1)
        states = self.ln_post(self.read(each, rows, columns)) @ self.proj
        return states.unflatten(0, (-1, pictures)).flatten(1, 2)

    def read(self, features: Tensor, rows: int, columns: int) -> Tensor:
        """What the queries take from float[B, rows * columns, D_enc]: float[B, K, D_llm], before the last norm."""
        values = self.ln_kv(self.kv_proj(features))
        side = math.isqrt(self.config.num_queries)
        places = self.pos_embed.T.unflatten(1, (side, side))[None]
        if (rows, columns) != (side, side):
            places = F.interpolate(places.float(), size=(rows, columns), mode="bicubic").to(values.dtype)
        queries = (self.ln_q(self.query) + self.pos_embed).expand(len(features), -1, -1)
        return self.attn(queries, values + places[0].flatten(1).T, values, need_weights=False)[0]


class ConvolutionProjector(GridProjector):
    """Two layers, the mean of each square of tokens, and a depth-wise 3 x 3 convolution added (LDPv2 of MobileVLM V2, Chu
    et al. 2024, section 3.2: 24 x 24 to 12 x 12). The sides of the grid must be multiples of `merge`."""

    def __init__(self, config: InputProjectorConfig, *, in_dim: int, out_dim: int):
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.mlp = nn.Sequential(nn.Linear(in_dim, out_dim), nn.GELU(), nn.Linear(out_dim, out_dim))
        self.peg = nn.Conv2d(out_dim, out_dim, kernel_size=3, padding=1, groups=out_dim)

    def num_tokens(self, encoder_tokens: int) -> int:
        _, rows, columns = self.grid(encoder_tokens)
        if rows % self.config.merge or columns % self.config.merge:
            detail = f"the encoder's grid is {rows} x {columns}; the convolution projector needs multiples of merge="
            raise AnyGenError("model_load_error", f"{detail}{self.config.merge}")
        return super().num_tokens(encoder_tokens)

    def forward(self, features: Tensor) -> Tensor:
        self.num_tokens(features.shape[1])
        pictures, rows, columns = self.grid(features.shape[1])
        grids = self.mlp(features).unflatten(1, (pictures, rows, columns)).flatten(0, 1).permute(0, 3, 1, 2)
        cells = F.avg_pool2d(grids, self.config.merge)
        cells = cells + self.peg(cells)
        return cells.flatten(2).transpose(1, 2).unflatten(0, (-1, pictures)).flatten(1, 2)
