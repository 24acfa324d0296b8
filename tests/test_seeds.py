"""Random numbers are a function of the seed and the purpose, and of nothing else."""

import torch

from anygen.seeds import derived_generator, fresh_seed


def draws(*arguments) -> list[float]:
    return torch.rand(3, generator=derived_generator(*arguments)).tolist()


def test_same_purpose_same_numbers():
    torch.rand(7)
    assert draws(5, "image", 0, 1) == draws(5, "image", 0, 1)


def test_other_purposes_have_other_numbers():
    purposes = [(5, "image", 0, 0), (6, "image", 0, 0), (5, "video", 0, 0), (5, "image", 1, 0), (5, "image", 0, 1), (5,)]
    assert len({tuple(draws(*purpose)) for purpose in purposes}) == len(purposes)


def test_any_whole_number_is_a_seed():
    assert draws(-1) != draws(2**64) != draws(0)


def test_fresh_seeds_differ_and_are_short():
    seeds = {fresh_seed() for _ in range(20)}
    assert len(seeds) > 15 and all(0 <= seed < 2**32 for seed in seeds)
