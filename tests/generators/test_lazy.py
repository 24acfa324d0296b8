"""Generators that come and go: loaded at first use, evicted by a budget, the same afterwards."""

import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from anygen.errors import AnyGenError
from anygen.generators import load_generators, save_generators
from anygen.generators.lazy import GeneratorBudget, GeneratorHeader, LazyGenerator
from anygen.generators.loading import LoadOptions, load_generator

sys.path.insert(0, str(Path(__file__).parent))
from tiny_audio import musicgen, vits  # noqa: E402  (beside this file)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("musicgen")
    musicgen().save_pretrained(place)
    return place


def lazy(folder, *, budget=None, header=None):
    """A lazy generator, and how often it was loaded."""
    loads = []

    def loader():
        loads.append(1)
        return load_generator(folder)

    return LazyGenerator(loader, modality="audio", budget=budget, header=header), loads


def sound(generator):
    seeds = [torch.Generator().manual_seed(3)]
    return generator.generate(generator.encode_text(["a red bell"]), generators=seeds)[0].waveform


def test_it_loads_at_first_use_and_is_the_same_after_eviction(folder):
    generator, loads = lazy(folder)
    assert not generator.is_loaded and not list(generator.parameters())
    first = sound(generator)
    assert generator.is_loaded and len(loads) == 1
    generator.evict()
    assert not generator.is_loaded
    assert np.array_equal(sound(generator), first) and len(loads) == 2
    assert np.array_equal(first, sound(load_generator(folder)))


def test_a_header_answers_without_loading(folder):
    header = GeneratorHeader.of(load_generator(folder))
    generator, loads = lazy(folder, header=header)
    assert generator.condition_spec == header.condition_spec and generator.default_parameters["top_k"] == 250
    assert not loads
    wrong = GeneratorHeader(condition_spec={"x": (1,)}, default_parameters={}, settings={})
    with pytest.raises(AnyGenError, match="recorded header"):
        lazy(folder, header=wrong)[0].load()


def test_the_one_used_longest_ago_leaves(folder):
    budget = GeneratorBudget(max_loaded=2)
    first, second, third = (lazy(folder, budget=budget)[0] for _ in range(3))
    first.load()
    second.load()
    first.load()
    third.load()
    assert [each.is_loaded for each in (first, second, third)] == [True, False, True]


def test_one_in_use_is_waited_for(folder):
    budget = GeneratorBudget(max_loaded=1)
    first, second = lazy(folder, budget=budget)[0], lazy(folder, budget=budget)[0]
    thread = threading.Thread(target=second.load)
    with first.used():
        thread.start()
        time.sleep(0.2)
        assert first.is_loaded and not second.is_loaded
    thread.join(timeout=60)
    assert second.is_loaded and not first.is_loaded


def test_threads_share_a_budget(folder):
    budget = GeneratorBudget(max_loaded=1)
    generators = [lazy(folder, budget=budget)[0] for _ in range(2)]
    expected, found = sound(load_generator(folder)), []
    threads = [threading.Thread(target=lambda g=g: found.append(sound(g))) for g in generators * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert len(found) == 4 and all(np.array_equal(each, expected) for each in found)
    assert sum(each.is_loaded for each in generators) == 1


def test_one_that_fails_to_load_leaves_its_place(folder):
    budget = GeneratorBudget(max_loaded=1)
    wrong = LazyGenerator(lambda: load_generator(folder), modality="image", budget=budget)
    with pytest.raises(AnyGenError, match="expected one of image"):
        wrong.load()
    good, _ = lazy(folder, budget=budget)
    good.load()
    assert good.is_loaded


def test_moves_hold_after_a_load(folder):
    generator, _ = lazy(folder)
    generator.to(torch.float64)
    with generator.used() as held:
        assert held.model.dtype == torch.float64
    with pytest.raises(AnyGenError, match="at least 1"):
        GeneratorBudget(max_loaded=0)


def test_it_is_differentiable_as_what_it_wraps_is(folder, tmp_path):
    vits(tmp_path).save_pretrained(tmp_path / "vits")
    assert not LazyGenerator.from_source(tmp_path / "vits", modality="audio").is_differentiable
    assert LazyGenerator.from_source(folder, modality="audio").is_differentiable


def test_saved_as_a_reference_it_stays_lazy_and_keeps_its_options(folder, tmp_path):
    options = LoadOptions(dtype="bfloat16", device="cpu", settings={"guidance_scale": 2.0})
    budget = GeneratorBudget(max_loaded=1)
    first, second = (
        LazyGenerator.from_source(folder, modality="audio", options=options, budget=budget) for _ in range(2)
    )
    second.load()
    save_generators({"audio": first, "video": second}, tmp_path)
    assert second.is_loaded and not first.is_loaded, "saving loaded it"
    again = load_generators(tmp_path)
    one, other = again["audio"], again["video"]
    assert not one.is_loaded and not other.is_loaded and one.budget is other.budget
    assert (one.source, one.load_options, one.header) == (str(folder), options, None)
    assert other.header == second.header and other.condition_spec == second.condition_spec and not other.is_loaded
    with one.used() as held:
        assert held.model.dtype == torch.bfloat16 and held.default_parameters["guidance_scale"] == 2.0
