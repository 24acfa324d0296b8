"""Memory that a large batch needed goes back to the system when it is done."""

from __future__ import annotations

import ctypes
import sys
import time

SECONDS_BETWEEN = 2.0
"""Giving back takes some milliseconds, so not after every batch."""


class Trimmer:
    """Gives back what the C library keeps of freed memory, on Linux with glibc (`malloc_trim`); elsewhere nothing.

    Batches of many sizes leave holes of many sizes behind, and without this the process stays as large as its largest.
    """

    def __init__(self):
        library = ctypes.CDLL(None) if sys.platform == "linux" else None
        self.malloc_trim = library.malloc_trim if library is not None and hasattr(library, "malloc_trim") else None
        self.last = 0.0

    def trim(self) -> None:
        """Give back, unless that was just done."""
        if self.malloc_trim is not None and time.monotonic() - self.last >= SECONDS_BETWEEN:
            self.malloc_trim(0)
            self.last = time.monotonic()
