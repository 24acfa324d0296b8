"""What a bridge is: from what the LLM said at N places to the condition of one generator (steps 7 and 8 of the data flow).

    Spoken {states, embeddings, captions of N media} --Bridge--> Condition of N items

Which of the three a bridge reads is its own affair: the signal and the query bridge read states, the text bridge reads
captions, a blend reads all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from anygen.generators.generator import Condition, Generator


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """What the LLM said at the N places that ask for a medium of one modality."""

    states: Tensor | None = None
    """float[N, R, D_llm]: last hidden states, after the final norm, at the R positions that speak for a medium."""
    embeddings: Tensor | None = None
    """float[N, R, D_llm]: what the LLM read at the same positions."""
    captions: Sequence[str] | None = None
    """What each medium is to show, in words."""

    def __len__(self) -> int:
        return len(self.captions if self.states is None else self.states)


class Bridge(nn.Module, ABC):
    """Contract of every bridge of one modality.

    `generator` is the one that is bridged to. Learned bridges do without it; those that read captions need its own
    reading of them.
    """

    @abstractmethod
    def condition(self, spoken: Spoken, *, generator: Generator | None = None) -> Condition:
        """The condition of N media."""

    @abstractmethod
    def null_condition(self, batch_size: int, *, generator: Generator | None = None) -> Condition:
        """The condition that stands for no request at all, for classifier-free guidance."""
