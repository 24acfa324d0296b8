"""The animals of nano's world: bird, cat, dog, bee, fish."""

from __future__ import annotations

from anygen.nano.world.drawing import BLUSH, DARK, LIGHT, Pen, mirror

BEAK = (255, 165, 30)


def _eye(pen: Pen, x: float, y: float, radius: float) -> None:
    pen.ellipse(x, y, radius, color=LIGHT)
    pen.ellipse(x, y, radius * 0.62, color=DARK)


def draw_bird(pen: Pen) -> None:
    """A plump bird that looks right."""
    for x in (-0.05, 0.2):
        pen.band([(x, 0.5), (x, 0.85)], 0.07, BEAK)
    pen.polygon([(0.7, -0.48), (1.08, -0.3), (0.7, -0.16)], BEAK)
    pen.polygon([(-0.4, -0.05), (-1, -0.38), (-0.98, 0.1), (-0.4, 0.4)])
    pen.ellipse(0.02, 0.16, 0.66, 0.5)
    pen.ellipse(0.45, -0.34, 0.4)
    tip = pen.vary(0.2, 0.1)
    pen.blob([(0.22, 0.0), (0.12, 0.34), (-0.25, 0.42), (-0.62, tip), (-0.25, 0.0)], pen.shade)
    _eye(pen, 0.54, -0.4, 0.14)


def draw_cat(pen: Pen) -> None:
    """A cat's face with pointed ears and whiskers."""
    for side in (-1, 1):
        pen.polygon([(0.9 * side, -0.98), (0.86 * side, -0.05), (0.18 * side, -0.5)])
        pen.polygon([(0.76 * side, -0.72), (0.72 * side, -0.3), (0.42 * side, -0.52)], BLUSH)
    pen.ellipse(0, 0.1, 0.95, 0.76)
    for side in (-1, 1):
        pen.ellipse(0.38 * side, 0.0, 0.17, 0.2, LIGHT)
        pen.ellipse(0.38 * side, 0.0, 0.09, 0.17, DARK)
        for slope in (-0.08, 0.1):
            pen.band([(0.42 * side, 0.38 + slope / 2), (1.08 * side, 0.36 + slope * 2)], 0.045, pen.contrast)
    pen.polygon([(-0.13, 0.26), (0.13, 0.26), (0, 0.4)], BLUSH)
    for side in (-1, 1):
        pen.arc(0.13 * side, 0.44, 0.13, (0, 180), 0.06, pen.contrast)


def draw_dog(pen: Pen) -> None:
    """A dog's face with hanging ears, a light muzzle and its tongue out."""
    pen.blob(mirror([(0, -0.85), (0.55, -0.72), (0.72, -0.1), (0.55, 0.55), (0, 0.8)]))
    droop = pen.vary(0.4, 0.08)
    for side in (-1, 1):
        pen.blob([(0.42 * side, -0.78), (0.85 * side, -0.62), (1.02 * side, 0.0), (0.86 * side, droop),
                  (0.62 * side, 0.05), (0.58 * side, -0.42)], pen.shade)  # fmt: skip
    pen.ellipse(0, 0.72, 0.15, 0.24, (235, 90, 110))
    pen.ellipse(0, 0.38, 0.34, 0.27, LIGHT)
    pen.ellipse(0, 0.24, 0.17, 0.12, DARK)
    pen.band([(0, 0.3), (0, 0.52)], 0.05, DARK)
    for side in (-1, 1):
        _eye(pen, 0.28 * side, -0.2, 0.14)


def draw_bee(pen: Pen) -> None:
    """A bee that flies right: stripes across the body, two wings up, a sting behind."""
    pen.polygon([(-0.7, 0.1), (-1.02, 0.24), (-0.7, 0.34)], DARK)
    lift = pen.vary(0, 8)
    pen.ellipse(-0.3, -0.44, 0.19, 0.36, (222, 238, 250), turn=-30 + lift)
    pen.ellipse(0.06, -0.48, 0.2, 0.38, (236, 246, 254), turn=12 + lift)
    for x in (0.62, 0.86):
        pen.band([(x - 0.05, -0.1), (x + 0.08, -0.42)], 0.07)
        pen.ellipse(x + 0.08, -0.44, 0.08)
    pen.ellipse(-0.1, 0.22, 0.74, 0.54)
    for x, half in ((-0.44, 0.44), (-0.06, 0.5)):
        pen.blob([(x - 0.07, 0.22 - half), (x + 0.06, 0.22 - half), (x + 0.11, 0.22), (x + 0.06, 0.22 + half),
                  (x - 0.07, 0.22 + half), (x - 0.03, 0.22)], pen.contrast)  # fmt: skip
    pen.ellipse(0.62, 0.16, 0.4)
    _eye(pen, 0.74, 0.08, 0.13)
    pen.arc(0.7, 0.2, 0.16, (30, 130), 0.05, pen.contrast)


def draw_fish(pen: Pen) -> None:
    """A fish that swims left."""
    fin = pen.vary(-0.68, 0.06)
    pen.blob([(0.42, 0), (0.98, -0.52), (0.86, 0), (0.98, 0.52)], pen.shade)
    pen.blob([(-0.35, -0.3), (0.0, fin), (0.35, -0.6), (0.3, -0.2)], pen.shade)
    pen.blob([(-1, 0.04), (-0.65, -0.36), (-0.1, -0.5), (0.4, -0.25),
              (0.62, 0), (0.4, 0.25), (-0.1, 0.5), (-0.65, 0.4)])  # fmt: skip
    pen.arc(-0.75, 0.02, 0.42, (-45, 45), 0.07, pen.shade)
    pen.arc(-0.35, 0.02, 0.42, (-42, 42), 0.07, pen.shade)
    pen.blob([(-0.08, 0.1), (0.28, 0.06), (0.22, 0.28)], pen.shade)
    _eye(pen, -0.66, -0.1, 0.14)
