"""The drawing board of nano's world: a pen that draws a thing as flat patches, and their way onto pixels.

A thing is drawn by a small function `draw_bell(pen)` in coordinates of its own (x right, y down, about -1 to 1). The
pen collects `Patch`es, polygons of one colour; `Pen.finish` centres them and scales their longer side to 2 units.
`paint` places such a drawing anywhere in a picture at four times its resolution, with a thin outline around the
silhouette, so that a thing of any colour stands out from any background; averaging the picture down smooths the edges.

    thing, colour --Pen--> list[Patch] (unit coordinates) --paint(Pose)--> 256x256 RGB --reduce--> 64x64 RGB
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

RGB = tuple[int, int, int]
PICTURE_SIZE = 64
"""Height and width of nano's pictures and frames, in pixels."""
OVERSAMPLING = 4
"""Painted pixels per pixel of the picture along each axis."""

MAX_REACH = 1.25
"""How far, in units, a drawing's corners are from its centre at most: a square would look larger than a circle."""

DARK: RGB = (40, 40, 48)
LIGHT: RGB = (246, 244, 236)
GLASS: RGB = (190, 228, 245)
GOLD: RGB = (255, 205, 60)
WOOD: RGB = (122, 82, 48)
LEAF: RGB = (70, 160, 60)
FLAME: RGB = (255, 140, 30)
BLUSH: RGB = (245, 150, 165)


@dataclass(frozen=True)
class Patch:
    """A filled polygon."""

    points: np.ndarray
    """float (N, 2), x to the right and y down, in units."""
    color: RGB


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where and how a drawing stands in the picture; its longer side covers 2 units of its own coordinates."""

    x: float
    """Centre, in pixels from the left edge."""
    y: float
    """Centre, in pixels from the top edge."""
    size: float
    """Length of the longer side in pixels."""
    angle: float = 0.0
    """Turn in degrees."""
    aspect: float = 1.0
    """Factor on the width alone."""


def blend(color: RGB, other: RGB, share: float) -> RGB:
    """`color` with a `share` (0 to 1) of `other` mixed in."""
    return tuple(round(a + (b - a) * share) for a, b in zip(color, other, strict=True))


def brightness(color: RGB) -> float:
    """Perceived brightness from 0 (black) to 1 (white): the luma of ITU-R BT.601."""
    return (0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]) / 255


class Pen:
    """Draws one thing in one colour. Every method adds a patch on top of the ones before; colour None means `main`."""

    def __init__(self, color: RGB, rng: random.Random):
        self.main = color
        is_dark = brightness(color) < 0.2
        self.shade = blend(color, LIGHT, 0.2) if is_dark else blend(color, (0, 0, 0), 0.18)
        """A second tone of the main colour for folds, seams and parts that lie behind."""
        self.tint = blend(color, (255, 255, 255), 0.3)
        """A lighter tone of the main colour for gleams."""
        self.contrast = DARK if brightness(color) > 0.4 else LIGHT
        """Dark on a light colour, light on a dark one: for marks that must be seen."""
        self.rng = rng
        self.patches: list[Patch] = []

    def vary(self, value: float, spread: float) -> float:
        """`value` moved by up to `spread` either way: what makes two drawings of a thing differ."""
        return value + self.rng.uniform(-spread, spread)

    def polygon(self, points: Sequence, color: RGB | None = None) -> None:
        """A polygon with straight edges."""
        self.patches.append(Patch(np.asarray(points, dtype=np.float64), color or self.main))

    def blob(self, points: Sequence, color: RGB | None = None) -> None:
        """A smooth closed outline through the points (a Catmull-Rom spline)."""
        knots = np.asarray(points, dtype=np.float64)
        neighbours = np.stack([np.roll(knots, shift, axis=0) for shift in (1, 0, -1, -2)], axis=1)  # (N, 4, 2)
        self.polygon((_spline_weights() @ neighbours).reshape(-1, 2), color)

    def ellipse(
        self, x: float, y: float, rx: float, ry: float | None = None, color: RGB | None = None, *, turn: float = 0
    ) -> None:
        """An ellipse around (x, y), turned clockwise by `turn` degrees; without `ry` it is a circle."""
        points = unit_circle() * (rx, rx if ry is None else ry)
        self.polygon((points @ rotation(turn).T if turn else points) + (x, y), color)

    def box(self, x0: float, y0: float, x1: float, y1: float, color: RGB | None = None, *, corner: float = 0) -> None:
        """An upright rectangle from (x0, y0) to (x1, y1), its corners rounded with radius `corner`."""
        if not corner:
            return self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], color)
        quarters = unit_circle().reshape(4, -1, 2) * corner  # lower right, lower left, upper left, upper right
        centers = [(x1 - corner, y1 - corner), (x0 + corner, y1 - corner)]
        centers += [(x0 + corner, y0 + corner), (x1 - corner, y0 + corner)]
        self.polygon((quarters + np.array(centers)[:, None]).reshape(-1, 2), color)

    def band(self, points: Sequence, width: float, color: RGB | None = None) -> None:
        """A line of the given width through the points."""
        line = np.asarray(points, dtype=np.float64)
        along = np.gradient(line, axis=0)
        across = along[:, ::-1] * (-1, 1) / np.linalg.norm(along, axis=1, keepdims=True) * (width / 2)
        self.polygon(np.concatenate([line + across, (line - across)[::-1]]), color)

    def arc(
        self, x: float, y: float, radius: float, span: tuple[float, float], width: float, color: RGB | None = None
    ) -> None:
        """A part of a circle's rim, from and to the angles of `span` in degrees (0 is right, 90 is down)."""
        angles = np.radians(np.linspace(*span, 13))
        self.band(np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1), width, color)

    def finish(self) -> list[Patch]:
        """The drawing, centred on the origin: its longer side is 2 units, less where corners reach too far out."""
        points = np.concatenate([patch.points for patch in self.patches])
        low, high = points.min(axis=0), points.max(axis=0)
        center, half = (low + high) / 2, (high - low).max() / 2
        reach = np.sqrt(((points - center) ** 2).sum(axis=1).max())
        scale = min(1 / half, MAX_REACH / reach)
        return [Patch((patch.points - center) * scale, patch.color) for patch in self.patches]


