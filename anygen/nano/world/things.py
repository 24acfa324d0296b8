"""Which function draws which thing, and the colours they are drawn in."""

from __future__ import annotations

import colorsys
import random

from PIL import Image

from anygen.nano.world import animals, nature, objects, shapes, vehicles
from anygen.nano.world.drawing import OVERSAMPLING, RGB, Patch, Pen, Pose, blend, paint, paint_mask

THINGS_DRAWN = {
    "bell": objects.draw_bell,
    "drum": objects.draw_drum,
    "clock": objects.draw_clock,
    "car": vehicles.draw_car,
    "train": vehicles.draw_train,
    "bird": animals.draw_bird,
    "cat": animals.draw_cat,
    "dog": animals.draw_dog,
    "bee": animals.draw_bee,
    "rain": nature.draw_rain,
    "boat": vehicles.draw_boat,
    "ambulance": vehicles.draw_ambulance,
    "phone": objects.draw_phone,
    "piano": objects.draw_piano,
    "rocket": vehicles.draw_rocket,
    "heart": nature.draw_heart,
    "house": objects.draw_house,
    "tree": nature.draw_tree,
    "flower": nature.draw_flower,
    "sun": nature.draw_sun,
    "moon": nature.draw_moon,
    "fish": animals.draw_fish,
    "apple": nature.draw_apple,
    "ball": objects.draw_ball,
    "circle": shapes.draw_circle,
    "square": shapes.draw_square,
    "triangle": shapes.draw_triangle,
    "star": shapes.draw_star,
    "diamond": shapes.draw_diamond,
    "cross": shapes.draw_cross,
    "ring": shapes.draw_ring,
    "crescent": shapes.draw_crescent,
}
"""Every thing of `scene.THINGS` to the function that draws it with a `Pen`."""

PAINTS: dict[str, RGB] = {
    "red": (218, 34, 38),
    "orange": (250, 134, 18),
    "yellow": (254, 226, 44),
    "green": (38, 160, 62),
    "blue": (36, 84, 222),
    "purple": (134, 52, 182),
    "pink": (252, 138, 190),
    "brown": (128, 76, 36),
    "white": (247, 247, 247),
    "black": (26, 26, 28),
}
"""Every colour of `scene.COLORS` to the middle of its range in RGB."""


def mix_paint(color: str, rng: random.Random) -> RGB:
    """A shade that everyone calls `color`: its `PAINTS` with a little play in hue, saturation and brightness."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in PAINTS[color]))
    hue = (hue + rng.uniform(-0.008, 0.008)) % 1
    saturation = min(1.0, saturation * rng.uniform(0.94, 1.06))
    value = min(1.0, value * rng.uniform(0.94, 1.06))
    return tuple(round(255 * channel) for channel in colorsys.hsv_to_rgb(hue, saturation, value))


def sketch(thing: str, color: RGB, rng: random.Random) -> list[Patch]:
    """The thing as patches around the origin, its longer side 2 units; details vary with `rng`."""
    pen = Pen(color, rng)
    THINGS_DRAWN[thing](pen)
    return pen.finish()


def draw_thing(thing: str, color: RGB, rng: random.Random | int, *, size: int = 64) -> Image.Image:
    """The thing alone: an RGBA picture of `size` x `size` pixels, transparent around it.

    `color` is its main colour, 0 to 255 each; `rng` varies the details.
    """
    rng = random.Random(rng) if isinstance(rng, int) else rng
    outline = blend(color, (0, 0, 0), 0.55)
    canvas = Image.new("RGB", (size * OVERSAMPLING,) * 2, outline)
    mask = Image.new("L", canvas.size)
    drawing, pose = sketch(thing, color, rng), Pose(x=size / 2, y=size / 2, size=size * 0.9)
    paint(canvas, drawing, pose, outline)
    paint_mask(mask, drawing, pose)
    canvas.putalpha(mask)
    return canvas.reduce(OVERSAMPLING)
