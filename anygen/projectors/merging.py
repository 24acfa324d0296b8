"""Input projectors that make fewer tokens by joining neighbours: float[N, P, D_enc] -> float[N, K, D_llm], K < P.

Step 4 of the data flow. Those that work on a grid need to know one: `grid` of the config, rows and columns of one picture
(or of one frame: P is then a multiple of rows x columns), or the square that P is.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anygen.errors import AnyGenError
from anygen.projectors.input import InputProjector, InputProjectorConfig


class ConcatProjector(InputProjector):
    """`merge` consecutive tokens side by side, then one linear map (MiniGPT-v2, Chen et al. 2023, section 2.1: 4).

    Consecutive means in the order of the encoder, for pictures along a row, not in squares. K = P / merge.
    """

    def __init__(self, config: InputProjectorConfig, *, in_dim: int, out_dim: int):
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.proj = nn.Linear(config.merge * in_dim, out_dim)

    def num_tokens(self, encoder_tokens: int) -> int:
        if encoder_tokens % self.config.merge:
            detail = f"the encoder gives {encoder_tokens} tokens; the concat projector needs a multiple of merge="
            raise AnyGenError("model_load_error", f"{detail}{self.config.merge}")
        return encoder_tokens // self.config.merge

    def forward(self, features: Tensor) -> Tensor:
        self.num_tokens(features.shape[1])
        return self.proj(features.unflatten(1, (-1, self.config.merge)).flatten(2))


class GridProjector(InputProjector):
    """What the projectors on grids share: the grid, and that each cell of `merge` x `merge` tokens becomes one."""

    def grid(self, encoder_tokens: int) -> tuple[int, int, int]:
        """(pictures, rows, columns) that the tokens are; `model_load_error` where they are none."""
        side = math.isqrt(encoder_tokens)
        rows, columns = self.config.grid or (side, side)
        if encoder_tokens % (rows * columns) or not encoder_tokens:
            detail = f"the encoder gives {encoder_tokens} tokens, no multiple of a grid of {rows} x {columns}; set `grid` to "
            detail += "the rows and columns of one picture, and read the patches alone"
            raise AnyGenError("model_load_error", detail)
        return encoder_tokens // (rows * columns), rows, columns

    def num_tokens(self, encoder_tokens: int) -> int:
        pictures, rows, columns = self.grid(encoder_tokens)
        return pictures * -(-rows // self.config.merge) * -(-columns // self.config.merge)


class PixelShuffleProjector(GridProjector):
    """The tokens of a square side by side, then LayerNorm and two layers (VILA 1.5's down-sampling; InternVL, section 3.1).

    Odd sides are filled up with zeros. Channels are ordered (row in the square, column in the square, channel).
    """

    def __init__(self, config: InputProjectorConfig, *, in_dim: int, out_dim: int):
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        wide = config.merge**2 * in_dim
        self.proj = nn.Sequential(nn.LayerNorm(wide), nn.Linear(wide, out_dim), nn.GELU(), nn.Linear(out_dim, out_dim))

    def forward(self, features: Tensor) -> Tensor:
        pictures, rows, columns = self.grid(features.shape[1])
        squares = space_to_depth(features.unflatten(1, (pictures, rows, columns)).flatten(0, 1), side=self.config.merge)
        return self.proj(squares.unflatten(0, (-1, pictures)).flatten(1, 2))


class AveragePoolProjector(GridProjector):
    """The mean of each square of tokens, then two layers (LLaVA-NeXT-Video, Zhang et al. 2024: 2 x 2 for each frame).

    Squares at the end of an odd side hold fewer tokens.
    """

    def __init__(self, config: InputProjectorConfig, *, in_dim: int, out_dim: int):
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.proj = nn.Sequential(nn.Linear(in_dim, out_dim), nn.GELU(), nn.Linear(out_dim, out_dim))

    def forward(self, features: Tensor) -> Tensor:
        pictures, rows, columns = self.grid(features.shape[1])
        grids = features.transpose(1, 2).unflatten(2, (pictures, rows, columns)).transpose(1, 2).flatten(0, 1)
        cells = F.avg_pool2d(grids, self.config.merge, ceil_mode=True, count_include_pad=False)
        return self.proj(cells.flatten(2).transpose(1, 2).unflatten(0, (-1, pictures)).flatten(1, 2))


class SpaceTimePoolProjector(GridProjector):
    """The mean of each frame, then the mean over frames of each patch, then one linear map (Video-ChatGPT, section 3.1).

    K = `num_queries` + rows * columns; frames that the film does not have are zeros. Video-ChatGPT's size is num_queries=100
    and grid=(16, 16).
    """

    def __init__(self, config: InputProjectorConfig, *, in_dim: int, out_dim: int):
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        self.proj = nn.Linear(in_dim, out_dim)

    def num_tokens(self, encoder_tokens: int) -> int:
        frames, rows, columns = self.grid(encoder_tokens)
        if frames > self.config.num_queries:
            detail = f"the encoder reads {frames} frames; num_queries={self.config.num_queries} has room for no more than that"
            raise AnyGenError("model_load_error", detail)
        return self.config.num_queries + rows * columns

    def forward(self, features: Tensor) -> Tensor:
        self.num_tokens(features.shape[1])
        frames, rows, columns = self.grid(features.shape[1])
        return self.proj(
            pool_space_time(features.unflatten(1, (frames, rows * columns)), length=self.config.num_queries)
        )


def space_to_depth(grids: Tensor, *, side: int) -> Tensor:
    """float[B, rows, columns, C] -> float[B, ceil(rows / side) * ceil(columns / side), side * side * C]."""
    rows, columns = grids.shape[1:3]
    grids = F.pad(grids, (0, 0, 0, -columns % side, 0, -rows % side))
    squares = grids.unflatten(2, (-1, side)).unflatten(1, (-1, side)).transpose(2, 3)  # (B, R, C, side, side, channels)
    return squares.flatten(3).flatten(1, 2)


def pool_space_time(frames: Tensor, *, length: int) -> Tensor:
    """float[N, T, P, C] -> float[N, length + P, C]: each frame's mean, zeros up to `length`, each patch's mean."""
    of_frames = F.pad(frames.mean(dim=2), (0, 0, 0, length - frames.shape[1]))
    return torch.cat([of_frames, frames.mean(dim=1)], dim=1)
