"""What is behind the things of nano's world: six backgrounds, painted at `OVERSAMPLING` times the picture's size."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image, ImageDraw

from anygen.nano.world.drawing import OVERSAMPLING, PICTURE_SIZE, RGB

SIDE = PICTURE_SIZE * OVERSAMPLING


def _gradient(top: RGB, bottom: RGB) -> Image.Image:
    rows = np.linspace(top, bottom, SIDE).round().astype(np.uint8)
    return Image.fromarray(rows[:, None]).resize((SIDE, SIDE), Image.Resampling.NEAREST)


def _shifted(color: RGB, amount: int) -> RGB:
    return tuple(min(255, max(0, channel + amount)) for channel in color)


def _white(rng: random.Random) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), _shifted((250, 250, 250), rng.randint(-5, 5)))


def _black(rng: random.Random) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), _shifted((6, 6, 6), rng.randint(-6, 6)))


def _gray(rng: random.Random) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), _shifted((140, 140, 142), rng.randint(-10, 10)))


def _sky(rng: random.Random) -> Image.Image:
    picture = _gradient(_shifted((112, 184, 240), rng.randint(-8, 8)), (200, 232, 250))
    board = ImageDraw.Draw(picture)
    for left in rng.sample((0.02, 0.36, 0.66), k=rng.choice((1, 2))):
        x, y, r = (left + rng.uniform(0, 0.06)) * SIDE, rng.uniform(0.12, 0.3) * SIDE, rng.uniform(0.05, 0.065) * SIDE
        for dx, dy, scale in ((0, 0.3, 0.8), (1.2, 0, 1.15), (2.6, 0.2, 0.95), (3.7, 0.45, 0.65)):
            puff = r * scale
            board.ellipse((x + dx * r - puff, y + dy * r - puff, x + dx * r + puff, y + dy * r + puff), "white")
    return picture


def _grass(rng: random.Random) -> Image.Image:
    """A meadow below a narrow strip of sky."""
    picture = _gradient(_shifted((118, 196, 84), rng.randint(-6, 6)), _shifted((70, 158, 52), rng.randint(-6, 6)))
    board = ImageDraw.Draw(picture)
    horizon = rng.uniform(0.1, 0.15) * SIDE
    lean = rng.uniform(-0.02, 0.02) * SIDE
    board.polygon([(0, 0), (SIDE, 0), (SIDE, horizon + lean), (0, horizon - lean)], (186, 226, 248))
    for row in range(7):
        for column in range(4):
            y = (0.22 + 0.11 * row + rng.uniform(-0.03, 0.03)) * SIDE
            x = (0.25 * column + 0.125 * (row % 2) + rng.uniform(0, 0.12)) * SIDE
            for dx in (-5, 0, 5):
                board.line((x + dx / 2, y, x + dx * 1.4, y - 11), (58, 138, 44), 3)
    return picture


def _night(rng: random.Random) -> Image.Image:
    picture = _gradient(_shifted((10, 14, 48), rng.randint(-4, 4)), (30, 36, 92))
    board = ImageDraw.Draw(picture)
    for i in range(16):
        x, y = (i % 4 + rng.random()) / 4 * SIDE, (i // 4 + rng.random()) / 4 * SIDE
        radius, glow = rng.uniform(1.6, 3.6), rng.randint(200, 255)
        board.ellipse((x - radius, y - radius, x + radius, y + radius), (glow, glow, min(255, glow - 20)))
    return picture


BACKGROUNDS_PAINTED = {
    "white": _white,
    "black": _black,
    "gray": _gray,
    "sky": _sky,
    "grass": _grass,
    "night": _night,
}
"""Every background of `scene.BACKGROUNDS` to the function that paints it."""


def paint_background(background: str, rng: random.Random) -> Image.Image:
    """An RGB picture of 256 x 256; `rng` varies tones, clouds, tufts and stars."""
    return BACKGROUNDS_PAINTED[background](rng)
