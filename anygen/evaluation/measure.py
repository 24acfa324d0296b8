"""Measurement of pictures without learning: where the thing is and which colour it has.

Generated pictures in, names of the world's attributes out. The background is what can be reached from the picture's rim
over pixels of its own colours, the foreground is the rest; its pixels vote for the nearest of ten reference colours and
its extent gives the place. Checked against fresh renders by the tests (at least 97 % right), so that a low figure in
the table is the model's and not the ruler's. Films are measured in `measure_motion.py`, tones in `measure_tone.py`.

A picture is uint8 (H, W, 3), measured at 64 x 64; colours are compared in CIE L*a*b* (CIE 15:2004, D65 white point).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from anygen.nano.world.scene import COLORS
from anygen.nano.world.things import PAINTS

SIZE = 64
BACKDROPS: dict[str, tuple[tuple, tuple]] = {
    "white": ((250, 250, 250), (250, 250, 250)),
    "black": ((6, 6, 6), (6, 6, 6)),
    "gray": ((140, 140, 142), (140, 140, 142)),
    "sky": ((112, 184, 240), (200, 232, 250)),
    "grass": ((118, 196, 84), (70, 158, 52)),
    "night": ((10, 14, 48), (30, 36, 92)),
}
"""Background -> the two ends of its range of colours."""
DECORATIONS: dict[str, tuple[tuple, ...]] = {
    "sky": ((255, 255, 255),),
    "grass": ((186, 226, 248), (58, 138, 44)),
}
"""Background -> what else belongs to it: clouds; a strip of sky and tufts. Stars are specks and go as such."""
SIMILAR = (10.0, 22.0)
"""Distance in L*a*b* up to which a pixel may belong to the background: of a clean picture, and of the noisiest."""
NOISE_FACTOR = 1.5
"""That distance over the one within which most of the rim lies."""
VOTING_DISTANCE = 25.0
"""Distance in L*a*b* up to which a pixel votes for a reference colour."""
MARK_WEIGHT = 0.6
"""Weight of a vote for black or white."""
SMALLEST_THING = 12
"""Pixels; fewer are no thing but noise."""
SMALLEST_SHARE = 0.2
"""The same as a share of the largest part in the picture."""
CENTER_RADIUS = 6.8
"""Pixels by which a thing in the center may be off the middle along either axis."""


def measure_picture(picture: np.ndarray) -> dict[str, str | None]:
    """`{"color", "place"}` of the lone thing in a picture uint8 (H, W, 3); both None where nothing stands out."""
    picture = at_measuring_size(picture)
    mask = foreground(picture)
    return {"color": measure_color(picture, mask), "place": measure_place(mask)}


def measure_color(picture: np.ndarray, mask: np.ndarray) -> str | None:
    """The colour of `COLORS` that most pixels of the mask are nearest to.

    Marks that any thing may have (tyres, windows, wings) are black and white, so those two count for less.
    """
    inner = mask & _shrunk(mask)  # without the outline, where there is more than outline
    if inner.sum() >= SMALLEST_THING:
        mask = inner
    if mask.sum() < SMALLEST_THING:
        return None
    distances = _distances(lab(picture[mask]), _reference_colors())  # (N, 10)
    votes = (distances.min(1) < VOTING_DISTANCE) + 1e-3
    totals = np.bincount(distances.argmin(1), weights=votes, minlength=len(COLORS))
    return COLORS[int(np.argmax(totals * [MARK_WEIGHT if color in ("black", "white") else 1.0 for color in COLORS]))]


def measure_place(mask: np.ndarray) -> str | None:
    """Which of `PLACES` the middle of the mask's extent lies in."""
    extent = measure_extent(mask)
    if extent is None:
        return None
    x0, y0, x1, y1 = extent
    dx, dy = (x0 + x1) / 2 - SIZE / 2, (y0 + y1) / 2 - SIZE / 2
    if max(abs(dx), abs(dy)) < CENTER_RADIUS:
        return "center"
    if abs(dx) > abs(dy):
        return "left" if dx < 0 else "right"
    return "top" if dy < 0 else "bottom"


def measure_extent(mask: np.ndarray) -> tuple[float, float, float, float] | None:
    """Left, top, right and bottom edge, in pixels, of a mask bool (64, 64) but for a stray 1 %; None where empty."""
    if mask.sum() < SMALLEST_THING:
        return None
    edges = []
    for axis in (0, 1):  # columns, then rows
        share = np.cumsum(mask.sum(axis)) / mask.sum()
        edges.append((np.searchsorted(share, 0.01), np.searchsorted(share, 0.99) + 1))
    (x0, x1), (y0, y1) = edges
    return float(x0), float(y0), float(x1), float(y1)


