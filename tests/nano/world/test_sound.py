"""Recordings of the world: determinism, level, and that each one sounds like what it is."""

import random

import numpy as np
import pytest

from anygen.nano.world.scene import (
    SHAPES, SILENT_THINGS, SOUNDING_THINGS, TONE_CONTOURS, TONE_HEIGHTS, Scene, Tone,
)  # fmt: skip
from anygen.nano.world.sound import render_audio
from anygen.nano.world.thing_sounds import THING_SOUNDS
from anygen.nano.world.tones import HEIGHT_RANGES

TONES = [Tone(height=height, contour=contour) for height in TONE_HEIGHTS for contour in TONE_CONTOURS]
SCENES = [Scene(thing=thing, color="red") for thing in SOUNDING_THINGS]
SCENES += [Scene(thing="ball", color="red", tone=tone) for tone in TONES]


def name(scene: Scene) -> str:
    return f"{scene.tone.height} {scene.tone.contour}" if scene.tone else scene.thing


def spectrogram(waveform: np.ndarray) -> np.ndarray:
    """Power of 64 ms windows every 16 ms, (T, 513); bin k is k * 15.625 Hz."""
    windows = np.lib.stride_tricks.sliding_window_view(waveform, 1024)[::256] * np.hanning(1024)
    return np.abs(np.fft.rfft(windows)) ** 2


def pitch_track(waveform: np.ndarray) -> np.ndarray:
    """Strongest frequency of each window that is not silent, in Hz."""
    power = spectrogram(waveform)
    loud = power.max(axis=1) > 0.05 * power.max()
    return power[loud].argmax(axis=1) * 16000 / 1024


def features(waveform: np.ndarray) -> np.ndarray:
    """What a sound is like whatever its onset: mean and spread over time of its log spectrum in 32 bands."""
    bands = np.stack([band.sum(axis=1) for band in np.array_split(spectrogram(waveform)[:, 1:385], 32, axis=1)], axis=1)
    log_bands = np.log10(bands / bands.max() + 1e-6)
    return np.concatenate([log_bands.mean(axis=0), log_bands.std(axis=0)])


def test_every_sounding_thing_has_a_sound():
    assert tuple(THING_SOUNDS) == SOUNDING_THINGS


@pytest.mark.parametrize("scene", SCENES, ids=name)
def test_format_level_and_determinism(scene):
    for seed in range(3):
        audio = render_audio(scene, seed)
        assert audio.waveform.shape == (32768,) and audio.waveform.dtype == np.float32 and audio.sampling_rate == 16000
        assert np.isfinite(audio.waveform).all()
        assert 0.499 <= np.abs(audio.waveform).max() <= 0.901
        assert audio.waveform.std() > 0.01
        np.testing.assert_array_equal(audio.waveform, render_audio(scene, random.Random(seed)).waveform)


@pytest.mark.parametrize("scene", SCENES, ids=name)
def test_draws_differ(scene):
    rng = random.Random(0)
    first, second = render_audio(scene, rng).waveform, render_audio(scene, rng).waveform
    assert np.abs(first - second).max() > 0.1


@pytest.mark.parametrize("scene", SCENES, ids=name)
def test_energy_lies_below_6_khz(scene):
    power = spectrogram(render_audio(scene, 0).waveform).sum(axis=0)
    assert power[385:].sum() < 0.03 * power.sum()


@pytest.mark.parametrize("thing", SILENT_THINGS + SHAPES)
def test_silent_things_are_refused(thing):
    with pytest.raises(ValueError, match="makes no sound"):
        render_audio(Scene(thing=thing, color="red"), 0)


def test_attributes_that_are_seen_are_not_heard():
    plain = render_audio(Scene(thing="bell", color="red"), 5).waveform
    other = Scene(thing="bell", color="blue", size="small", background="night", motion="spins")
    np.testing.assert_array_equal(plain, render_audio(other, 5).waveform)


def test_sounds_of_things_are_told_apart_by_their_nearest_centroid():
    centroids = {
        scene.thing: np.mean([features(render_audio(scene, seed).waveform) for seed in range(8)], axis=0)
        for scene in SCENES[: len(SOUNDING_THINGS)]
    }
    guesses = []
    for scene in SCENES[: len(SOUNDING_THINGS)]:
        for seed in range(100, 105):
            heard = features(render_audio(scene, seed).waveform)
            guesses.append((scene.thing, min(centroids, key=lambda known: np.linalg.norm(heard - centroids[known]))))
    mistakes = [(thing, guess) for thing, guess in guesses if thing != guess]
    assert len(mistakes) <= 0.05 * len(guesses), mistakes


@pytest.mark.parametrize("tone", TONES, ids=lambda tone: f"{tone.height} {tone.contour}")
def test_tones_have_their_height(tone):
    low, high = HEIGHT_RANGES[tone.height]
    scene = Scene(thing="ball", color="red", tone=tone)
    for seed in range(3):
        pitch = np.median(pitch_track(render_audio(scene, seed).waveform))
        assert low / 1.15 < pitch < high * 1.15


@pytest.mark.parametrize("height", TONE_HEIGHTS)
def test_contours_go_where_they_say(height):
    tones = {contour: Tone(height=height, contour=contour) for contour in TONE_CONTOURS}
    scenes = {contour: Scene(thing="ball", color="red", tone=tone) for contour, tone in tones.items()}
    tracks = {contour: pitch_track(render_audio(scene, 1).waveform) for contour, scene in scenes.items()}
    octaves = {contour: np.log2(track[-8:].mean() / track[:8].mean()) for contour, track in tracks.items()}
    assert octaves["rising"] > 0.7 and octaves["falling"] < -0.7
    assert all(abs(octaves[contour]) < 0.1 for contour in ("steady", "slow beeps", "fast beeps"))
    assert np.ptp(tracks["steady"]) <= 16000 / 1024
    assert np.ptp(tracks["warbling"]) > 0.12 * np.median(tracks["warbling"])


@pytest.mark.parametrize(("contour", "fewest", "most"), [("slow beeps", 2, 3), ("fast beeps", 8, 10), ("steady", 1, 1)])
def test_beeps_are_counted(contour, fewest, most):
    scene = Scene(thing="ball", color="red", tone=Tone(height="high", contour=contour))
    for seed in range(10):
        audio = render_audio(scene, seed)
        loudness = np.abs(audio.waveform).reshape(-1, 256).max(axis=1)
        is_on = np.concatenate([[False], loudness > 0.5 * loudness.max()])
        assert fewest <= np.sum(is_on[1:] & ~is_on[:-1]) <= most
