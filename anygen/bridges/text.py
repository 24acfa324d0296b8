"""The text bridge: the LLM writes a caption, and the generator's own text encoder reads it. Nothing is trained."""

from __future__ import annotations

from anygen.bridges.bridge import Bridge, Spoken
from anygen.generators.generator import Condition, Generator


class TextBridge(Bridge):
    """Captions -> tau_X(caption), the generator's own condition. How captions are written: `markup.py`."""

    def condition(self, spoken: Spoken, *, generator: Generator | None = None) -> Condition:
        return generator.encode_text(list(spoken.captions))

    def null_condition(self, batch_size: int, *, generator: Generator | None = None) -> Condition:
        return generator.null_condition(batch_size)
