"""The losses that train the bridges: text generation and alignment (the third, denoising, belongs to its generator).

NExT-GPT sections 4.1 and 4.2, and equations 2, 4 and 5 of the survey "MM-LLMs: Recent Advances in MultiModal Large
Language Models". All return a scalar.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from anygen.chat import IGNORED
from anygen.generators.generator import Condition, is_mask

REDUCTIONS = ("l2norm", "mse", "cosine")


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """What each loss counts in the sum; the defaults are NExT-GPT's."""

    text: float = 1.0
    alignment: float = 1.0
    denoising: float = 1.0


def text_generation_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of the next token over the positions that are labelled (survey eq. 2).

    `logits` float[B, T, V] predict `labels` int[B, T] of the position after theirs; -100 is not counted. A batch
    without any labelled position costs 0.
    """
    targets = labels[:, 1:].reshape(-1)
    total = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), targets, ignore_index=IGNORED, reduction="sum")
    return total / (targets != IGNORED).sum().clamp(min=1)


def alignment_loss(condition: Condition, target: Condition, *, reduce: str = "l2norm") -> Tensor:
    """Distance between a projected signal and the generator's own text condition (survey eq. 4).

    `reduce`: "l2norm", the mean over items and queries of the Euclidean norm of the difference (GILL's and NExT-GPT's
    code, called MSE there); "mse", the mean squared difference; "cosine", 1 - cosine, mean over items and queries.
    Tensors of a condition count equally, but for masks (`is_mask`), which nobody learns. Raises ValueError for another
    `reduce` and for conditions of other names.
    """
    if reduce not in REDUCTIONS:
        raise ValueError(f"found reduce={reduce!r}; expected one of {', '.join(REDUCTIONS)}")
    if condition.tensors.keys() != target.tensors.keys():
        raise ValueError(f"found the condition tensors {list(condition.tensors)}; expected {list(target.tensors)}")
    learned = [name for name in condition.tensors if not is_mask(name)]
    distances = [_distance(condition[name].float(), target[name].float(), reduce) for name in learned]
    return sum(distances) / len(distances)


def _distance(found: Tensor, wanted: Tensor, reduce: str) -> Tensor:
    if reduce == "l2norm":
        return (found - wanted).norm(dim=-1).mean()
    if reduce == "mse":
        return F.mse_loss(found, wanted)
    return (1 - F.cosine_similarity(found, wanted, dim=-1)).mean()
