"""Plain tones: a height (low, middle, high) and a contour in time, as recordings (32768,). `sound.py` sets the level.

A rising or falling tone has its height in the middle of the recording, and starts and ends half an octave away.
"""

from __future__ import annotations

import numpy as np

from anygen.nano.world.scene import Tone
from anygen.nano.world.synthesis import SECONDS, beats, glide, lay, swell, time, tone

HEIGHT_RANGES = {"low": (200.0, 260.0), "middle": (500.0, 620.0), "high": (1200.0, 1500.0)}
"""Pitch of each height in Hz; a draw is uniform in it."""
BEEP_PERIODS = {"slow beeps": (0.72, 0.9), "fast beeps": (0.21, 0.24)}
"""Seconds from beep to beep: two or three slow, eight to ten fast beeps in a recording."""


def render_tone(scene_tone: Tone, rng: np.random.Generator) -> np.ndarray:
    """A draw of a tone, (32768,)."""
    pitch = rng.uniform(*HEIGHT_RANGES[scene_tone.height])
    gains = (1.0, rng.uniform(0.05, 0.25), rng.uniform(0.02, 0.1))
    if scene_tone.contour in BEEP_PERIODS:
        return _beeps(pitch, gains, rng.uniform(*BEEP_PERIODS[scene_tone.contour]), rng)
    onset = rng.uniform(0.0, 0.15)
    seconds = SECONDS - onset
    half = 2 ** rng.uniform(0.45, 0.55)
    frequency = {
        "steady": glide(seconds, pitch),
        "rising": glide(seconds, pitch / half, pitch * half),
        "falling": glide(seconds, pitch * half, pitch / half),
        "warbling": pitch * (1 + rng.uniform(0.1, 0.14) * np.sin(2 * np.pi * rng.uniform(4.5, 6.0) * time(seconds))),
    }[scene_tone.contour]
    return lay((onset, tone(frequency, gains) * swell(seconds, 0.04, 0.06)))


def _beeps(pitch: float, gains: tuple[float, ...], period: float, rng: np.random.Generator) -> np.ndarray:
    """Equal beeps that fill half of each period."""
    seconds = 0.5 * period
    beep = tone(glide(seconds, pitch), gains) * swell(seconds, 0.015, 0.02)
    last_onset = SECONDS - seconds
    return lay(*((onset, beep) for onset in beats(rng, period, rng.uniform(0.01, 0.14)) if onset < last_onset))
