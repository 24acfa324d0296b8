"""Losses against values worked out by hand."""

import math

import pytest
import torch

from anygen.generators.generator import Condition
from anygen.losses import alignment_loss, text_generation_loss


def test_text_loss_counts_labelled_positions_only():
    logits = torch.zeros(1, 4, 8)
    logits[0, 1, 5] = math.log(9.0)  # of 8 tokens the right one weighs 9 to 1: p = 9 / 16
    labels = torch.tensor([[-100, -100, 5, 3]])
    expected = (-math.log(9 / 16) - math.log(1 / 8)) / 2
    assert text_generation_loss(logits, labels).item() == pytest.approx(expected, rel=1e-6)


def test_text_loss_without_labels_is_zero_and_has_a_gradient():
    logits = torch.zeros(1, 3, 8, requires_grad=True)
    loss = text_generation_loss(logits, torch.full((1, 3), -100))
    loss.backward()
    assert loss.item() == 0 and logits.grad.abs().sum() == 0


FOUND = Condition({"prompt_embeds": torch.tensor([[[3.0, 4.0], [1.0, 0.0]]])})
WANTED = Condition({"prompt_embeds": torch.tensor([[[0.0, 0.0], [0.0, 1.0]]])})


@pytest.mark.parametrize(
    ("reduce", "expected"),
    [("l2norm", (5 + math.sqrt(2)) / 2), ("mse", (9 + 16 + 1 + 1) / 4), ("cosine", (1 + 1) / 2)],
)
def test_alignment_loss_is_the_formula(reduce, expected):
    assert alignment_loss(FOUND, WANTED, reduce=reduce).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("reduce", ["l2norm", "mse", "cosine"])
@pytest.mark.parametrize("name", ["prompt_attention_mask", "mask_2"])
def test_a_mask_is_no_value_to_learn(name, reduce):
    """An output projector's is all ones, a caption's ends with it: as values they would cost something."""
    found, wanted = torch.ones(1, 2, dtype=torch.long), torch.tensor([[1, 0]])
    masked = [Condition({**FOUND.tensors, name: found}), Condition({**WANTED.tensors, name: wanted})]
    assert alignment_loss(*masked, reduce=reduce).item() == alignment_loss(FOUND, WANTED, reduce=reduce).item()


def test_alignment_loss_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="l2norm, mse, cosine"):
        alignment_loss(FOUND, WANTED, reduce="huber")
    with pytest.raises(ValueError, match="prompt_embeds"):
        alignment_loss(FOUND, Condition({"pooled": torch.zeros(1, 2)}))
