"""Answering with media that exist: an index of a folder in an encoder's joint space, and a generator that looks there.

    anygen index DIR --out INDEX        build.py: every medium of DIR -> its embedding        index.py: what is kept
    compose(image="index:INDEX")        generator.py: caption -> the nearest medium, or one made where none is near

GILL (Koh et al. 2023, section 3.2) decides between retrieved and generated pictures; here the caption's similarity
does.
"""

from __future__ import annotations

from anygen.retrieval.build import build_index
from anygen.retrieval.generator import RetrievalGenerator, Retrieve
from anygen.retrieval.index import Match, MediaIndex

__all__ = ["Match", "MediaIndex", "RetrievalGenerator", "Retrieve", "build_index"]