def foreground(picture: np.ndarray) -> np.ndarray:
    """Where the thing is: bool (64, 64) of a picture uint8 (64, 64, 3).

    What is enclosed by the thing's outline counts as the thing whatever its colour: a white bird before a white cloud.
    """
    pixels = lab(picture)
    backdrop = nearest_backdrop(pixels)
    own_colors = lab(np.array([*DECORATIONS.get(backdrop, ()), *_range_of(backdrop)]))
    distances = _distances(pixels.reshape(-1, 3), own_colors).min(1).reshape(SIZE, SIZE)
    passable = distances < np.clip(NOISE_FACTOR * np.quantile(_rim(distances), 0.85), *SIMILAR)
    reached = np.zeros_like(passable)
    reached[[0, -1]] = True
    reached[:, [0, -1]] = True
    return _without_specks(~_flooded(reached & passable, passable))


def nearest_backdrop(pixels: np.ndarray) -> str:
    """The background of `BACKDROPS` that the rim of a picture, L*a*b* (64, 64, 3), is closest to."""
    rim = _rim(pixels)
    closeness = {
        name: np.mean(np.minimum(_distances(rim, lab(_range_of(name))).min(1), 30.0)) for name in BACKDROPS
    }
    return min(closeness, key=closeness.get)


def at_measuring_size(picture: np.ndarray) -> np.ndarray:
    """Any picture, uint8 (H, W, 3), as uint8 (64, 64, 3)."""
    if picture.shape[:2] == (SIZE, SIZE):
        return picture
    return np.asarray(Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.BOX))


def lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB 0 to 255 (..., 3) -> CIE L*a*b* (..., 3). Source: IEC 61966-2-1 and CIE 15:2004."""
    encoded = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = linear @ to_xyz.T / (0.9505, 1.0, 1.089)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _distances(pixels: np.ndarray, references: np.ndarray) -> np.ndarray:
    """L*a*b* (N, 3) and (R, 3) -> Euclidean distances (N, R): the colour difference of CIE 1976."""
    squares = (pixels**2).sum(1)[:, None] + (references**2).sum(1) - 2 * pixels @ references.T
    return np.sqrt(np.maximum(squares, 0))


@lru_cache(maxsize=1)
def _reference_colors() -> np.ndarray:
    return lab(np.array([PAINTS[color] for color in COLORS]))


def _rim(values: np.ndarray) -> np.ndarray:
    """The outer two pixels on every side: (64, 64, ...) -> (512, ...)."""
    sides = (values[:2], values[-2:], values[:, :2].swapaxes(0, 1), values[:, -2:].swapaxes(0, 1))
    return np.concatenate(sides).reshape(8 * SIZE, *values.shape[2:])


def _range_of(backdrop: str) -> np.ndarray:
    """Six colours from one end of a background's range to the other, (6, 3)."""
    return np.linspace(*BACKDROPS[backdrop], 6)


def _grown(mask: np.ndarray) -> np.ndarray:
    """The mask and its four neighbours."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def _shrunk(mask: np.ndarray) -> np.ndarray:
    """The mask without its rim of one pixel."""
    return ~_grown(~mask)


def _flooded(mask: np.ndarray, passable: np.ndarray) -> np.ndarray:
    """All of `passable` that can be reached from the mask, step by step to a neighbour."""
    while True:
        grown = _grown(mask) & passable
        if (grown == mask).all():
            return mask
        mask = grown


def _without_specks(mask: np.ndarray) -> np.ndarray:
    """The mask without parts that are nowhere more than two pixels wide, or small beside the largest: stars, noise."""
    parts, rest = [], _flooded(_shrunk(mask), mask)
    while rest.any():
        seed = np.zeros_like(mask)
        seed.flat[rest.argmax()] = True
        parts.append(_flooded(seed, rest))
        rest = rest & ~parts[-1]
    sizes = [part.sum() for part in parts]
    bound = max(SMALLEST_THING, SMALLEST_SHARE * max(sizes, default=0))
    return np.any([np.zeros_like(mask), *(part for part, size in zip(parts, sizes) if size >= bound)], axis=0)
