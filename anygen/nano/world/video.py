"""Films of scenes: `render_video` moves what `image.py` draws, 8 frames of 64 x 64 at 4 per second.

    Scene --arrange--> a Placed drawing --MOTIONS_SHOWN--> its pose in each frame --compose--> Video

Background and drawing are the same in all frames, only the pose changes. For motions that travel (`TRAVELLING`) the
scene's place does not count: the thing crosses the picture.
"""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np

from anygen.media.types import Video
from anygen.nano.world.backgrounds import paint_background
from anygen.nano.world.drawing import PICTURE_SIZE, Pose
from anygen.nano.world.image import MIDDLE, arrange, as_random, compose
from anygen.nano.world.scene import Scene

NUM_FRAMES = 8
FPS = 4.0
TRAVELLING = ("moves left", "moves right", "moves up", "moves down", "bounces")
"""Motions that use the whole picture."""
PLAY = 3.0
"""How far, in pixels, a travelling thing may stand off the middle of the axis that it does not move along."""


def render_video(scene: Scene, rng: random.Random | int) -> Video:
    """The silent film of a scene with a lone thing: frames uint8 (8, 64, 64, 3) at 4 per second, 2 s in all.

    `rng` (or its seed) varies what `render_image` varies, and reach and phase of the motion. Raises ValueError for a
    scene with several things: only one can move.
    """
    if scene.count > 1 or scene.companion is not None:
        raise ValueError(
            f"a film shows one thing; found count={scene.count}, companion={scene.companion}: "
            "use count=1 and companion=None (sample_scene(..., lone=True))"
        )
    rng = as_random(rng)
    background = paint_background(scene.background, rng)
    (thing,) = arrange(scene, rng)
    poses = MOTIONS_SHOWN[scene.motion](thing.pose, rng)
    shown = [[] if pose is None else [replace(thing, pose=pose)] for pose in poses]
    return Video(frames=np.stack([compose(background, things) for things in shown]), fps=FPS)


def _travel(pose: Pose, rng: random.Random, *, dx: int = 0, dy: int = 0) -> list[Pose]:
    """From one edge region to the other along (dx, dy) at an even speed, by 29 to 40 pixels."""
    reach = min(max(PICTURE_SIZE - pose.size - 2, 28), 38) + rng.uniform(1, 2)
    start = MIDDLE - reach / 2
    aside = MIDDLE + rng.uniform(-PLAY, PLAY)
    way = [start + reach * i / (NUM_FRAMES - 1) for i in range(NUM_FRAMES)]
    if dx + dy < 0:
        way.reverse()
    return [replace(pose, x=at if dx else aside, y=at if dy else aside) for at in way]


def _moves_left(pose: Pose, rng: random.Random) -> list[Pose]:
    return _travel(pose, rng, dx=-1)


def _moves_right(pose: Pose, rng: random.Random) -> list[Pose]:
    return _travel(pose, rng, dx=1)


def _moves_up(pose: Pose, rng: random.Random) -> list[Pose]:
    return _travel(pose, rng, dy=-1)


def _moves_down(pose: Pose, rng: random.Random) -> list[Pose]:
    return _travel(pose, rng, dy=1)


def _grows(pose: Pose, rng: random.Random) -> list[Pose]:
    """From 0.6 to 1.2 of its size in equal ratios."""
    factors = np.geomspace(0.6, 1.2 * rng.uniform(0.98, 1.06), NUM_FRAMES).tolist()
    return [replace(pose, size=pose.size * factor) for factor in factors]


def _shrinks(pose: Pose, rng: random.Random) -> list[Pose]:
    return _grows(pose, rng)[::-1]


def _spins(pose: Pose, rng: random.Random) -> list[Pose]:
    """Once around its upright axis like a coin: an eighth of a turn per frame, the width as its cosine."""
    phase = rng.uniform(-12, 12)
    widths = [abs(math.cos(math.radians(phase + 45 * i))) for i in range(NUM_FRAMES)]
    return [replace(pose, aspect=pose.aspect * max(width, 0.2)) for width in widths]


def _blinks(pose: Pose, rng: random.Random) -> list[Pose | None]:
    """Two frames there, two frames gone (None); the first frame shows it."""
    phase = rng.randrange(2)
    return [None if (i + phase) // 2 % 2 else pose for i in range(NUM_FRAMES)]


def _bounces(pose: Pose, rng: random.Random) -> list[Pose]:
    """Up from the ground and back, twice: height over the ground as |sin|, 18 to 32 pixels at its top."""
    ground = PICTURE_SIZE - pose.size / 2 - 2
    height = max(min(ground - pose.size / 2 - 2, 32), 20)
    x, phase = MIDDLE + rng.uniform(-PLAY, PLAY), rng.uniform(-0.3, 0.3)
    heights = [height * abs(math.sin(math.pi * (i + phase) / 4)) for i in range(NUM_FRAMES)]
    return [replace(pose, x=x, y=ground - up) for up in heights]


def _stays_still(pose: Pose, rng: random.Random) -> list[Pose]:
    return [pose] * NUM_FRAMES


MOTIONS_SHOWN = {
    "moves left": _moves_left,
    "moves right": _moves_right,
    "moves up": _moves_up,
    "moves down": _moves_down,
    "grows": _grows,
    "shrinks": _shrinks,
    "spins": _spins,
    "blinks": _blinks,
    "bounces": _bounces,
    "stays still": _stays_still,
}
"""Every motion of `scene.MOTIONS` to the function that gives the pose in each frame (None: not to be seen)."""
