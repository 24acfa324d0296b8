"""Measurement of films without learning: how the thing moves.

A film in, one of the world's motions out. The foreground of each frame (`measure.py`) gives a track of where the thing
is and how far it extends; each kind of motion has a strength, 1 for the weakest that the world shows, and the strongest
wins. Checked against fresh renders by the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anygen.evaluation.measure import at_measuring_size, foreground, measure_color, measure_extent

TRAVEL_PIXELS = 28.0
"""Way of the shortest journey from the first frame to the last."""
GROWTH = 0.69
"""Natural logarithm of the ratio between the last and the first size: a doubling."""
SPIN_RANGE = 1.0
"""Range of the logarithm of width over height in half a turn."""
BOUNCE_PIXELS = 14.0
"""Range of the heights of the lowest bounce, as eight frames catch it."""
STILL = 0.4
"""Below this strength nothing moves."""
MISSING_FRAMES = 3
"""So many frames without a thing are a thing that blinks."""


@dataclass(frozen=True, kw_only=True)
class Track:
    """Where the thing is in those frames of a film that show it (F of T)."""

    frame: np.ndarray
    """Number of the frame, int (F,)."""
    center: np.ndarray
    """Centroid of the foreground in pixels, (F, 2): x to the right, y down."""
    extent: np.ndarray
    """Width and height in pixels, (F, 2)."""
    num_frames: int
    """T."""


def measure_video(frames: np.ndarray) -> dict[str, str | None]:
    """`{"color", "motion"}` of the lone thing in a film uint8 (T, H, W, 3); both None where nothing stands out."""
    frames = [at_measuring_size(frame) for frame in frames]
    masks = [foreground(frame) for frame in frames]
    largest = int(np.argmax([mask.sum() for mask in masks]))
    color = measure_color(frames[largest], masks[largest])
    return {"color": color, "motion": measure_motion(track(masks))}


def track(masks: list[np.ndarray]) -> Track:
    """Follow the foreground, bool (64, 64) per frame."""
    seen = [(index, mask, extent) for index, mask in enumerate(masks) if (extent := measure_extent(mask)) is not None]
    return Track(
        frame=np.array([index for index, _, _ in seen], dtype=int),
        center=np.array([np.argwhere(mask).mean(0)[::-1] + 0.5 for _, mask, _ in seen]).reshape(-1, 2),
        extent=np.array([(x1 - x0, y1 - y0) for _, _, (x0, y0, x1, y1) in seen]).reshape(-1, 2),
        num_frames=len(masks),
    )


def measure_motion(track: Track) -> str | None:
    """Which of `MOTIONS` a track shows; None for a film that shows nothing in two frames or more."""
    if len(track.frame) < 2:
        return None
    if track.num_frames - len(track.frame) >= MISSING_FRAMES:
        return "blinks"
    width, height = np.log(track.extent).T
    (right, down), (growth,) = _net_change(track, track.center), _net_change(track, (width + height)[:, None] / 2)
    swing = track.center[:, 1] - np.polyval(np.polyfit(track.frame, track.center[:, 1], 1), track.frame)
    strengths = {
        "moves left": -right / TRAVEL_PIXELS,
        "moves right": right / TRAVEL_PIXELS,
        "moves up": -down / TRAVEL_PIXELS,
        "moves down": down / TRAVEL_PIXELS,
        "grows": growth / GROWTH,
        "shrinks": -growth / GROWTH,
        "spins": np.ptp(width - height) / SPIN_RANGE,
        "bounces": np.ptp(swing) / BOUNCE_PIXELS,
        "stays still": STILL,
    }
    return max(strengths, key=strengths.get)


def _net_change(track: Track, values: np.ndarray) -> np.ndarray:
    """Change from the first to the last frame of a straight line through values (F, C): (C,)."""
    return np.polyfit(track.frame, values, 1)[0] * (track.num_frames - 1)
