"""Decoder-only LLMs with a key-value cache: Llama, Vicuna, Qwen, Mistral, OPT, GPT-2, GPT-J, Gemma, Phi and their like."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from anygen.backbones.backbone import Backbone
from anygen.backbones.session import Session, cache_name

if TYPE_CHECKING:
    from anygen.chat import Inputs


class DecoderOnlyBackbone(Backbone):
    """One stack of causal attention over prompt and reply."""

    def forward(
        self, embeddings: Tensor, *, attention_mask: Tensor, position_ids: Tensor, cache: Cache | None = None
    ) -> Tensor:
        """float[B, T, D] -> last hidden states float[B, T, D], after the final norm.

        With a `cache` of S earlier positions `attention_mask` is int64[B, S + T], and the cache grows by T.
        """
        model = self.speaker.base_model
        known = signature(model.forward).parameters  # LLMs that count from the mask (BLOOM, MPT) take no positions
        positions = {"position_ids": position_ids} if "position_ids" in known else {}
        return model(
            inputs_embeds=embeddings,
            attention_mask=attention_mask,
            use_cache=cache is not None,
            **positions,
            **{cache_name(model): cache},
        ).last_hidden_state

    def read(self, embeddings: Tensor, inputs: Inputs) -> Tensor:
        """See `Backbone.read`."""
        return self(embeddings, attention_mask=inputs.attention_mask, position_ids=inputs.position_ids)

    def start(self, inputs: Inputs) -> Session:
        """See `Backbone.start`."""
        return PaddedSession(self)

    def logits(self, hidden: Tensor) -> Tensor:
        """float[..., D] -> float[..., V], scaled or capped as the LLM's configuration says."""
        logits, text = super().logits(hidden), self.speaker.config.get_text_config()
        if getattr(text, "logit_scale", None):  # Cohere
            logits = logits * text.logit_scale
        if getattr(text, "logits_scaling", None):  # Granite
            logits = logits / text.logits_scaling
        if getattr(text, "final_logit_softcapping", None):  # Gemma 2 and later
            logits = torch.tanh(logits / text.final_logit_softcapping) * text.final_logit_softcapping
        return logits


class PaddedSession(Session):
    """One cache for all rows; padding stays in it, masked, and positions leave it out."""

    def __init__(self, backbone: DecoderOnlyBackbone):
        self.backbone = backbone
        self.cache = DynamicCache(config=backbone.speaker.config)
        self.mask: Tensor | None = None
        """int64[B, S] of the S positions in the cache."""

    def feed(self, block: Tensor, *, mask: Tensor) -> Tensor:
        """See `Session.feed`."""
        self.mask = mask if self.mask is None else torch.cat([self.mask, mask], dim=1)
        positions = (self.mask.cumsum(dim=1) - 1).clamp(min=0)[:, -block.shape[1] :]
        return self.backbone(block, attention_mask=self.mask, position_ids=positions, cache=self.cache)
