"""Pictures of scenes: `render_image` draws what a `Scene` says, 64 x 64 pixels or 128 x 128.

    Scene --arrange--> a Placed drawing per thing --compose before the background--> uint8 (64, 64, 3)

`arrange` and `compose` serve the films of `video.py` too. The same scene and seed give the same bytes.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from PIL import Image

from anygen.nano.world.backgrounds import paint_background
from anygen.nano.world.drawing import OVERSAMPLING, PICTURE_SIZE, RGB, Patch, Pose, blend, paint, paint_mask
from anygen.nano.world.scene import Scene
from anygen.nano.world.things import mix_paint, sketch

MIDDLE = PICTURE_SIZE / 2
CENTERS = {
    "left": (17, MIDDLE),
    "right": (47, MIDDLE),
    "top": (MIDDLE, 17),
    "bottom": (MIDDLE, 47),
    "center": (MIDDLE, MIDDLE),
}
"""Centre of a lone thing for each place, (x, y) in pixels."""
RELATION_CENTERS = {"left of": ((16.5, MIDDLE), (47.5, MIDDLE)), "above": ((MIDDLE, 16.5), (MIDDLE, 47.5))}
"""Centres of the main thing and of its companion for each relation."""
TRIPLE_CENTERS = (((32, 17), (17, 46), (47, 46)), ((17, 18), (47, 18), (32, 47)))
"""Three equal things stand in a triangle, one above two or two above one."""
LONE_SIZES = {"small": (20, 24), "large": (33, 38)}
TWO_SIZES = {"small": (16, 18), "large": (25, 27)}
THREE_SIZES = {"small": (15, 17), "large": (23, 26)}
"""Range of the longer side in pixels when one, two or three things share the picture."""
PICTURE_SIZES = (PICTURE_SIZE, 2 * PICTURE_SIZE)
"""Sides of a picture in pixels: as nano sees it, and as nano draws it."""
DARK_BACKGROUNDS = ("black", "night")


@dataclass(frozen=True, kw_only=True)
class Placed:
    """One thing of a scene, drawn and placed."""

    drawing: list[Patch]
    outline: RGB
    pose: Pose


def render_image(scene: Scene, rng: random.Random | int, *, size: int = PICTURE_SIZE) -> np.ndarray:
    """The picture of a scene, uint8 (size, size, 3); `rng` (or its seed) varies tone, place, size, turn and details.

    `size` is 64, or 128 for the same picture twice as large; another one raises ValueError.
    """
    if size not in PICTURE_SIZES:
        raise ValueError(f"size={size}: expected one of {', '.join(map(str, PICTURE_SIZES))}")
    rng = as_random(rng)
    return compose(paint_background(scene.background, rng), arrange(scene, rng), size)


def render_image_and_mask(scene: Scene, rng: random.Random | int) -> tuple[np.ndarray, np.ndarray]:
    """`render_image` and how much of each pixel the things cover: uint8 (64, 64, 3), float32 (64, 64) from 0 to 1."""
    rng = as_random(rng)
    background, things = paint_background(scene.background, rng), arrange(scene, rng)
    mask = Image.new("L", background.size)
    for thing in things:
        paint_mask(mask, thing.drawing, thing.pose)
    return compose(background, things), np.asarray(mask.reduce(OVERSAMPLING), dtype=np.float32) / 255


def as_random(rng: random.Random | int) -> random.Random:
    """The source of chance itself, or a fresh one from a seed."""
    return random.Random(rng) if isinstance(rng, int) else rng


def arrange(scene: Scene, rng: random.Random) -> list[Placed]:
    """Draw the things of a scene and place them, with a little play in everything."""
    color = mix_paint(scene.color, rng)
    if scene.companion is not None:
        other = scene.companion
        names = [(scene.thing, color), (other.thing, mix_paint(other.color, rng))]
        centers, sizes, play = RELATION_CENTERS[other.relation], TWO_SIZES, 1.5
    elif scene.count == 3:
        names, centers, sizes, play = [(scene.thing, color)] * 3, rng.choice(TRIPLE_CENTERS), THREE_SIZES, 1.5
    elif scene.count == 2:
        names, centers, sizes, play = [(scene.thing, color)] * 2, RELATION_CENTERS["left of"], TWO_SIZES, 1.5
    else:
        names, centers, sizes, play = [(scene.thing, color)], [CENTERS[scene.place]], LONE_SIZES, 3
    size = rng.uniform(*sizes[scene.size])
    return [
        Placed(
            drawing=sketch(thing, paint_color, rng),
            outline=outline_color(paint_color, scene.background),
            pose=_pose(center, size, play, rng),
        )
        for (thing, paint_color), center in zip(names, centers, strict=True)
    ]


def _pose(center: tuple[float, float], size: float, play: float, rng: random.Random) -> Pose:
    margin = 0.56 * size + 0.5  # turned corners reach past half the size
    x, y = (min(max(c + rng.uniform(-play, play), margin), PICTURE_SIZE - margin) for c in center)
    return Pose(x=x, y=y, size=size, angle=rng.uniform(-8, 8), aspect=rng.uniform(0.93, 1.07))


def outline_color(color: RGB, background: str) -> RGB:
    """A darker edge before light backgrounds and a lighter one before dark ones."""
    if background in DARK_BACKGROUNDS:
        return blend(color, (255, 255, 255), 0.45)
    return blend(color, (0, 0, 0), 0.5)


def compose(background: Image.Image, things: list[Placed], size: int = PICTURE_SIZE) -> np.ndarray:
    """Paint placed things over a copy of the background and average down to uint8 (size, size, 3)."""
    canvas = background.copy()
    for thing in things:
        paint(canvas, thing.drawing, thing.pose, thing.outline)
    return np.asarray(canvas.reduce(OVERSAMPLING * PICTURE_SIZE // size))
