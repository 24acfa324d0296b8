"""Decoding sessions: what an LLM remembers between two steps of its replies, whatever kind of memory it has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from inspect import signature

import torch
from torch import Tensor, nn

CACHE_NAMES = ("cache", "past_key_values", "cache_params")
"""What transformers calls the memory that a model takes and gives back: new name first, then those of older versions."""


def cache_name(model: nn.Module) -> str:
    """By which argument a model of transformers takes its memory."""
    known = signature(model.forward).parameters
    return next(name for name in CACHE_NAMES if name in known)


class Session(ABC):
    """B replies in the making. The first block is the prompts, every later one what was said since.

    Row i never feels another row, nor padding: what comes out for it is what would come out for it alone.
    """

    @abstractmethod
    def feed(self, block: Tensor, *, mask: Tensor) -> Tensor:
        """Hear W more positions of each row.

        Args:
            block: float[B, W, D], what the LLM reads; rows that bring fewer than W are padded on the left.
            mask: int64[B, W], 1 where a row has something.

        Returns:
            float[B, W, D], last hidden states after the final norm; those of the last position are what the next token
            is chosen by. Zero or meaningless where `mask` is 0.
        """


class RowwiseSession(Session):
    """A memory for each row by itself: for LLMs whose memory knows no padding between what a row said.

    The price is one pass a row, where a padded batch is one pass.
    """

    def __init__(self, feed_row: Callable[[int, Tensor], Tensor]):
        self.feed_row = feed_row
        """(row, float[1, W, D] without padding) -> states float[1, W, D]; called for a row with something to hear."""

    def feed(self, block: Tensor, *, mask: Tensor) -> Tensor:
        """See `Session.feed`."""
        hidden = torch.zeros_like(block)
        for row, length in enumerate(mask.sum(dim=1).tolist()):
            if length:
                hidden[row, -length:] = self.feed_row(row, block[row : row + 1, -length:])[0]
        return hidden
