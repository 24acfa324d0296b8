"""The things that people make in nano's world: bell, drum, clock, phone, piano, house, ball."""

from __future__ import annotations

import numpy as np

from anygen.nano.world.drawing import DARK, GLASS, LIGHT, WOOD, Pen, mirror


def draw_bell(pen: Pen) -> None:
    """A bell with its clapper below the rim."""
    pen.ellipse(pen.vary(0, 0.1), 0.76, 0.2, color=pen.shade)
    pen.ellipse(0, -0.86, 0.15)
    pen.blob(mirror([(0, -0.82), (0.3, -0.74), (0.5, -0.4), (0.56, 0.1), (0.72, 0.44), (0.88, 0.62), (0, 0.66)]))
    pen.box(-0.92, 0.5, 0.92, 0.72, pen.main, corner=0.1)
    pen.band([(-0.72, 0.46), (0.72, 0.46)], 0.07, pen.shade)
    pen.band([(-0.24, -0.5), (-0.34, -0.2), (-0.36, 0.2)], 0.1, pen.tint)


def draw_drum(pen: Pen) -> None:
    """A drum with a light skin, lacing on its side, and two sticks above it."""
    pen.ellipse(0, 0.62, 0.9, 0.3)
    pen.box(-0.9, -0.2, 0.9, 0.62)
    zigzag = [(-0.86 + 0.344 * i, 0.1 if i % 2 else 0.62) for i in range(6)]
    for start, end in zip(zigzag, zigzag[1:], strict=False):
        pen.band([start, end], 0.07, pen.contrast)
    pen.ellipse(0, -0.2, 0.94, 0.34, pen.main)
    pen.ellipse(0, -0.23, 0.76, 0.22, LIGHT)
    for side in (-1, 1):
        pen.band([(0.12 * side, -0.22), (0.8 * side, -0.84)], 0.09, WOOD)
        pen.ellipse(0.14 * side, -0.26, 0.1, color=WOOD)


def draw_clock(pen: Pen) -> None:
    """An alarm clock: two bells on top, two feet, a light face with hands."""
    for side in (-1, 1):
        pen.band([(0.4 * side, 0.6), (0.62 * side, 0.98)], 0.18, pen.shade)
        pen.ellipse(0.54 * side, -0.74, 0.36, 0.24, turn=40 * side)
    pen.box(-0.06, -0.98, 0.06, -0.7, pen.shade)
    pen.ellipse(0, 0.08, 0.84)
    pen.ellipse(0, 0.08, 0.54, color=LIGHT)
    turn = pen.rng.choice((-1, 1))
    pen.band([(0, 0.08), (0, -0.32)], 0.09, DARK)
    pen.band([(0, 0.08), (0.27 * turn, pen.vary(0.2, 0.1))], 0.09, DARK)
    pen.ellipse(0, 0.08, 0.08, color=DARK)


def draw_phone(pen: Pen) -> None:
    """A telephone with a dial, its handset resting on top."""
    pen.blob([(-0.34, -0.3), (0.34, -0.3), (0.62, 0.2), (0.9, 0.72), (0.7, 0.84),
              (-0.7, 0.84), (-0.9, 0.72), (-0.62, 0.2)])  # fmt: skip
    pen.ellipse(0, 0.28, 0.34, color=LIGHT)
    for x, y in ((0, 0.08), (0.18, 0.2), (0.15, 0.4), (-0.15, 0.4), (-0.18, 0.2)):
        pen.ellipse(x, y, 0.065, color=DARK)
    for side in (-1, 1):
        pen.box(*((0.5, -0.62, 1, -0.12) if side > 0 else (-1, -0.62, -0.5, -0.12)), corner=0.14)
    pen.blob([(-0.95, -0.6), (-0.5, -0.84), (0, -0.9), (0.5, -0.84),
              (0.95, -0.6), (0.5, -0.5), (0, -0.55), (-0.5, -0.5)])  # fmt: skip
    pen.band([(-0.52, -0.16), (-0.98, -0.16)], 0.08, pen.shade)
    pen.band([(0.52, -0.16), (0.98, -0.16)], 0.08, pen.shade)


def draw_piano(pen: Pen) -> None:
    """An upright piano with its row of keys and a sheet of music."""
    for side in (-1, 1):
        pen.box(0.8 * side - 0.12, 0.2, 0.8 * side + 0.12, 0.95, pen.shade)
    pen.box(-0.86, -0.8, 0.86, 0.85)
    pen.box(-0.96, -0.9, 0.96, -0.74, pen.shade)
    pen.polygon([(-0.26, -0.64), (0.26, -0.64), (0.3, -0.2), (-0.3, -0.2)], LIGHT)
    for y in (-0.5, -0.36):
        pen.band([(-0.18, y), (0.18, y)], 0.05, DARK)
    pen.box(-1, -0.12, 1, 0.32)
    pen.box(-0.9, -0.04, 0.9, 0.2, LIGHT)
    for x in (-0.66, -0.4, -0.02, 0.24, 0.5, 0.76):
        pen.box(x - 0.07, -0.04, x + 0.05, 0.1, DARK)
    pen.ellipse(0, 0.68, 0.12, 0.06, pen.contrast)


def draw_house(pen: Pen) -> None:
    """A house with a pitched roof, a chimney, a door and two windows."""
    chimney = pen.vary(0.5, 0.06)
    pen.box(chimney - 0.13, -0.9, chimney + 0.13, -0.3, pen.shade)
    pen.polygon([(0, -1), (1.02, -0.08), (-1.02, -0.08)])
    pen.box(-0.8, -0.08, 0.8, 0.92)
    pen.band([(-1.0, -0.06), (1.0, -0.06)], 0.13, pen.shade)
    pen.box(-0.16, 0.34, 0.2, 0.92, WOOD)
    pen.ellipse(0.11, 0.64, 0.05, color=LIGHT)
    for x in (-0.48, 0.5):
        pen.box(x - 0.19, 0.18, x + 0.19, 0.54, GLASS)
        pen.band([(x, 0.18), (x, 0.54)], 0.06, pen.contrast)


def draw_ball(pen: Pen) -> None:
    """A beach ball: three narrow panels that run from a button off its middle to the rim."""
    pen.ellipse(0, 0, 1)
    button = (pen.vary(-0.15, 0.08), pen.vary(-0.3, 0.06))
    panel = DARK if min(pen.main) > 200 else LIGHT
    start = pen.rng.uniform(0, 120)
    for first in (start, start + 120, start + 240):
        rim = np.radians(np.linspace(first, first + 38, 6))
        pen.polygon([button, *np.stack([np.cos(rim), np.sin(rim)], axis=1)], panel)
    pen.ellipse(*button, 0.17, color=panel)
