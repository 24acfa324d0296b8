"""LLMs of the hub as backbones: `backbone.py` is the contract, one file a kind beside it, `load.py` chooses the kind."""

from anygen.backbones.backbone import NO_LIMIT, Backbone, BackboneConfig
from anygen.backbones.load import build_backbone, load_backbone
from anygen.backbones.session import Session
from anygen.backbones.token_rows import TokenRows
from anygen.backbones.words import PLAIN_TEMPLATE, SENTINEL

__all__ = [
    "NO_LIMIT", "PLAIN_TEMPLATE", "SENTINEL", "Backbone", "BackboneConfig", "Session", "TokenRows", "build_backbone",
    "load_backbone",
]  # fmt: skip
