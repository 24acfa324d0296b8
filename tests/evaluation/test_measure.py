"""The rulers are right: what is measured on fresh renders is what was drawn, and on other scenes' renders it is not."""

import random

import numpy as np
import pytest
from PIL import Image

from anygen.evaluation.measure import foreground, lab, measure_picture
from anygen.evaluation.measure_motion import measure_motion, measure_video, track
from anygen.evaluation.measure_tone import measure_tone, pitch_track
from anygen.media.types import Audio
from anygen.nano.world.image import render_image, render_image_and_mask
from anygen.nano.world.scene import BACKGROUNDS, MOTIONS, Scene, Tone, sample_scene, sample_tone
from anygen.nano.world.sound import render_audio
from anygen.nano.world.video import render_video


def drawn_scenes(count: int, *, purpose: str) -> list[tuple[Scene, random.Random]]:
    rngs = [random.Random(f"measure {purpose} {index}") for index in range(count)]
    splits = ("test", "test", "test", "held_out")
    return [(sample_scene(rng, splits[index % 4], lone=True), rng) for index, rng in enumerate(rngs)]


def share_equal(found: list, expected: list) -> float:
    return sum(a == b for a, b in zip(found, expected, strict=True)) / len(expected)


def spoiled(picture: np.ndarray, seed: int) -> np.ndarray:
    """A picture as a small autoencoder might return it: softened, blotched and noisy."""
    rng = np.random.default_rng(seed)
    soft = np.asarray(Image.fromarray(picture).resize((32, 32), Image.BOX).resize((64, 64), Image.BILINEAR))
    noise = rng.standard_normal((8, 8, 3)).repeat(8, 0).repeat(8, 1) + rng.standard_normal(picture.shape)
    return np.clip(0.7 * picture + 0.3 * soft + 2.5 * noise, 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("spoil", [False, True], ids=["clean", "spoiled"])
def test_color_and_place_of_pictures(spoil):
    drawn = drawn_scenes(100, purpose="picture")
    pictures = [render_image(scene, rng) for scene, rng in drawn]
    if spoil:
        pictures = [spoiled(picture, seed) for seed, picture in enumerate(pictures)]
    found = [measure_picture(picture) for picture in pictures]
    for attribute, chance in (("color", 0.1), ("place", 0.2)):
        truth = [getattr(scene, attribute) for scene, _ in drawn]
        measured = [each[attribute] for each in found]
        assert share_equal(measured, truth) >= 0.97
        assert share_equal(measured, truth[1:] + truth[:1]) < chance + 0.12  # another scene's truth: chance level


def test_pictures_of_other_sizes_are_measured_alike():
    picture = render_image(Scene(thing="car", color="purple", place="right", background="gray"), 3)
    large = np.asarray(Image.fromarray(picture).resize((256, 256), Image.BICUBIC))
    assert measure_picture(large) == {"color": "purple", "place": "right"}


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_the_foreground_is_the_thing_and_not_what_is_behind(background):
    scene = Scene(thing="heart", color="red", background=background)
    overlaps = []
    for seed in range(10):
        picture, mask = render_image_and_mask(scene, seed)
        found, drawn = foreground(picture), mask > 0.5
        overlaps.append((found & drawn).sum() / (found | drawn).sum())
    assert min(overlaps) > 0.85


def test_an_empty_picture_shows_nothing():
    empty = np.full((64, 64, 3), 250, dtype=np.uint8)
    assert measure_picture(empty) == {"color": None, "place": None}
    assert measure_video(np.stack([empty] * 8)) == {"color": None, "motion": None}


def test_lab_of_known_colors():
    """Reference values of sRGB primaries under D65."""
    known = {(255, 255, 255): (100, 0, 0), (255, 0, 0): (53.24, 80.09, 67.20), (0, 0, 255): (32.30, 79.19, -107.86)}
    np.testing.assert_allclose(lab(np.array(list(known))), np.array(list(known.values())), atol=0.15)


def test_motion_of_films():
    drawn = drawn_scenes(60, purpose="film")
    found = [measure_video(render_video(scene, rng).frames) for scene, rng in drawn]
    truth = [scene.motion for scene, _ in drawn]
    measured = [each["motion"] for each in found]
    assert share_equal(measured, truth) >= 0.97
    assert share_equal(measured, truth[1:] + truth[:1]) < 0.25
    assert share_equal([each["color"] for each in found], [scene.color for scene, _ in drawn]) >= 0.97


def test_motion_of_a_plain_track():
    """A square of 12 pixels that we move ourselves; no renderer of the world has a part in it."""
    paths = {
        "moves right": lambda i: (10 + 5 * i, 32, 12),
        "moves up": lambda i: (32, 50 - 5 * i, 12),
        "grows": lambda i: (32, 32, 10 + 3 * i),
        "bounces": lambda i: (32, 50 - 25 * abs(np.sin(np.pi * i / 4)), 12),
        "stays still": lambda i: (20, 40, 12),
        "blinks": lambda i: (32, 32, 12 * (i // 2 % 2)),
    }
    for motion, path in paths.items():
        masks = []
        for index in range(8):
            x, y, size = (round(float(value)) for value in path(index))
            mask = np.zeros((64, 64), dtype=bool)
            mask[y - size // 2 : y + size // 2, x - size // 2 : x + size // 2] = True
            masks.append(mask)
        assert measure_motion(track(masks)) == motion
    assert set(paths) < set(MOTIONS)


def test_tones():
    tones = [sample_tone(random.Random(f"measure tone {index}")) for index in range(120)]
    noise = np.random.default_rng(0)
    found = []
    for seed, tone in enumerate(tones):
        wave = render_audio(Scene(thing="sun", color="red", tone=tone), seed).waveform
        wave = wave + 0.01 * noise.standard_normal(len(wave)).astype(np.float32)
        found.append(measure_tone(Audio(wave, 16_000)))
    truth = [{"height": tone.height, "contour": tone.contour} for tone in tones]
    assert share_equal(found, truth) >= 0.97
    assert share_equal(found, truth[1:] + truth[:1]) < 0.2


def test_pitch_in_hertz_and_silence():
    seconds = np.arange(32_768) / 16_000
    pitch, level = pitch_track(Audio(np.sin(2 * np.pi * 440 * seconds).astype(np.float32), 16_000))
    assert np.abs(pitch - 440).max() < 5
    np.testing.assert_allclose(level, 0.5**0.5, atol=0.01)
    assert measure_tone(Audio(np.zeros(32_768, np.float32), 16_000)) == {"height": None, "contour": None}
    assert measure_tone(Audio(np.sin(2 * np.pi * 600 * seconds).astype(np.float32), 16_000)) == {
        "height": "middle",
        "contour": "steady",
    }


def test_tones_are_told_apart_at_their_extremes():
    for height in ("low", "high"):
        for contour in ("slow beeps", "fast beeps", "warbling"):
            audio = render_audio(Scene(thing="sun", color="red", tone=Tone(height=height, contour=contour)), 11)
            assert measure_tone(audio) == {"height": height, "contour": contour}
