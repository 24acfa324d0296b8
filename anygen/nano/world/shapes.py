"""The eight shapes of nano's world: plain areas of the scene's colour, without any detail."""

from __future__ import annotations

import math

import numpy as np

from anygen.nano.world.drawing import Pen, rotation


def draw_circle(pen: Pen) -> None:
    """A disk."""
    pen.ellipse(0, 0, 1)


def draw_square(pen: Pen) -> None:
    """A square."""
    pen.box(-1, -1, 1, 1)


def draw_triangle(pen: Pen) -> None:
    """A triangle that stands on its base."""
    pen.polygon([(0, -0.95), (1, 0.8), (-1, 0.8)])


def draw_star(pen: Pen) -> None:
    """A star with five points, one of them up."""
    inner = pen.vary(0.45, 0.04)
    tips = [(1 if i % 2 == 0 else inner, math.pi * (i / 5 - 0.5)) for i in range(10)]
    pen.polygon([(radius * math.cos(angle), radius * math.sin(angle)) for radius, angle in tips])


def draw_diamond(pen: Pen) -> None:
    """A square set on its corner, narrower than high."""
    width = pen.vary(0.72, 0.05)
    pen.polygon([(0, -1), (width, 0), (0, 1), (-width, 0)])


def draw_cross(pen: Pen) -> None:
    """A plus sign with arms of equal length."""
    arm = pen.vary(0.34, 0.03)
    pen.box(-1, -arm, 1, arm)
    pen.box(-arm, -1, arm, 1)


def draw_ring(pen: Pen) -> None:
    """A circle with a round hole."""
    width = pen.vary(0.45, 0.04)
    for span in ((0, 184), (180, 364)):
        pen.arc(0, 0, 1 - width / 2, span, width)


def draw_crescent(pen: Pen) -> None:
    """A thin C, open to the right: a disk less a disk of the same size moved aside; the horns are where they cross."""
    shift = pen.vary(0.62, 0.05)
    horn = math.acos(shift / 2)
    outer = np.linspace(horn, 2 * math.pi - horn, 25)
    inner = np.linspace(math.pi + horn, math.pi - horn, 25)
    circle = [np.stack([np.cos(angles), np.sin(angles)], axis=1) for angles in (outer, inner)]
    pen.polygon(np.concatenate([circle[0], circle[1] + (shift, 0)]) @ rotation(-20).T)
