"""Recordings of nano's world: a `Scene` in, 2.048 s of mono sound at 16 kHz out.

What a sound is made of stands in `thing_sounds.py` and `tones.py`; this file picks and sets the level.
"""

from __future__ import annotations

import random

import numpy as np

from anygen.media.types import Audio
from anygen.nano.world.scene import SOUNDING_THINGS, Scene
from anygen.nano.world.synthesis import SAMPLING_RATE, SECONDS, swell
from anygen.nano.world.thing_sounds import THING_SOUNDS
from anygen.nano.world.tones import render_tone

LEVELS = (0.5, 0.9)
"""Range of a recording's peak; a draw is uniform in it."""


def render_audio(scene: Scene, rng: random.Random | int) -> Audio:
    """Record a scene: its `tone` where that is given, else its thing's own sound.

    Args:
        scene: what is heard; colour, size, place, background, count and motion are not.
        rng: source of the draw's variation (pitch, tempo, onset, level); a number is the seed of a fresh one. The same
            scene and state give the same samples.

    Returns:
        Audio of 32768 float32 samples at 16 kHz with a peak of 0.5 to 0.9.

    Raises:
        ValueError: the scene cannot be heard.
    """
    if not scene.sounds:
        raise ValueError(f"a {scene.thing} makes no sound: use a tone, or one of {', '.join(SOUNDING_THINGS)}")
    rng = random.Random(rng) if isinstance(rng, int) else rng
    draw = np.random.default_rng(rng.getrandbits(64))
    recording = render_tone(scene.tone, draw) if scene.tone is not None else THING_SOUNDS[scene.thing](draw)
    recording = recording * swell(SECONDS, 0.003, 0.01)
    recording *= draw.uniform(*LEVELS) / np.abs(recording).max()
    return Audio(waveform=recording.astype(np.float32), sampling_rate=SAMPLING_RATE)
