"""Bridges: from what the LLM said to the condition of one generator (steps 7 and 8 of the data flow).

The signal bridge is NExT-GPT's: the LLM speaks a run of R signal tokens, <image_0> ... <image_R-1>, and an output
projector turns the run's last hidden states into what the generator's text encoder would have given.
Only the first token of a run is a decision; the others follow it with certainty, so decoding forces them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from anygen.generators.generator import Condition
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


class Bridge(nn.Module, ABC):
    """Contract of every bridge of one modality."""

    @abstractmethod
    def condition(self, states: Tensor, input_embeddings: Tensor) -> Condition:
        """What the LLM said at N places -> the condition of N media.

        `states` float[N, R, D_llm]: last hidden states, after the final norm, at the R positions that speak for the
        medium. `input_embeddings` float[N, R, D_llm]: what the LLM read at the same positions.
        """

    @abstractmethod
    def null_condition(self, batch_size: int) -> Condition:
        """The condition that stands for no request at all, for classifier-free guidance."""


class SignalBridge(Bridge):
    """A run of signal tokens and the output projector that reads it."""

    def __init__(self, signal: SignalSpec, projector: OutputProjector):
        super().__init__()
        self.signal = signal
        self.projector = projector

    def condition(self, states: Tensor, input_embeddings: Tensor) -> Condition:
        if states.shape != input_embeddings.shape or states.shape[1] != len(self.signal):
            raise ValueError(
                f"found states {tuple(states.shape)} and embeddings {tuple(input_embeddings.shape)}; "
                f"expected both (N, {len(self.signal)}, {self.projector.in_dim})"
            )
        return self.projector(states, input_embeddings)

    def null_condition(self, batch_size: int) -> Condition:
        return self.projector.null_condition(batch_size, num_tokens=len(self.signal))
