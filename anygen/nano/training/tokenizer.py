"""Trains nano's tokenizer on captions and dialogues of the train split, and writes it to a folder.

First step of training: the LLM and the generators' text encoders read what it makes, so it never changes afterwards.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from anygen.nano.tokenizer import train_tokenizer
from anygen.nano.world.captions import canonical_caption, caption
from anygen.nano.world.dialogues import sample_dialogue
from anygen.nano.world.turns import MEDIA, Speaker


def tokenizer_texts(*, num_dialogues: int = 20_000, num_captions: int = 10_000, seed: int = 0) -> Iterator[str]:
    """Words of dialogues (those of users in lower case, as they are read), and captions (in lower case) of each medium."""
    rng = random.Random(seed)
    for _ in range(num_dialogues):
        for turn in sample_dialogue(rng).turns:
            yield turn.text.lower() if turn.role == "user" else turn.text
            yield from (part.caption for part in turn.media)
    speaker = Speaker(rng)
    for _ in range(num_captions):
        for modality in MEDIA:
            scene = speaker.scene(modality)
            yield caption(scene, modality, rng)
            yield canonical_caption(scene, modality)


def make_tokenizer(out: Path, **texts: int) -> None:
    """Train the tokenizer and save it to `out`, unless one is there."""
    if not (out / "tokenizer.json").exists():
        train_tokenizer(tokenizer_texts(**texts)).save_pretrained(out)
