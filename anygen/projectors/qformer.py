"""The Q-Former as an input projector: learned queries read the encoder's tokens, and the instruction where there is one.

Step 4 of the data flow, float[N, P, D_enc] -> float[N, K, D_llm], K = `num_queries` (Li et al. 2023, BLIP-2, section 3.1; Dai
et al. 2023, InstructBLIP, section 2.3). transformers' own Q-Former does the work; the module names are those of its BLIP-2 and
InstructBLIP checkpoints (`query_tokens`, `qformer.*`, `language_projection.*`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anygen.errors import AnyGenError
from anygen.projectors.input import InputProjector, InputProjectorConfig


class QFormerProjector(InputProjector):
    """A BERT whose queries cross-attend to the encoder in every second layer, then one linear map to the LLM.

    BLIP-2's size is num_queries=32, num_layers=12, num_heads=12, hidden_dim=768. With `vocab_size`, the words of the
    instruction share the self-attention with the queries (InstructBLIP: 30523, the ids of BERT's tokenizer and one more).
    """

    def __init__(self, config: InputProjectorConfig, *, in_dim: int, out_dim: int):
        super().__init__(config, in_dim=in_dim, out_dim=out_dim)
        from transformers import (
            Blip2QFormerConfig,
            Blip2QFormerModel,
            InstructBlipQFormerConfig,
            InstructBlipQFormerModel,
        )

        width = config.hidden_dim or in_dim
        if width % config.num_heads:
            raise ValueError(f"hidden_dim {width} must be a multiple of num_heads={config.num_heads}")
        size = dict(
            hidden_size=width,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            intermediate_size=4 * width,
            encoder_hidden_size=in_dim,
        )
        if config.vocab_size is None:
            self.qformer = Blip2QFormerModel(Blip2QFormerConfig(**size))
        else:
            self.qformer = InstructBlipQFormerModel(InstructBlipQFormerConfig(**size, vocab_size=config.vocab_size))
        self.query_tokens = nn.Parameter(0.02 * torch.randn(1, config.num_queries, width))
        self.language_projection = nn.Linear(width, out_dim)

    @property
    def reads_instruction(self) -> bool:
        return self.config.vocab_size is not None

    def num_tokens(self, encoder_tokens: int) -> int:
        return self.config.num_queries

    def forward(
        self, features: Tensor, *, instruction_ids: Tensor | None = None, instruction_mask: Tensor | None = None
    ) -> Tensor:
        """float[N, P, D_enc] -> float[N, K, D_llm].

        Args:
            features: the encoder's tokens.
            instruction_ids: int64[N, T], ids of this Q-Former's own tokenizer; None reads the media alone.
            instruction_mask: 1 where there is a word and 0 where there is padding; all words unless given.

        Raises `invalid_request` for an instruction that a Q-Former without `vocab_size` cannot read.
        """
        queries = self.query_tokens.expand(len(features), -1, -1)
        if not self.reads_instruction:
            if instruction_ids is not None:
                detail = "this Q-Former reads no instruction; build it with vocab_size, or leave instruction_ids out"
                raise AnyGenError("invalid_request", detail)
            states = self.qformer(query_embeds=queries, encoder_hidden_states=features).last_hidden_state
            return self.language_projection(states)
        mask = None
        if instruction_ids is not None:
            words = torch.ones_like(instruction_ids) if instruction_mask is None else instruction_mask
            mask = torch.cat([words.new_ones(queries.shape[:2]), words], dim=1)
        states = self.qformer(
            input_ids=instruction_ids, attention_mask=mask, query_embeds=queries, encoder_hidden_states=features
        ).last_hidden_state
        return self.language_projection(states[:, : self.config.num_queries])
