"""The vehicles of nano's world, seen from the side: car, train, boat, ambulance, rocket."""

from __future__ import annotations

from anygen.nano.world.drawing import DARK, FLAME, GLASS, GOLD, LIGHT, WOOD, Pen


def _wheel(pen: Pen, x: float, y: float, radius: float) -> None:
    pen.ellipse(x, y, radius, color=DARK)
    pen.ellipse(x, y, radius * 0.45, color=(200, 200, 205))


def draw_car(pen: Pen) -> None:
    """A car with two windows that heads right."""
    roof = pen.vary(-0.58, 0.05)
    pen.polygon([(-0.72, 0), (-0.48, roof), (0.28, roof), (0.62, 0)])
    pen.box(-1, -0.12, 1, 0.42, corner=0.2)
    pen.polygon([(-0.5, -0.06), (-0.36, roof + 0.13), (-0.1, roof + 0.13), (-0.1, -0.06)], GLASS)
    pen.polygon([(0.04, -0.06), (0.04, roof + 0.13), (0.2, roof + 0.13), (0.42, -0.06)], GLASS)
    pen.ellipse(0.9, 0.08, 0.1, color=GOLD)
    pen.band([(-0.03, 0), (-0.03, 0.36)], 0.05, pen.shade)
    _wheel(pen, -0.52, 0.42, 0.22)
    _wheel(pen, 0.54, 0.42, 0.22)


def draw_train(pen: Pen) -> None:
    """A steam engine that heads left."""
    pen.polygon([(-0.98, 0.5), (-0.72, 0.1), (-0.72, 0.5)], pen.shade)
    pen.polygon([(-0.7, -0.75), (-0.3, -0.75), (-0.4, -0.2), (-0.6, -0.2)])
    pen.box(-0.78, -0.35, 0.4, 0.42, corner=0.12)
    pen.ellipse(0.02, -0.36, 0.15, color=pen.shade)
    pen.box(0.25, -0.72, 0.92, 0.45)
    pen.box(0.14, -0.88, 1, -0.68, pen.shade)
    pen.box(0.4, -0.52, 0.76, -0.12, GLASS)
    pen.box(-0.3, -0.33, -0.2, 0.4, pen.shade)
    _wheel(pen, -0.5, 0.5, 0.2)
    _wheel(pen, 0.0, 0.5, 0.2)
    _wheel(pen, 0.6, 0.43, 0.28)


def draw_boat(pen: Pen) -> None:
    """A sailing boat with two sails."""
    top = pen.vary(-0.95, 0.05)
    pen.band([(0, top), (0, 0.4)], 0.09, WOOD)
    pen.polygon([(0.08, top + 0.05), (0.85, 0.22), (0.08, 0.22)])
    pen.polygon([(-0.08, top + 0.2), (-0.08, 0.22), (-0.66, 0.22)])
    pen.blob([(-1, 0.35), (0, 0.36), (1, 0.35), (0.72, 0.8), (0, 0.86), (-0.72, 0.8)])
    pen.band([(-0.86, 0.5), (0.86, 0.5)], 0.1, LIGHT if pen.contrast == LIGHT else pen.shade)


def draw_ambulance(pen: Pen) -> None:
    """A van with a siren on its roof and a red cross on its side."""
    pen.box(-0.3, -0.85, 0.1, -0.6, (60, 130, 255), corner=0.08)
    pen.box(-1, -0.65, 0.45, 0.45, corner=0.1)
    pen.polygon([(0.3, -0.5), (0.68, -0.5), (0.92, -0.08), (1, 0), (1, 0.45), (0.3, 0.45)])
    pen.polygon([(0.48, -0.38), (0.64, -0.38), (0.82, -0.02), (0.48, -0.02)], GLASS)
    x, y, arm = -0.36, -0.12, 0.1
    pen.ellipse(x, y, 0.36, color=LIGHT)
    pen.box(x - 0.26, y - arm, x + 0.26, y + arm, (220, 30, 40))
    pen.box(x - arm, y - 0.26, x + arm, y + 0.26, (220, 30, 40))
    _wheel(pen, -0.55, 0.48, 0.22)
    _wheel(pen, 0.6, 0.48, 0.22)


def draw_rocket(pen: Pen) -> None:
    """A rocket on its way up, with a porthole, two fins and a flame."""
    flame = pen.vary(1.0, 0.08)
    pen.blob([(0, 0.55), (0.24, 0.62), (0.12, 0.8), (0, flame), (-0.12, 0.8), (-0.24, 0.62)], FLAME)
    pen.blob([(0, 0.55), (0.12, 0.62), (0, 0.82), (-0.12, 0.62)], GOLD)
    for side in (-1, 1):
        pen.polygon([(0.25 * side, 0.05), (0.68 * side, 0.5), (0.68 * side, 0.72), (0.22 * side, 0.55)], pen.shade)
    pen.blob([(0, -1.05), (0.24, -0.72), (0.38, -0.2), (0.34, 0.3), (0.24, 0.6), (0, 0.62),
              (-0.24, 0.6), (-0.34, 0.3), (-0.38, -0.2), (-0.24, -0.72)])  # fmt: skip
    pen.ellipse(0, -0.22, 0.2, color=LIGHT)
    pen.ellipse(0, -0.22, 0.14, color=(110, 180, 230))
    pen.band([(-0.3, 0.34), (0.3, 0.34)], 0.08, pen.shade)
