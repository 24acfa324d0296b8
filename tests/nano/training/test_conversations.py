"""Examples of the alignment stages: media by their pools' tokens and latents, and only conversations that fit."""

import random

import pytest
import torch

from anygen.media.types import MEDIA
from anygen.nano.training.conversations import EncodedPool, ExampleSource
from anygen.nano.training.pools import Pool


@pytest.fixture(scope="module")
def pools():
    """Sixty scenes a modality; medium i has tokens and latents that are all i."""
    encoded = {}
    for modality in MEDIA:
        pool = Pool(modality=modality, count=60, seed=3)
        numbers = torch.arange(60.0).half()
        encoded[modality] = EncodedPool(
            pool=pool,
            tokens=numbers[:, None, None].expand(60, 2, 8),
            latents=numbers[:, None, None, None].expand(60, 4, 2, 2),
            index_of={pool.scene(index): index for index in range(60)},
        )
    return encoded


def test_media_are_the_tokens_of_the_user_and_the_latents_of_the_assistant(pools):
    source, rng = ExampleSource(pools), random.Random(0)
    seen, known = 0, 0
    for example in (source.draw(rng) for _ in range(60)):
        made = [part for turn in example.conversation if turn.role == "assistant" for part in turn.parts if part.type != "text"]
        shown = [part for turn in example.conversation if turn.role == "user" for part in turn.parts if part.type != "text"]
        assert all(part.caption for part in made) and len(made) == len(example.latents)
        assert all(part.features.shape == (2, 8) and part.features.std() == 0 for part in shown)
        seen, known = seen + len(shown), known + sum(latents is not None for latents in example.latents)
    assert seen > 10 and known > 10


def test_what_does_not_fit_is_drawn_again(pools):
    drawn = [ExampleSource(pools).draw(random.Random(seed)) for seed in range(40)]
    assert any(len(example.conversation) > 2 for example in drawn)
    short = ExampleSource(pools, fits=lambda conversation: len(conversation) <= 2)
    assert all(len(short.draw(random.Random(seed)).conversation) == 2 for seed in range(40))
