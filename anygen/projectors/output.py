"""Output projectors: what the LLM said at one run of R signal tokens -> the generator's condition.

Step 8 of the data flow: float[N, R, D_llm] (states, and the embeddings of the same tokens) -> `Condition` of N items.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anygen.generators.generator import Condition, is_mask


@dataclass(frozen=True, kw_only=True)
class OutputProjectorConfig:
    """Shape of an output projector; the LLM and the generator set its outer widths. The defaults are NExT-GPT's."""

    type: str = "transformer"
    """A key of `OUTPUT_PROJECTORS`."""
    hidden_dim: int = 512
    num_layers: int = 4
    """Layers of the transformer's encoder, and again of its decoder."""
    num_heads: int = 4
    feedforward_dim: int = 2048
    add_input_embeddings: bool = True
    """Whether the signal tokens' own embeddings are added to their states; they alone carry the order of the run."""

    def __post_init__(self):
        if self.hidden_dim % self.num_heads:
            raise ValueError(f"hidden_dim {self.hidden_dim} must be a multiple of num_heads {self.num_heads}")


class OutputProjector(nn.Module, ABC):
    """Contract of every output projector."""

    @abstractmethod
    def __init__(self, config: OutputProjectorConfig, *, in_dim: int, condition_spec: dict[str, tuple[int, ...]]):
        super().__init__()
        self.config = config
        self.in_dim = in_dim
        self.condition_spec = condition_spec

    @abstractmethod
    def forward(self, states: Tensor, input_embeddings: Tensor) -> Condition:
        """float[N, R, D_llm] twice -> the generator's condition for N items."""

    def null_condition(self, batch_size: int, *, num_tokens: int) -> Condition:
        """What guidance leads away from: the projection of a signal that is zero, learned by condition dropout.

        MiniGPT-5, section 3.3: training replaces a tenth of the conditions by this one.
        """
        parameter = next(self.parameters())
        zeros = parameter.new_zeros(batch_size, num_tokens, self.in_dim)
        return self(zeros, zeros)


class TransformerProjector(OutputProjector):
    """`out_fc(tfm(src=in_fc(h + e), tgt=queries))`: learned queries read the signal (GILL, NExT-GPT).

    No masks and no positional encoding, so without the embeddings e the order of the R states would not matter. The
    module names are those of NExT-GPT's checkpoints. A condition of several tensors takes one span of the queries for
    each: a tensor of shape (L, D) takes L queries, a vector (D,) takes one. Masks are not learned: they are all ones.
    """

    def __init__(self, config: OutputProjectorConfig, *, in_dim: int, condition_spec: dict[str, tuple[int, ...]]):
        super().__init__(config, in_dim=in_dim, condition_spec=condition_spec)
        self.learned = {name: shape for name, shape in condition_spec.items() if not is_mask(name)}
        self.num_queries = {name: shape[0] if len(shape) == 2 else 1 for name, shape in self.learned.items()}
        self.in_fc = nn.Linear(in_dim, config.hidden_dim)
        shape = {"d_model": config.hidden_dim, "nhead": config.num_heads, "dim_feedforward": config.feedforward_dim}
        style = {"dropout": 0.0, "batch_first": True, "norm_first": True}
        reader = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(**shape, **style),
            config.num_layers,
            norm=nn.LayerNorm(config.hidden_dim),
            enable_nested_tensor=False,
        )
        self.tfm = nn.Transformer(**shape, **style, custom_encoder=reader, num_decoder_layers=config.num_layers)
        self.out_fc = nn.ModuleDict(
            {name: nn.Linear(config.hidden_dim, shape[-1]) for name, shape in self.learned.items()}
        )
        # Not zero, as in NExT-GPT's second code base: equal queries would give equal outputs and equal gradients.
        self.query_embs = nn.Parameter(0.02 * torch.randn(1, sum(self.num_queries.values()), config.hidden_dim))

    def forward(self, states: Tensor, input_embeddings: Tensor) -> Condition:
        source = states + input_embeddings if self.config.add_input_embeddings else states
        queries = self.query_embs.expand(len(source), -1, -1)
        answers = self.tfm(self.in_fc(source), queries)  # (N, sum of queries, hidden_dim)
        spans = answers.split(list(self.num_queries.values()), dim=1)
        tensors = {
            name: self.out_fc[name](span).reshape(-1, *shape)
            for (name, shape), span in zip(self.learned.items(), spans, strict=True)
        }
        masks = {name: shape for name, shape in self.condition_spec.items() if name not in self.learned}
        ones = {name: answers.new_ones((len(answers), *shape), dtype=torch.long) for name, shape in masks.items()}
        return Condition(tensors | ones)
