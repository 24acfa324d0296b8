"""Learned bridges: an output projector reads the LLM's states at a run of R positions.

The signal bridge is NExT-GPT's, the query bridge and the blend are told apart from it by what stands in the run, and by
what the projected condition is mixed with.

The LLM speaks a run of R signal tokens, <image_0> ... <image_R-1>, and an output projector turns the run's last hidden
states into what the generator's text encoder would have given. Only the first token of a run is a decision; the others
follow it with certainty, so decoding forces them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anygen.bridges.bridge import Bridge, Spoken
from anygen.generators.generator import Condition, Generator, is_mask
from anygen.projectors.output import OutputProjector


@dataclass(frozen=True, kw_only=True)
class SignalSpec:
    """The run of signal tokens that stands for one medium of a modality.

    The ids are stored, not looked up: one string gives different ids in different versions of a tokenizer.
    """

    tokens: tuple[str, ...]
    """How the tokens are written, e.g. ("<image_0>", ..., "<image_3>")."""
    ids: tuple[int, ...]
    """Their ids in the LLM's vocabulary, in the order of the run."""
    separator_id: int | None = None
    """What the LLM says between two of them, and whose states are read too: a piece of space in NExT-GPT's second code base."""

    def __post_init__(self):
        if not self.ids or len(self.ids) != len(self.tokens) or len(set(self.ids)) != len(self.ids):
            raise ValueError(f"tokens {self.tokens} and ids {self.ids} must be as many, and the ids distinct")

    @property
    def run(self) -> tuple[int, ...]:
        """The ids that the LLM says, separators among them: R = len(self)."""
        if self.separator_id is None:
            return self.ids
        return tuple(index for each in self.ids for index in (self.separator_id, each))[1:]

    def __len__(self) -> int:
        return len(self.run)


class SignalBridge(Bridge):
    """A run of signal tokens and the output projector that reads it."""

    def __init__(self, signal: SignalSpec, projector: OutputProjector):
        super().__init__()
        self.signal = signal
        self.projector = projector

    def condition(self, spoken: Spoken, *, generator: Generator | None = None) -> Condition:
        states, embeddings = spoken.states, spoken.embeddings
        if states.shape != embeddings.shape or states.shape[1] != len(self.signal):
            raise ValueError(
                f"found states {tuple(states.shape)} and embeddings {tuple(embeddings.shape)}; "
                f"expected both (N, {len(self.signal)}, {self.projector.in_dim})"
            )
        return self.projector(states, embeddings)

    def null_condition(self, batch_size: int, *, generator: Generator | None = None) -> Condition:
        return self.projector.null_condition(batch_size, num_tokens=len(self.signal))


class QueryBridge(SignalBridge):
    """A run whose first token asks for the medium and whose others are learned queries, not words of the vocabulary.

    The queries (R - 1, D_llm) read the conversation in the one extra forward pass of the run (DreamLLM, Dong et al. 2024,
    section 3.2; MetaQueries, Pan et al. 2025). In rows of token ids query number i of a model stands as -1 - i.
    """

    def __init__(self, signal: SignalSpec, projector: OutputProjector, *, scale: float = 0.02):
        super().__init__(signal, projector)
        if signal.ids[0] < 0 or any(index >= 0 for index in signal.ids[1:]):
            raise ValueError(f"found the ids {signal.ids}; expected one of the vocabulary, then queries, which are negative")
        self.queries = nn.Parameter(scale * torch.randn(len(signal.ids) - 1, projector.in_dim))


class BlendBridge(SignalBridge):
    """Projected and text-encoded condition, weighted: `weight` * signal + (1 - `weight`) * caption (Spider, Lai et al. 2024).

    The caption is the words that lead to the medium. Masks are those of the caption.
    """

    def __init__(self, signal: SignalSpec, projector: OutputProjector, *, weight: float):
        super().__init__(signal, projector)
        self.weight = weight

    def condition(self, spoken: Spoken, *, generator: Generator | None = None) -> Condition:
        return self._blend(super().condition(spoken), generator.encode_text(list(spoken.captions)))

    def null_condition(self, batch_size: int, *, generator: Generator | None = None) -> Condition:
        return self._blend(super().null_condition(batch_size), generator.null_condition(batch_size))

    def _blend(self, projected: Condition, encoded: Condition) -> Condition:
        def mix(name: str) -> Tensor:
            if is_mask(name):
                return encoded[name]
            return self.weight * projected[name] + (1 - self.weight) * encoded[name].to(projected[name])

        return Condition({name: mix(name) for name in projected.tensors})
