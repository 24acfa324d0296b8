"""Films: what moves, how far and which way, before a background that holds still."""

import random

import numpy as np
import pytest

from anygen.nano.world.image import render_image
from anygen.nano.world.scene import MOTIONS, SIZES, THINGS, Companion, Scene, sample_scene
from anygen.nano.world.video import MOTIONS_SHOWN, render_video


def covered(frames):
    """Where a red thing is in frames before white: bool (T, 64, 64)."""
    frames = frames.astype(int)
    return frames[..., 1] < 150


def film(thing, motion, seed, size="large", **attributes):
    scene = Scene(thing=thing, color="red", size=size, motion=motion, background="white", **attributes)
    return render_video(scene, seed).frames


def centers(frames):
    """Centre of mass (x, y) of the thing in each frame, float (T, 2)."""
    return np.array([np.argwhere(mask).mean(axis=0)[::-1] for mask in covered(frames)])


def areas(frames):
    return covered(frames).sum(axis=(1, 2))


def test_every_motion_of_the_world_can_be_shown():
    assert tuple(MOTIONS_SHOWN) == MOTIONS


def test_same_scene_and_seed_give_the_same_film():
    for seed in range(len(MOTIONS)):
        scene = sample_scene(random.Random(seed), lone=True)
        first, again = render_video(scene, seed), render_video(scene, random.Random(seed))
        assert first.frames.shape == (8, 64, 64, 3) and first.fps == 4 and first.audio is None
        assert np.array_equal(first.frames, again.frames)
        assert not np.array_equal(first.frames, render_video(scene, seed + 1).frames)


@pytest.mark.parametrize(
    "motion, way", [("moves left", (-1, 0)), ("moves right", (1, 0)), ("moves up", (0, -1)), ("moves down", (0, 1))]
)
def test_travel_goes_one_way_through_the_picture(motion, way):
    axis = 0 if way[0] else 1
    for seed, thing in enumerate(THINGS):
        path = centers(film(thing, motion, seed, SIZES[seed % 2]))
        steps = np.diff(path[:, axis]) * way[axis]
        assert (steps > 2).all() and steps.sum() >= 24, f"{thing} {motion}: {steps}"
        aside = path[:, 1 - axis]
        assert np.ptp(aside) < 2 and abs(aside.mean() - 32) < 8


def test_grows_and_shrinks_by_a_factor_of_two():
    for seed, thing in enumerate(THINGS):
        area = areas(film(thing, "grows", seed, SIZES[seed % 2]))
        assert (np.diff(area) > 0).all() and 2.4 < area[-1] / area[0] < 6, f"{thing}: {area}"
        area = areas(film(thing, "shrinks", seed, SIZES[seed % 2]))
        assert (np.diff(area) < 0).all() and 2.4 < area[0] / area[-1] < 6, f"{thing}: {area}"


def test_spin_squashes_the_width_twice_and_keeps_the_height():
    for seed, thing in enumerate(THINGS):
        masks = covered(film(thing, "spins", seed))
        widths, heights = masks.any(axis=1).sum(axis=1), masks.any(axis=2).sum(axis=1)
        narrow = widths < 0.6 * widths.max()
        assert narrow[[2, 6]].all() and not narrow[[0, 4]].any(), f"{thing}: {widths}"
        assert np.ptp(heights) < 0.35 * heights.max()


def test_blink_shows_and_hides_in_turns():
    seen = {tuple(areas(film("star", "blinks", seed)) > 0) for seed in range(20)}
    on, off = True, False
    assert seen == {(on, on, off, off) * 2, (on, off, off, on) * 2}


def test_bounce_leaves_the_ground_twice():
    for seed, thing in enumerate(THINGS):
        height = 64 - centers(film(thing, "bounces", seed, SIZES[seed % 2]))[:, 1]
        assert min(height[2], height[6]) - max(height[0], height[4]) > 10, f"{thing}: {height}"
        assert height[1] > height[0] + 4 and height[3] > height[4] + 4


def test_stillness_is_the_same_frame():
    frames = film("boat", "stays still", 1, place="left")
    assert (frames == frames[0]).all() and centers(frames)[0, 0] < 26


@pytest.mark.parametrize("motion", ["grows", "spins", "blinks", "stays still"])
def test_place_holds_where_the_motion_does_not_travel(motion):
    frames = film("circle", motion, 5, "small", place="top")
    shown = frames[areas(frames) > 0]
    assert (centers(shown)[:, 1] < 24).all() and (abs(centers(shown)[:, 0] - 32) < 5).all()


def test_background_holds_still():
    scene = Scene(thing="ball", color="red", motion="moves left", background="night", size="small")
    frames = render_video(scene, 2).frames
    assert (frames[:, :14] == frames[0, :14]).all() and len(np.unique(frames[0, :14].reshape(-1, 3), axis=0)) > 20


def test_first_frame_of_a_still_film_is_the_picture_of_the_same_seed():
    scene = Scene(thing="drum", color="yellow", background="sky", motion="stays still")
    assert np.array_equal(render_video(scene, 9).frames[0], render_image(scene, 9))


def test_several_things_make_no_film():
    companion = Companion(thing="cat", color="red", relation="above")
    for scene in (Scene(thing="dog", color="red", count=2), Scene(thing="dog", color="red", companion=companion)):
        with pytest.raises(ValueError, match="one thing"):
            render_video(scene, 0)
