"""Rendered media that training draws from: scenes of the train split with their pixels or samples, kept on disk.

A pool is (modality, seed, count); scene i is a pure function of (seed, i), so only the media are stored, as one array
that is mapped into memory. Seeds of pools, of evaluation and of judges never meet.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anygen.nano.architecture import DRAWN_SIZE
from anygen.nano.world.image import render_image
from anygen.nano.world.scene import Scene, sample_scene, sample_tone
from anygen.nano.world.sound import render_audio
from anygen.nano.world.video import render_video

MEDIA_SHAPES = {"video": (8, 64, 64, 3), "audio": (32768,)}
"""Shape of one stored medium: pixels of uint8, or 16-bit samples at 16 kHz. Pictures have a pool's own size."""
HARD = {"tone": 3.0, "moon": 4.0, "circle": 4.0}
"""How much more often what is hardest is drawn: a moon differs from a circle by its craters alone, and the contour of a
tone is finer than any sound of a thing."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """`count` media of one modality, drawn from the train split by `seed`."""

    modality: str
    count: int
    seed: int = 1
    picture_size: int = 64
    """Side of the pictures in pixels; the same scenes at another size are the same pictures."""

    @property
    def shares(self) -> Tensor:
        """float (count,): how often each medium is to be drawn, relative to the others; `HARD` ones are drawn more often."""
        scenes = (self.scene(index) for index in range(self.count))
        return torch.tensor([HARD["tone"] if scene.tone else HARD.get(scene.thing, 1.0) for scene in scenes])

    @property
    def as_drawn(self) -> Pool:
        """The pool as nano's generators make its media: pictures are larger than the encoder sees them."""
        return replace(self, picture_size=DRAWN_SIZE) if self.modality == "image" else self

    def scene(self, index: int) -> Scene:
        """Ground truth of medium `index`."""
        return _scene(self.modality, self.seed, index)

    def media(self, folder: Path) -> np.ndarray:
        """The media (count, *MEDIA_SHAPES[modality]), rendered on first use; read-only, mapped from disk."""
        size = f"-{self.picture_size}" if self.modality == "image" else ""
        path = folder / f"{self.modality}{size}-{self.seed}-{self.count}.npy"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            dtype = np.int16 if self.modality == "audio" else np.uint8
            unfinished = path.with_suffix(f".{os.getpid()}.new")
            shape = (self.count, *MEDIA_SHAPES.get(self.modality, (self.picture_size, self.picture_size, 3)))
            array = np.lib.format.open_memmap(unfinished, mode="w+", dtype=dtype, shape=shape)
            for index in range(self.count):
                array[index] = render(self.modality, self.scene(index), f"{self.seed}-{index}", self.picture_size)
            array.flush()
            os.replace(unfinished, path)
        return np.load(path, mmap_mode="r")


def render(modality: str, scene: Scene, name: str, picture_size: int = 64) -> np.ndarray:
    """One medium of a scene as it is stored; `name` seeds what varies from draw to draw."""
    rng = random.Random(f"render-{modality}-{name}")
    if modality == "image":
        return render_image(scene, rng, size=picture_size)
    if modality == "video":
        return render_video(scene, rng).frames
    return np.round(render_audio(scene, rng).waveform * 32767).astype(np.int16)


@lru_cache(maxsize=None)
def _scene(modality: str, seed: int, index: int) -> Scene:
    rng = random.Random(f"scene-{modality}-{seed}-{index}")
    if modality == "image":
        return sample_scene(rng, "train")
    if modality == "video":
        return sample_scene(rng, "train", lone=True)
    scene = sample_scene(rng, "train", sounding=True, lone=True)
    return replace(scene, tone=sample_tone(rng)) if rng.random() < 0.4 else scene
