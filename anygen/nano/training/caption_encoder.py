"""Pretrains the caption encoder that nano's three generators share: CLIP's text model, taught to name what is said.

    caption (any wording, any medium) -> text states (N, 24, 128) -> attention-pooled -> one linear head per attribute

A denoiser that learns its own text encoder from pixels alone needs many thousand pictures before a colour word means a
colour. Here the words come first: the states tell every attribute of the scene that the caption names. The
encoder is frozen from here on, so what the output projectors aim at is known before any denoiser is done; the heads stay
behind as the reader of conditions that the alignment stages use.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextModel

from anygen.media.types import MEDIA
from anygen.nano import tokenizer as nano_tokenizer
from anygen.nano.architecture import CAPTION_TOKENS, TEXT_DIM, build_text_encoder
from anygen.nano.training.loop import LoopConfig, fit, python_random
from anygen.nano.training.phrases import FAMILIES_OF, attribute, phrase_families
from anygen.nano.world.captions import canonical_caption, caption
from anygen.nano.world.scene import Scene, sample_scene, sample_tone
from anygen.training.stages import Reader

LOOP = LoopConfig(steps=1200, learning_rate=2e-3, warmup_steps=50, ema_decay=0.99)
BATCH_SIZE = 96


class AttributeHeads(nn.Module):
    """One linear head per attribute, each reading states through an attention of its own."""

    def __init__(self, width: int):
        super().__init__()
        self.values = {family: list(table) for family, table in phrase_families().items()}
        self.index = {family: {value: i for i, value in enumerate(table)} for family, table in self.values.items()}
        self.looks = nn.ModuleDict({_key(family): nn.Linear(width, 1) for family in self.values})
        self.heads = nn.ModuleDict({_key(f): nn.Linear(width, len(table)) for f, table in self.values.items()})

    def forward(self, states: Tensor) -> dict[str, Tensor]:
        """States (N, L, D) -> logits (N, values) of each family."""
        return {
            family: self.heads[_key(family)]((self.looks[_key(family)](states).softmax(dim=1) * states).sum(dim=1))
            for family in self.values
        }

    def labels(self, drawn: list[tuple[Scene, str]]) -> dict[str, Tensor]:
        """Scenes with their modality (N) -> int64[N] of each family, -100 where a medium does not show it."""
        return {
            family: torch.tensor(
                [
                    index.get(attribute(scene, modality, family), -100) if family in FAMILIES_OF[modality] else -100
                    for scene, modality in drawn
                ]
            )
            for family, index in self.index.items()
        }


class AttributeReader(AttributeHeads):
    """A caption encoder with heads that read its states."""

    def __init__(self, text_encoder: nn.Module):
        super().__init__(TEXT_DIM)
        self.text_encoder = text_encoder


def attribute_loss(logits: dict[str, Tensor], labels: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Cross entropy summed over the attributes that apply, the mean over items; and the mean share of right ones."""
    losses = [F.cross_entropy(logits[family], labels[family], reduction="sum") for family in logits]
    hits = [(logits[family].argmax(-1) == labels[family])[labels[family] >= 0].float().mean() for family in logits]
    return sum(losses) / len(next(iter(labels.values()))), torch.stack(hits).nanmean().detach()


def train_caption_encoder(work: Path, minutes: float | None = None, *, loop: LoopConfig | None = None) -> bool:
    """Train in `work/caption-encoder`; True when done and its `export` and `reader.safetensors` are written.

    An encoder that is exported already (by `warm_start.py`) stays as it is, and only the heads are trained.
    """
    folder = work / "caption-encoder"
    torch.manual_seed(0)
    tokenizer = nano_tokenizer.load(work / "tokenizer")
    finished = (folder / "export").exists()
    reader = AttributeReader(
        CLIPTextModel.from_pretrained(folder / "export") if finished else build_text_encoder(tokenizer)
    )
    reader.text_encoder.requires_grad_(not finished)

    def loss_of_step(generator: torch.Generator) -> dict[str, Tensor]:
        rng = python_random(generator)
        drawn = [draw_scene(rng) for _ in range(BATCH_SIZE)]
        words = [say(scene, modality, rng) for scene, modality in drawn]
        logits = reader(encode_captions(reader.text_encoder, tokenizer, words))
        loss, right = attribute_loss(logits, reader.labels(drawn))
        return {"loss": loss, "right": right}

    done = fit(reader, loss_of_step, loop or LOOP, folder=folder, minutes=minutes)
    if done:
        reader.text_encoder.save_pretrained(folder / "export")
        heads = {name: tensor for name, tensor in reader.state_dict().items() if not name.startswith("text_encoder.")}
        save_file(heads, folder / "reader.safetensors")
    return done


def load_reader(work: Path) -> Reader:
    """The trained heads as a frozen reader of conditions, for `stages.reading_loss`."""
    folder = work / "caption-encoder"
    reader = AttributeReader(CLIPTextModel.from_pretrained(folder / "export"))
    reader.load_state_dict(load_file(folder / "reader.safetensors"), strict=False)
    reader.requires_grad_(False)
    return lambda condition: reader(condition["prompt_embeds"])


def draw_scene(rng) -> tuple[Scene, str]:
    """A scene of the train split and the medium it is said of."""
    modality = rng.choice(MEDIA)
    scene = sample_scene(rng, "train", sounding=modality == "audio", lone=modality != "image")
    if modality == "audio" and rng.random() < 0.4:
        scene = Scene(thing=scene.thing, color=scene.color, tone=sample_tone(rng))
    return scene, modality


def say(scene: Scene, modality: str, rng) -> str:
    """The canonical caption half of the time, else any wording."""
    return canonical_caption(scene, modality) if rng.random() < 0.5 else caption(scene, modality, rng)


def encode_captions(text_encoder, tokenizer, captions: list[str]) -> Tensor:
    """Captions (N) -> text states (N, 24, 128), padded as the pipelines do it."""
    tokens = tokenizer(captions, padding="max_length", max_length=CAPTION_TOKENS, truncation=True, return_tensors="pt")
    return text_encoder(tokens.input_ids).last_hidden_state


def _key(family: str) -> str:
    return family.replace(" ", "_")
