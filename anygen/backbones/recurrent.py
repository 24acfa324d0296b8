"""LLMs with a state in place of, or beside, a key-value cache: Mamba, Falcon-Mamba, Mamba 2, and hybrids such as Jamba.

A state knows no padding, and transformers goes on from one by a single position at a time. So each row has a memory of
its own, and a run of R signal tokens costs R short steps without logits instead of one pass.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from anygen.backbones.decoder_only import DecoderOnlyBackbone
from anygen.backbones.session import RowwiseSession, Session, cache_name

if TYPE_CHECKING:
    from anygen.chat import Inputs


class RecurrentBackbone(DecoderOnlyBackbone):
    """Prompt and reply through one stack whose layers, or some of them, carry a state."""

    lora_targets = ["in_proj", "x_proj"]  # peft refuses out_proj: the fused kernel reads its weight past the adapter

    def start(self, inputs: Inputs) -> Session:
        """See `Backbone.start`."""
        model = self.llm.base_model
        name, takes_positions = cache_name(model), "position_ids" in signature(model.forward).parameters
        caches: dict[int, DynamicCache] = {}
        heard: dict[int, int] = {}

        def feed_row(row: int, block: Tensor) -> Tensor:
            is_prompt = row not in caches
            cache = caches.setdefault(row, DynamicCache(config=self.llm.config))
            states = []
            for part in [block] if is_prompt else block.split(1, dim=1):
                start = heard.get(row, 0)
                heard[row] = start + part.shape[1]
                places = torch.arange(start, heard[row], device=block.device)[None]
                positions = {"position_ids": places} if takes_positions else {}
                output = model(inputs_embeds=part, use_cache=True, **positions, **{name: cache})
                states.append(output.last_hidden_state)
            return torch.cat(states, dim=1)

        return RowwiseSession(feed_row)


def is_recurrent(llm: PreTrainedModel) -> bool:
    """Whether some layer of an LLM carries a state."""
    kinds = getattr(llm.config.get_text_config(), "layer_types", None) or ()
    return any(kind in ("linear_attention", "mamba", "hybrid", "conv") for kind in kinds)
