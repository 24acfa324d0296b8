"""What grows and what is up in the sky of nano's world: tree, flower, apple, sun, moon, rain, and the heart."""

from __future__ import annotations

import math

import numpy as np

from anygen.nano.world.drawing import GOLD, LEAF, WOOD, Pen, blend, mirror


def draw_tree(pen: Pen) -> None:
    """A round crown on a brown trunk."""
    pen.polygon([(-0.16, 0.3), (0.16, 0.3), (0.24, 1), (-0.24, 1)], WOOD)
    wide = pen.vary(0.42, 0.05)
    for x, y, radius in ((-wide, 0.08, 0.42), (wide, 0.08, 0.42), (0, -0.45, 0.54), (0, 0.1, 0.4)):
        pen.ellipse(x, y, radius)
    for x, y in ((-0.3, -0.1), (0.28, -0.35), (0.3, 0.18)):
        pen.arc(x, y, 0.18, (20, 140), 0.07, pen.shade)


def draw_flower(pen: Pen) -> None:
    """Five or six petals around a golden middle, on a stem with two leaves."""
    pen.band([(0, 0), (0.04, 0.6), (0, 1.1)], 0.1, LEAF)
    pen.blob([(0.02, 0.85), (0.3, 0.52), (0.58, 0.55), (0.4, 0.82)], LEAF)
    pen.blob([(-0.02, 0.98), (-0.28, 0.7), (-0.54, 0.72), (-0.36, 0.96)], LEAF)
    num_petals, start = pen.rng.choice((5, 6)), pen.rng.uniform(0, 360)
    for i in range(num_petals):
        angle = start + 360 / num_petals * i
        x, y = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        pen.ellipse(0.44 * x, 0.44 * y - 0.3, 0.36, 0.27, turn=angle)
    pen.ellipse(0, -0.3, 0.25, color=pen.shade)
    pen.ellipse(0, -0.3, 0.19, color=GOLD)


def draw_apple(pen: Pen) -> None:
    """An apple with its stem and a leaf."""
    pen.band([(0, -0.5), (0.06, -0.75), (0.16, -1)], 0.13, WOOD)
    pen.blob([(0.1, -0.62), (0.3, -0.95), (0.72, -0.95), (0.5, -0.64)], LEAF)
    pen.blob(mirror([(0, -0.46), (0.4, -0.62), (0.82, -0.4), (0.9, 0.08), (0.66, 0.66), (0.3, 0.9), (0, 0.82)]))
    pen.ellipse(-0.46, -0.16, 0.12, 0.24, pen.tint, turn=20)


def draw_sun(pen: Pen) -> None:
    """A disk with pointed rays around it and a smiling face."""
    num_rays = pen.rng.choice((8, 9, 10))
    for i in range(num_rays):
        angle, half = 2 * math.pi * i / num_rays, 0.2
        rim = [(0.7, angle - half), (1.08, angle), (0.7, angle + half)]
        pen.polygon([(radius * math.cos(turn), radius * math.sin(turn)) for radius, turn in rim])
    pen.ellipse(0, 0, 0.62)
    for side in (-1, 1):
        pen.ellipse(0.22 * side, -0.12, 0.08, 0.11, pen.contrast)
    pen.arc(0, 0.04, 0.32, (25, 155), 0.08, pen.contrast)


def draw_moon(pen: Pen) -> None:
    """A full round disk with craters."""
    pen.ellipse(0, 0, 1)
    for x, y, radius in ((-0.38, -0.32, 0.27), (0.36, 0.3, 0.23), (-0.25, 0.5, 0.16), (0.4, -0.42, 0.14)):
        pen.ellipse(pen.vary(x, 0.06), pen.vary(y, 0.06), radius, color=blend(pen.main, pen.shade, 0.7))


def draw_rain(pen: Pen) -> None:
    """A cloud with drops below it, all in the scene's colour."""
    for x, y, radius in ((-0.55, -0.3, 0.36), (-0.08, -0.52, 0.46), (0.45, -0.36, 0.4), (0, -0.2, 0.3)):
        pen.ellipse(x, y, radius)
    pen.box(-0.9, -0.38, 0.86, 0.06, corner=0.2)
    for x, y in ((-0.6, 0.3), (-0.05, 0.3), (0.5, 0.3), (-0.34, 0.72), (0.22, 0.72)):
        x, y = pen.vary(x, 0.03), pen.vary(y, 0.04)
        pen.blob([(x + 0.05, y - 0.12), (x + 0.1, y + 0.14), (x, y + 0.24), (x - 0.1, y + 0.14)])


def draw_heart(pen: Pen) -> None:
    """A heart with a gleam."""
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    pen.polygon(np.stack([x, y], axis=1) / 17)
    pen.ellipse(-0.5, -0.32, 0.12, 0.2, pen.tint, turn=35)
