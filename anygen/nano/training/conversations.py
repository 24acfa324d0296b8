"""Dialogues of the world as examples for the alignment stages: media from pools, already encoded.

    dialogue (scenes) -> user media as encoder tokens, assistant media as captions and latents -> Example

Encoder tokens and latents of a pool are computed once and kept; a scene finds its medium by equality.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from anygen.encoders import Encoder
from anygen.media.types import Audio, Video
from anygen.messages import Conversation, Part, Turn
from anygen.nano.architecture import VIDEO_FPS
from anygen.nano.training.pools import Pool
from anygen.nano.world.dialogues import TASK_WEIGHTS, Dialogue, DialoguePart, sample_conversation, sample_dialogue
from anygen.nano.world.scene import Scene
from anygen.training.stages import Example


@dataclass(frozen=True, kw_only=True)
class EncodedPool:
    """A pool with what the frozen parts make of it."""

    pool: Pool
    tokens: Tensor
    """float16 (count, P, D_enc): encoder tokens."""
    latents: Tensor
    """float16 (count, C, ...): the generator's latents."""
    index_of: dict[Scene, int]
    """A medium of each scene."""


def encode_media_pool(pool: Pool, *, encoder: Encoder, latents: Tensor, folder: Path) -> EncodedPool:
    """Run the encoder over a pool, or read what an earlier call kept in `folder`."""
    path = folder / f"tokens-{pool.modality}-{pool.seed}-{pool.count}.safetensors"
    if not path.exists():
        media = pool.media(folder)
        batches = [
            encode_batch(pool.modality, media[start : start + 128], encoder) for start in range(0, pool.count, 128)
        ]
        save_file({"tokens": torch.cat(batches)}, path)
    index_of = {pool.scene(index): index for index in range(pool.count)}
    return EncodedPool(pool=pool, tokens=load_file(path)["tokens"], latents=latents, index_of=index_of)


@torch.no_grad()
def encode_batch(modality: str, stored: np.ndarray, encoder: Encoder) -> Tensor:
    """Stored media (N, ...) of a pool -> encoder tokens float16 (N, P, D_enc)."""
    media = [as_medium(modality, one) for one in stored]
    return encoder(modality, encoder.preprocess(modality, media)).half()


def as_medium(modality: str, stored: np.ndarray):
    """A stored array of a pool as a PIL image, `Video` or `Audio`."""
    if modality == "image":
        return Image.fromarray(np.array(stored))
    if modality == "video":
        return Video(frames=np.array(stored), fps=VIDEO_FPS)
    return Audio(waveform=stored.astype(np.float32) / 32767, sampling_rate=16_000)


class ExampleSource:
    """Draws examples of some tasks from encoded pools; those that `fits` does not hold for are drawn again."""

    def __init__(
        self,
        pools: dict[str, EncodedPool],
        *,
        tasks: Sequence[str] = tuple(TASK_WEIGHTS),
        fits: Callable[[Conversation], bool] = lambda conversation: True,
    ):
        self.pools = pools
        self.fits = fits
        self.tasks = tuple(tasks)
        self.weights = [TASK_WEIGHTS[task] for task in self.tasks]

    def draw(self, rng: random.Random) -> Example:
        """One example: a dialogue of the tasks, sometimes with others before it."""
        turns = None
        while turns is None or not self.fits(turns):
            dialogue = sample_conversation(rng, lambda: self._dialogue(rng))
            turns = tuple(
                Turn(role=turn.role, parts=tuple(self._part(part, turn.role) for part in turn.parts))
                for turn in dialogue.turns
            )
        made = [part for turn in dialogue.turns if turn.role == "assistant" for part in turn.media]
        return Example(conversation=turns, latents=tuple(self._latents(part) for part in made))

    def _dialogue(self, rng: random.Random) -> Dialogue:
        """A dialogue; one whose user shows a medium that no pool has is drawn again."""
        while True:
            task = rng.choices(self.tasks, weights=self.weights)[0]
            dialogue = sample_dialogue(rng, "train", task=task, sample=lambda modality: self._scene(modality, rng))
            shown = [part for turn in dialogue.turns if turn.role == "user" for part in turn.media]
            if all(part.scene in self.pools[part.type].index_of for part in shown):
                return dialogue

    def _scene(self, modality: str, rng: random.Random) -> Scene:
        pool = self.pools[modality].pool
        return pool.scene(rng.randrange(pool.count))

    def _part(self, part: DialoguePart, role: str) -> Part:
        if part.type == "text":
            return Part(type="text", text=part.text)
        if role == "assistant":
            return Part(type=part.type, caption=part.caption)
        encoded = self.pools[part.type]
        return Part(type=part.type, features=encoded.tokens[encoded.index_of[part.scene]].float())

    def _latents(self, part: DialoguePart) -> Tensor | None:
        index = self.pools[part.type].index_of.get(part.scene)
        return None if index is None else self.pools[part.type].latents[index]
