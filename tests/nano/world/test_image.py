"""Pictures: same seed same bytes, the named colour is seen, things stand where the scene says."""

import random

import numpy as np
import pytest

from anygen.nano.world.backgrounds import BACKGROUNDS_PAINTED, paint_background
from anygen.nano.world.image import render_image, render_image_and_mask
from anygen.nano.world.scene import (
    BACKGROUNDS,
    COLORS,
    INVISIBLE_PAIRS,
    PLACES,
    RELATIONS,
    SHAPES,
    SIZES,
    THINGS,
    Companion,
    Scene,
    sample_scene,
)
from anygen.nano.world.things import PAINTS, THINGS_DRAWN, draw_thing, mix_paint


def nearest_color(pixels):
    """Index into PAINTS of the nearest paint for each pixel of (N, 3)."""
    paints = np.array(list(PAINTS.values()), dtype=np.float64)
    return ((pixels[:, None].astype(np.float64) - paints) ** 2).sum(axis=-1).argmin(axis=1)


def centroid(mask):
    """Centre of mass (x, y) of a mask, in pixels."""
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    return np.array([(mask * x).sum(), (mask * y).sum()]) / mask.sum()


def extent(mask):
    """The longer side of what is covered, in pixels."""
    y, x = np.nonzero(mask > 0.5)
    return max(np.ptp(y), np.ptp(x)) + 1


def test_every_name_of_the_world_can_be_drawn():
    assert tuple(THINGS_DRAWN) == THINGS and tuple(PAINTS) == COLORS and tuple(BACKGROUNDS_PAINTED) == BACKGROUNDS


def test_same_scene_and_seed_give_the_same_bytes():
    for seed in range(20):
        scene = sample_scene(random.Random(seed))
        first = render_image(scene, seed)
        assert first.shape == (64, 64, 3) and first.dtype == np.uint8
        assert np.array_equal(first, render_image(scene, random.Random(seed)))
        assert np.array_equal(first, render_image_and_mask(scene, seed)[0])
        assert not np.array_equal(first, render_image(scene, seed + 1))


@pytest.mark.parametrize("thing", THINGS)
def test_named_color_covers_most_of_the_thing(thing):
    for index, color in enumerate(COLORS):
        shares = []
        for seed, size in enumerate(SIZES * 2):
            picture, mask = render_image_and_mask(Scene(thing=thing, color=color, size=size, background="gray"), seed)
            found = nearest_color(picture[mask > 0.95])
            assert np.bincount(found, minlength=10).argmax() == index, f"{color} {thing} looks {COLORS[found[0]]}"
            shares.append((found == index).mean())
        assert np.mean(shares) > (0.85 if thing in SHAPES else 0.45)


def test_paints_keep_their_names():
    rng = random.Random(0)
    for index, color in enumerate(COLORS):
        mixed = np.array([mix_paint(color, rng) for _ in range(50)])
        assert (nearest_color(mixed) == index).all() and len(np.unique(mixed, axis=0)) > 5


def test_thing_stands_out_from_every_background():
    for background in BACKGROUNDS:
        for index, color in enumerate(COLORS):
            if (color, background) in INVISIBLE_PAIRS:
                continue
            scene = Scene(thing=THINGS[index * 3], color=color, background=background)
            picture, mask = render_image_and_mask(scene, index)
            inside, outside = picture[mask > 0.95], picture[mask == 0]
            distance = np.abs(np.median(inside, axis=0) - np.median(outside, axis=0)).max()
            assert distance > 40, f"{color} before {background}: {distance}"


@pytest.mark.parametrize("place", PLACES)
def test_lone_thing_stands_at_its_place(place):
    wanted = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1), "center": (0, 0)}[place]
    for seed, thing in enumerate(THINGS):
        for size in SIZES:
            _, mask = render_image_and_mask(Scene(thing=thing, color="red", size=size, place=place), seed)
            offset = centroid(mask) - 32
            for found, sign in zip(offset, wanted, strict=True):
                assert found * sign > 6 if sign else abs(found) < 7, f"{thing} at {place}: off by {offset}"
            border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
            assert border.sum() < 6, f"{thing} is cut off"


def test_sizes_do_not_overlap():
    for seed, thing in enumerate(THINGS):
        small, large = (
            extent(render_image_and_mask(Scene(thing=thing, color="blue", size=size), seed)[1]) for size in SIZES
        )
        assert 18 <= small <= 29 and 31 <= large <= 46, (thing, small, large)


def num_parts(mask):
    """Number of connected areas of a boolean mask (8 neighbours), by flooding."""
    left = {tuple(place) for place in np.argwhere(mask)}
    parts = 0
    while left:
        parts, front = parts + 1, [left.pop()]
        while front:
            y, x = front.pop()
            around = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= around
            front.extend(around)
    return parts


@pytest.mark.parametrize("count", [1, 2, 3])
def test_count_is_the_number_of_things(count):
    for seed in range(12):
        thing = ("heart", "circle", "bell", "apple")[seed % 4]
        scene = Scene(thing=thing, color="red", size=SIZES[seed % 2], count=count)
        assert num_parts(render_image_and_mask(scene, seed)[1] > 0.5) == count


@pytest.mark.parametrize("relation", RELATIONS)
def test_main_thing_stands_to_its_companion_as_said(relation):
    axis = 1 if relation == "left of" else 0
    for seed in range(10):
        companion = Companion(thing=THINGS[seed], color="blue", relation=relation)
        scene = Scene(thing=THINGS[seed + 20], color="red", companion=companion, background="white")
        colors = nearest_color(render_image(scene, seed).reshape(-1, 3)).reshape(64, 64)
        main, other = (np.argwhere(colors == COLORS.index(color)).mean(axis=0) for color in ("red", "blue"))
        assert main[axis] < other[axis] - 20 and abs(main[1 - axis] - other[1 - axis]) < 6


def test_every_thing_has_company_of_every_other():
    for index, thing in enumerate(THINGS):
        for other in THINGS[index % 4 :: 4]:
            companion = Companion(thing=other, color="blue", relation="above")
            _, mask = render_image_and_mask(Scene(thing=thing, color="red", companion=companion), index)
            assert mask[:32].sum() > 20 and mask[32:].sum() > 20


def test_backgrounds_have_their_tone():
    means = {
        name: np.mean([np.asarray(paint_background(name, random.Random(seed))) for seed in range(5)], axis=(0, 1, 2))
        for name in BACKGROUNDS
    }
    assert means["white"].min() > 235 and means["black"].max() < 20
    assert np.ptp(means["gray"]) < 6 and 110 < means["gray"].mean() < 170
    assert means["sky"].argmax() == 2 and means["sky"].min() > 120
    assert means["grass"].argmax() == 1 and means["night"].argmax() == 2 and means["night"].max() < 110


def test_drawn_thing_is_a_sprite_on_nothing():
    sprite = np.asarray(draw_thing("heart", (200, 30, 40), 3, size=48))
    assert sprite.shape == (48, 48, 4)
    assert (sprite[0, :, 3] == 0).all() and (sprite[24, 24] == (200, 30, 40, 255)).all()
    assert np.array_equal(sprite, np.asarray(draw_thing("heart", (200, 30, 40), random.Random(3), size=48)))
