"""The closed world: valid scenes only, splits that are pure functions of names and hold out a tenth of the pairs."""

import random
from collections import Counter
from itertools import product

import pytest

from anygen.nano.world.scene import (
    BACKGROUNDS,
    COLORS,
    INVISIBLE_PAIRS,
    MOTIONS,
    PLACES,
    SIZES,
    SOUNDING_THINGS,
    SPLITS,
    THINGS,
    TONE_CONTOURS,
    TONE_HEIGHTS,
    Companion,
    Scene,
    Tone,
    held_out_pairs,
    is_held_out,
    sample_scene,
    sample_tone,
)


def draw(split, number=400, **kind):
    rng = random.Random(f"{split} {kind}")
    return [sample_scene(rng, split, **kind) for _ in range(number)]


def test_world_has_thirty_two_things_half_of_which_sound():
    assert len(set(THINGS)) == 32 and len(SOUNDING_THINGS) == 16
    assert [Scene(thing=thing, color="red").sounds for thing in THINGS] == [True] * 16 + [False] * 16
    assert Scene(thing="circle", color="red", tone=Tone(height="low", contour="steady")).sounds


def test_a_tenth_of_all_pairs_is_held_out():
    for attributes, slack in ((COLORS, 0.04), (MOTIONS, 0.04), (BACKGROUNDS, 0.05)):
        pairs = list(product(THINGS, attributes))
        share = sum(is_held_out(*pair) for pair in pairs) / len(pairs)
        assert abs(share - 0.1) < slack, f"{attributes}: {share}"


def test_held_out_pairs_never_change():
    """Weights are trained on this split: another one would make its figures a lie."""
    held_out = [pair for pair in product(THINGS, COLORS) if is_held_out(*pair)]
    assert len(held_out) == 34
    assert held_out[:4] == [("drum", "purple"), ("bird", "black"), ("cat", "green"), ("dog", "red")]
    assert held_out[-2:] == [("ring", "yellow"), ("crescent", "pink")]


def test_every_name_is_trained_on_with_most_of_its_partners():
    for thing in THINGS:
        assert sum(is_held_out(thing, color) for color in COLORS) <= 5
    for color in COLORS:
        assert sum(is_held_out(thing, color) for thing in THINGS) <= 10


@pytest.mark.parametrize("kind", [{}, {"lone": True}, {"sounding": True, "lone": True}])
def test_splits_hold_what_they_say(kind):
    for split in SPLITS:
        for scene in draw(split, **kind):
            assert bool(held_out_pairs(scene)) == (split == "held_out")
            colors = [scene.color] + ([scene.companion.color] if scene.companion else [])
            assert not any((color, scene.background) in INVISIBLE_PAIRS for color in colors)
            if "lone" in kind:
                assert scene.count == 1 and scene.companion is None
            if "sounding" in kind:
                assert scene.sounds


def test_held_out_pairs_are_named():
    thing, color = next(pair for pair in product(THINGS, COLORS) if is_held_out(*pair))
    still = next(m for m in MOTIONS if not is_held_out(thing, m))
    behind = next(b for b in BACKGROUNDS if not is_held_out(thing, b))
    assert held_out_pairs(Scene(thing=thing, color=color, motion=still, background=behind)) == [(thing, color)]
    main = next(t for t in THINGS if not any(is_held_out(t, name) for name in ("red", still, behind)))
    companion = Companion(thing=thing, color=color, relation="above")
    assert held_out_pairs(Scene(thing=main, color="red", motion=still, background=behind, companion=companion)) == [
        (thing, color)
    ]


def test_same_seed_draws_the_same_scenes():
    assert draw("train", 30) == draw("train", 30)
    assert len(set(draw("train", 30))) == 30


def test_draws_cover_the_world():
    scenes = draw("train", 4000)
    for attribute, names in (
        ("thing", THINGS), ("color", COLORS), ("size", SIZES), ("background", BACKGROUNDS), ("motion", MOTIONS),
    ):  # fmt: skip
        counts = Counter(getattr(scene, attribute) for scene in scenes)
        assert set(counts) == set(names)
        assert min(counts.values()) > 0.2 * len(scenes) / len(names), (attribute, counts)
    lone = [scene for scene in scenes if scene.count == 1 and scene.companion is None]
    assert 0.7 < len(lone) / len(scenes) < 0.9 and {scene.place for scene in lone} == set(PLACES)


def test_all_tones_are_drawn():
    rng = random.Random(0)
    assert len({sample_tone(rng) for _ in range(500)}) == len(TONE_HEIGHTS) * len(TONE_CONTOURS) == 18


@pytest.mark.parametrize(
    "wrong, found",
    [
        ({"thing": "whale"}, "thing='whale'"),
        ({"color": "gray"}, "color='gray'"),
        ({"count": 4}, "count=4"),
        ({"background": "sea"}, "background='sea'"),
        ({"motion": "flies"}, "motion='flies'"),
        ({"count": 2, "companion": Companion(thing="cat", color="red", relation="above")}, "count=2"),
        ({"count": 2, "place": "left"}, "place='left'"),
    ],
)
def test_scenes_outside_the_world_are_refused(wrong, found):
    with pytest.raises(ValueError, match=found):
        Scene(**({"thing": "dog", "color": "red"} | wrong))
