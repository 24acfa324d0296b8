"""What nano's encoder knows, measured on scenes it was not trained on.

Two numbers an attribute: `retrieval`, the share of media whose nearest phrase in the joint space is their own (no
training at all), and `probe`, a ridge regression from the very tokens that the language model reads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anygen.encoders.imagebind_encoder import ImageBindEncoder
from anygen.nano.training.encoder import TrainingMedia, apart, embed_phrases
from anygen.nano.training.phrases import FAMILIES_OF

RIDGE = 3e-3
"""Penalty, relative to the mean variance of the features."""


@torch.no_grad()
def measure(
    encoder: ImageBindEncoder, training: dict[str, TrainingMedia], held_back: dict[str, TrainingMedia], *, probe_items: int
) -> dict[str, dict[str, float]]:
    """{"image thing": {"retrieval": 0.98, "probe": 0.97}, ...}; the probe is fitted on `probe_items` training media."""
    encoder.eval()
    phrases = {family: apart(vectors) for family, vectors in embed_phrases(encoder).items()}
    figures = {}
    for modality, media in held_back.items():
        count = min(probe_items, training[modality].pool.count)
        fit_tokens, _ = _encode(encoder, training[modality], count)
        tokens, vectors = _encode(encoder, media, media.pool.count)
        for family in FAMILIES_OF[modality]:
            labels, fit_labels = media.labels[family], training[modality].labels[family][:count]
            shown = labels >= 0
            nearest = (vectors @ phrases[family].T).argmax(dim=-1)
            scores = ridge_scores(fit_tokens[fit_labels >= 0], fit_labels[fit_labels >= 0], tokens[shown])
            figures[f"{modality} {family}"] = {
                "retrieval": _share(nearest[shown] == labels[shown]),
                "probe": _share(scores.argmax(dim=-1) == labels[shown]),
            }
    return figures


def ridge_scores(features: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    """Linear least squares onto one-hot labels with an L2 penalty: (N, D), (N,), (M, D) -> (M, classes)."""
    mean, scale = features.mean(dim=0), features.std(dim=0).clamp_min(1e-6)
    features, queries = (features - mean) / scale, (queries - mean) / scale
    targets = torch.nn.functional.one_hot(labels).float()
    bias = targets.mean(dim=0)
    if features.shape[1] > len(features):  # solve in the smaller of the two spaces
        gram = features @ features.T + RIDGE * features.shape[1] * torch.eye(len(features))
        return queries @ (features.T @ torch.linalg.solve(gram, targets - bias)) + bias
    gram = features.T @ features + RIDGE * len(features) * torch.eye(features.shape[1])
    return queries @ torch.linalg.solve(gram, features.T @ (targets - bias)) + bias


def _encode(encoder: ImageBindEncoder, media: TrainingMedia, count: int) -> tuple[Tensor, Tensor]:
    """All tokens of the first `count` items as one row each, (count, P * D), and their joint embeddings."""
    tokens, vectors = [], []
    for indices in torch.arange(count).split(64):
        inputs = media.inputs(indices)
        tokens.append(encoder(media.pool.modality, inputs).flatten(1))
        vectors.append(encoder.embed(media.pool.modality, inputs))
    return torch.cat(tokens), torch.cat(vectors)


def _share(right: Tensor) -> float:
    return round(right.float().mean().item(), 4)
