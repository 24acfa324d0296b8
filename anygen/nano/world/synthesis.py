"""The sound synthesiser of nano's world: numpy building blocks of `thing_sounds.py` and `tones.py`.

A clip is a float array (S,) at 16 kHz of any length; `lay` puts clips on the 2.048 s time line of a recording,
(32768,). Frequencies are in Hz, times in seconds, gains are linear amplitudes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SAMPLING_RATE = 16000
NUM_SAMPLES = 32768
SECONDS = NUM_SAMPLES / SAMPLING_RATE


def time(seconds: float = SECONDS) -> np.ndarray:
    """Time of each sample of a clip, (S,) in seconds."""
    return np.arange(round(seconds * SAMPLING_RATE)) / SAMPLING_RATE


def glide(seconds: float, *frequencies: float) -> np.ndarray:
    """A pitch that passes through evenly spaced frequencies, (S,) in Hz; it moves by equal musical intervals."""
    clip_time = time(seconds)
    if len(frequencies) == 1:
        return np.full_like(clip_time, frequencies[0])
    return np.exp(np.interp(clip_time, np.linspace(0, seconds, len(frequencies)), np.log(frequencies)))


def phase_of(frequency: np.ndarray) -> np.ndarray:
    """Phase of an oscillator, (S,) in [0, 2 pi): the running integral of its frequency (S,).

    Whole turns are dropped in float64, so that what is left may be float32: its sine costs a tenth.
    """
    turns = np.cumsum(frequency) / SAMPLING_RATE
    return (2 * np.pi * (turns - np.floor(turns))).astype(np.float32)


def tone(frequency: np.ndarray, gains: Sequence[float | np.ndarray] = (1.0,)) -> np.ndarray:
    """Sum of harmonics: gains[k - 1] * sin(k * phase). A gain is a number, or (S,) where it changes in time.

    The harmonics come from the recurrence sin(k x) = 2 cos(x) sin((k - 1) x) - sin((k - 2) x), so that any number of
    them costs one sine and one cosine.
    """
    phase = phase_of(frequency)
    before, harmonic = np.zeros_like(phase), np.sin(phase)
    clip = gains[0] * harmonic
    twice_cosine = 2 * np.cos(phase) if len(gains) > 1 else None
    for gain in gains[1:]:
        before, harmonic = harmonic, twice_cosine * harmonic - before
        clip += gain * harmonic
    return clip


def voice(frequency: np.ndarray, formants: Sequence[tuple], num_harmonics: int) -> np.ndarray:
    """A throat, (S,): harmonics of `frequency` (S,) weighed by resonances: (centre, a number or (S,); width), in Hz."""
    gains = []
    for k in range(1, num_harmonics + 1):
        resonance = sum(1 / (1 + ((k * frequency - centre) / width) ** 2) for centre, width in formants)
        gains.append(resonance / np.sqrt(k))
    return tone(frequency, gains)


def noise(rng: np.random.Generator, seconds: float, low: float, high: float) -> np.ndarray:
    """Gaussian noise of unit power between two frequencies, with soft edges (second order at both sides)."""
    num_samples = len(time(seconds))
    frequency = np.fft.rfftfreq(num_samples, 1 / SAMPLING_RATE)
    band = 1 / (1 + (low / np.maximum(frequency, 1.0)) ** 4) / (1 + (frequency / high) ** 4)
    clip = np.fft.irfft(np.fft.rfft(rng.standard_normal(num_samples)) * band, num_samples)
    return clip / np.sqrt(np.mean(clip**2))


def decay(seconds: float, half_life: float, attack: float = 0.004) -> np.ndarray:
    """Envelope (S,) of something struck: up within `attack` seconds, then half as loud every `half_life`."""
    clip_time = time(seconds).astype(np.float32)
    release = np.clip((seconds - clip_time) / 0.01, 0, 1)
    return np.clip(clip_time / attack, 0, 1) * release * np.exp2(-clip_time / half_life)


def swell(seconds: float, attack: float, release: float) -> np.ndarray:
    """Envelope (S,) of something blown or sung: up within `attack`, level, down within the last `release` seconds."""
    clip_time = time(seconds).astype(np.float32)
    level = np.clip(np.minimum(clip_time / attack, (seconds - clip_time) / release), 0, 1)
    return level * level * (3 - 2 * level)


def pulse(rate: float, depth: float, start: float = 0.0) -> np.ndarray:
    """Tremolo over a whole recording, (32768,) in [1 - depth, 1]: `rate` swings a second, `start` in turns."""
    return 1 - depth * (0.5 - 0.5 * np.cos(2 * np.pi * (rate * time() + start)))


def lay(*events: tuple[float, np.ndarray]) -> np.ndarray:
    """A recording, (32768,), of (onset in seconds, clip) events; what runs over the end is cut off."""
    recording = np.zeros(NUM_SAMPLES)
    for onset, clip in events:
        start = round(onset * SAMPLING_RATE)
        part = clip[: max(NUM_SAMPLES - start, 0)]
        recording[start : start + len(part)] += part
    return recording


def beats(rng: np.random.Generator, period: float, first: float = 0.0, jitter: float = 0.0) -> list[float]:
    """Onsets within a recording, one a `period` from `first` on, each late by up to `jitter` seconds."""
    return [onset + jitter * rng.random() for onset in np.arange(first, SECONDS - 0.05, period)]
