"""Measurement of tones without learning: a waveform in, the height and the contour of its pitch out.

The strongest partial of each 64 ms window gives a pitch track, the level of the windows gives an envelope; a tone that
comes and goes is beeps, one that goes on is told by how its pitch changes. Checked against fresh renders by the tests.
"""

from __future__ import annotations

import numpy as np

from anygen.media.types import Audio

WINDOW_SECONDS, HOP_SECONDS = 0.064, 0.016
PITCH_RANGE = (120.0, 2600.0)
"""Hz; where the strongest partial is looked for."""
HEIGHT_BOUNDS = (("low", 356.0), ("middle", 864.0), ("high", np.inf))
"""Upper bound of each height in Hz: geometric means between the neighbours' usual pitches (230, 560 and 1350 Hz)."""
AUDIBLE = 0.25
"""A window sounds when its level is more than this share of the loud windows' level."""


def measure_tone(audio: Audio) -> dict[str, str | None]:
    """`{"height", "contour"}` of a tone; both None for silence. Source: short-time Fourier peaks, no learning."""
    pitch, level = pitch_track(audio)
    loud = np.quantile(level, 0.9)
    sounding = level > AUDIBLE * loud
    if loud < 1e-4 or sounding.sum() < 4:
        return {"height": None, "contour": None}
    octaves = np.log2(pitch)
    middle = 2 ** np.median(octaves[sounding])
    height = next(name for name, bound in HEIGHT_BOUNDS if middle < bound)
    num_bursts = int(np.sum(np.diff(sounding.astype(int), prepend=0) == 1))
    if num_bursts >= 2 and sounding.mean() < 0.85:
        return {"height": height, "contour": "fast beeps" if num_bursts >= 6 else "slow beeps"}
    return {"height": height, "contour": _contour(octaves, sounding)}


def pitch_track(audio: Audio) -> tuple[np.ndarray, np.ndarray]:
    """Pitch in Hz and level (root mean square), one of each every 16 ms: two arrays (T,)."""
    window, hop = (round(seconds * audio.sampling_rate) for seconds in (WINDOW_SECONDS, HOP_SECONDS))
    samples = np.asarray(audio.waveform, dtype=np.float64)
    samples = np.pad(samples, (0, max(0, window - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    padded = 4 * window  # zero padding: bins of 4 Hz at windows of 64 ms
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(window), padded))
    hertz = np.fft.rfftfreq(padded, 1 / audio.sampling_rate)
    low, high = np.searchsorted(hertz, PITCH_RANGE)
    return hertz[low + spectrum[:, low:high].argmax(1)], np.sqrt(np.mean(frames**2, axis=1))


def _contour(octaves: np.ndarray, sounding: np.ndarray) -> str:
    """Of a tone that goes on: a straight line through the pitch (octaves over seconds), then what swings around it."""
    seconds = HOP_SECONDS * np.flatnonzero(sounding)
    track = octaves[sounding]
    slope, start = np.polyfit(seconds, track, 1)
    change = slope * (seconds[-1] - seconds[0])
    if abs(change) > 0.4:
        return "rising" if change > 0 else "falling"
    swing = np.median(np.abs(track - (start + slope * seconds)))
    return "warbling" if swing > 0.03 else "steady"
