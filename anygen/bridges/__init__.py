"""Bridges: from what the LLM said to the condition of one generator. `bridge.py` is the contract.

`signal.py` holds those that are trained, `text.py` the one that is not, and `markup.py` how captions are written.
"""

from __future__ import annotations

from dataclasses import dataclass

from anygen.bridges.bridge import Bridge, Spoken
from anygen.bridges.markup import INSTRUCTIONS
from anygen.bridges.signal import BlendBridge, QueryBridge, SignalBridge, SignalSpec
from anygen.bridges.text import TextBridge
from anygen.projectors.output import OutputProjector

__all__ = [
    "BRIDGES", "INSTRUCTIONS", "BlendBridge", "Bridge", "BridgeConfig", "QueryBridge", "SignalBridge", "SignalSpec", "Spoken", "TextBridge",
    "build_bridge",
]  # fmt: skip

BRIDGES: dict[str, type[Bridge]] = {
    "signal": SignalBridge,
    "query": QueryBridge,
    "blend": BlendBridge,
    "text": TextBridge,
}
"""Type of a bridge -> its class."""


@dataclass(frozen=True, kw_only=True)
class BridgeConfig:
    """Which bridge a modality has; one that no configuration names has a signal bridge."""

    type: str = "signal"
    """A key of `BRIDGES`."""
    blend_weight: float = 0.5
    """Of a blend: the share of the projected condition, from 0 to 1."""
    max_caption_tokens: int = 64
    """Of a text bridge: tokens that one caption may take."""

    def __post_init__(self):
        if self.type not in BRIDGES:
            raise ValueError(f"found the bridge type {self.type!r}; expected one of {', '.join(BRIDGES)}")
        if not 0 <= self.blend_weight <= 1 or self.max_caption_tokens < 1:
            raise ValueError(
                f"found blend_weight={self.blend_weight} and max_caption_tokens={self.max_caption_tokens}; expected from 0 to 1, "
                "and at least 1"
            )


def build_bridge(
    config: BridgeConfig, *, signal: SignalSpec | None = None, projector: OutputProjector | None = None
) -> Bridge:
    """The bridge that `config.type` names; learned ones are given their run and their projector."""
    if config.type == "text":
        return TextBridge()
    if config.type == "blend":
        return BlendBridge(signal, projector, weight=config.blend_weight)
    return BRIDGES[config.type](signal, projector)
