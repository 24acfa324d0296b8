"""Chooses how strongly each generator of nano is guided, by what nano's own encoder finds in what it makes.

    captions of fresh train scenes -> the aligned model, at each scale -> encoder -> nearest phrase of every attribute

The last step but one of the recipe; the whole model answers, since guidance leads away from the bridge's own null condition.
Neither the judges nor the measurements of `anygen eval` have a part in it, and no scene of the evaluation is met.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from anygen.media.types import MEDIA
from anygen.nano.training.encoder import apart, embed_phrases
from anygen.nano.training.phrases import FAMILIES_OF, attribute, phrase_families
from anygen.nano.world.captions import canonical_caption
from anygen.nano.world.scene import Scene, sample_scene, sample_tone
from anygen.pipeline import AnyGenPipeline

SCALES = (1.5, 2.0, 3.0)
"""Guidance scales that are compared; of equally good ones the smallest is taken."""
NUM_SCENES = {"image": 96, "video": 48, "audio": 128}
BATCH_SIZE = 16


def choose_guidance(pipe: AnyGenPipeline, *, folder: Path, modalities: Sequence[str] = MEDIA) -> dict[str, float]:
    """Modality -> the best of `SCALES`; `folder/guidance.json` holds what each of them reached."""
    shares = {modality: {scale: share_found(pipe, modality, scale=scale) for scale in SCALES} for modality in modalities}
    chosen = {modality: max(found, key=found.get) for modality, found in shares.items()}
    folder.mkdir(parents=True, exist_ok=True)
    record = {"chosen": chosen, "found": shares, "scenes": NUM_SCENES}
    (folder / "guidance.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return chosen


@torch.no_grad()
def share_found(pipe: AnyGenPipeline, modality: str, *, scale: float) -> float:
    """Share of the attributes said in canonical captions that the encoder finds in the media made from them."""
    encoder = pipe.model.encoders[modality]
    scenes = validation_scenes(modality)
    phrases = {family: apart(vectors) for family, vectors in embed_phrases(encoder).items()}
    right, said = 0, 0
    for start in range(0, len(scenes), BATCH_SIZE):
        part = scenes[start : start + BATCH_SIZE]
        captions = [canonical_caption(scene, modality) for scene in part]
        seeds = list(range(start, start + len(part)))
        outputs = pipe(captions, modalities=[modality], seed=seeds, **{modality: {"guidance_scale": scale}})
        media = [output.of(modality)[0] for output in outputs]
        vectors = encoder.embed(modality, encoder.preprocess(modality, media))
        for family in FAMILIES_OF[modality]:
            labels = labels_of(part, modality, family)
            nearest = (vectors @ phrases[family].T).argmax(dim=-1)
            right += int((nearest == labels)[labels >= 0].sum())
            said += int((labels >= 0).sum())
    return round(right / said, 4)


def validation_scenes(modality: str) -> list[Scene]:
    """Scenes of the train split with a seed of their own; every other one of sound is a tone."""
    rng = random.Random(f"guidance {modality}")
    scenes = [sample_scene(rng, "train", sounding=modality == "audio", lone=True) for _ in range(NUM_SCENES[modality])]
    if modality != "audio":
        return scenes
    tones = [Scene(thing=scene.thing, color=scene.color, tone=sample_tone(rng)) for scene in scenes[::2]]
    return [each for pair in zip(scenes[1::2], tones, strict=True) for each in pair]


def labels_of(scenes: Sequence[Scene], modality: str, family: str) -> Tensor:
    """int64[N]: each scene's value in a family as a class number, -1 where it has none."""
    index = {value: number for number, value in enumerate(phrase_families()[family])}
    return torch.tensor([index.get(attribute(scene, modality, family), -1) for scene in scenes])
