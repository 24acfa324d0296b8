"""Random numbers of a request: one `torch.Generator` a purpose, derived from names and never from places in a batch.

So item i of a batch is item i alone, and a second picture in a reply does not change the first.
"""

from __future__ import annotations

import hashlib
import secrets

import torch


def fresh_seed() -> int:
    """A seed for a request that names none; at most 2**32 - 1, so that it is easily written down."""
    return secrets.randbits(32)


def derived_generator(seed: int, *purpose: str | int) -> torch.Generator:
    """The random numbers of one purpose, e.g. `derived_generator(0, "image", 1, 0)`: second picture, first candidate.

    They live on the CPU, so that the numbers are the same on every device.
    """
    digest = hashlib.sha256("/".join(map(str, (seed, *purpose))).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