def mirror(points: Sequence) -> list[tuple[float, float]]:
    """A closed outline, symmetric about x = 0, from its right half given from top to bottom."""
    return [*points, *((-x, y) for x, y in reversed(points) if x != 0)]


def rotation(degrees: float) -> np.ndarray:
    """The (2, 2) matrix that turns column vectors clockwise as seen in the picture (y is down)."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cosine, -sine], [sine, cosine]])


@lru_cache(maxsize=1)
def unit_circle() -> np.ndarray:
    """32 points around the unit circle, float (32, 2), clockwise in the picture from the right."""
    angles = np.arange(32) * (2 * math.pi / 32)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@lru_cache(maxsize=1)
def _spline_weights(steps: int = 6) -> np.ndarray:
    """Catmull-Rom weights, float (steps, 4): points between the middle two of four knots, the first at the second."""
    t = np.arange(steps)[:, None] / steps
    cubic = np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
    return np.concatenate([t**0, t, t**2, t**3], axis=1) @ cubic


def paint(picture: Image.Image, drawing: list[Patch], pose: Pose, outline: RGB) -> None:
    """Paint a finished drawing into an RGB `picture` of `OVERSAMPLING` pixels per pixel of `pose`, outline first."""
    _fill(picture, drawing, pose, [outline] + [patch.color for patch in drawing])


def paint_mask(mask: Image.Image, drawing: list[Patch], pose: Pose) -> None:
    """Set to 255 in a `mask` of mode "L" what `paint` would cover, outline included."""
    _fill(mask, drawing, pose, [255] * (1 + len(drawing)))


def _fill(picture: Image.Image, drawing: list[Patch], pose: Pose, inks: list[RGB] | list[int]) -> None:
    """Paint with the first of the inks as outline and one for each patch thereafter."""
    outline, *inks = inks
    scale = pose.size / 2 * OVERSAMPLING
    matrix = rotation(pose.angle) * scale @ np.diag((pose.aspect, 1.0))
    points = np.concatenate([patch.points for patch in drawing]) @ matrix.T
    points += (pose.x * OVERSAMPLING - 0.5, pose.y * OVERSAMPLING - 0.5)
    ends = np.cumsum([len(patch.points) for patch in drawing])
    outlines = [part.ravel().tolist() for part in np.split(points, ends[:-1])]
    radius = max(0.7, 0.028 * pose.size) * OVERSAMPLING
    board = ImageDraw.Draw(picture)
    for outer in outlines:
        board.line(outer + outer[:4], fill=outline, width=round(2 * radius))
        if len(outer) < 32:  # few, sharp corners: round them off
            for x, y in zip(outer[::2], outer[1::2], strict=True):
                board.ellipse((x - radius, y - radius, x + radius, y + radius), fill=outline)
    for ink, outer in zip(inks, outlines, strict=True):
        board.polygon(outer, fill=ink)
