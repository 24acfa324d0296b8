"""Trains nano's encoder from nothing: an ImageBind whose modalities meet in one space through InfoNCE.

Component step of `anygen train nano`. A step draws pictures, films and recordings and contrasts each medium's embedding with

- one phrase for every value of every attribute ("a bell", "red", "on grass"): the medium must find its own;
- whole captions of the batch, both ways (Radford et al. 2021, the symmetric InfoNCE);
- sounds with the pictures of the batch that show what makes them (ImageBind, Girdhar et al. 2023, binds through images).

In its second part heads, which are thrown away afterwards, also ask the very tokens that the LLM will read for every
attribute: how a thing moves shows only in all clips of a film together. Some pictures and films lose their colours, so that
a thing is known by its shape, whatever its colour.

The depth, thermal and IMU trunks exist, very small, and stay untrained: nano's world has no such media.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from anygen.encoders.imagebind_config import ImageBindConfig, ImuTrunkConfig, PatchTrunkConfig, TextTrunkConfig
from anygen.encoders.imagebind_encoder import ImageBindEncoder, ImageBindEncoderConfig
from anygen.media.types import MEDIA, Audio
from anygen.nano import tokenizer as nano_tokenizer
from anygen.nano.tokenizer import train_tokenizer
from anygen.nano.training.initialisation import initialise
from anygen.nano.training.loop import START_FILE, LoopConfig, fit
from anygen.nano.training.phrases import FAMILIES_OF, attribute, phrase_families
from anygen.nano.training.pools import Pool
from anygen.nano.world.captions import caption
from anygen.nano.world.scene import sample_scene

UNTRAINED = dict(width=16, num_layers=1, num_heads=1, bias_kv=True, logit_scale=5.0)

NANO_ENCODER = ImageBindEncoderConfig(
    model=ImageBindConfig(
        joint_dim=128,
        vision=PatchTrunkConfig(
            input_size=(3, 2, 64, 64), kernel=(2, 8, 8), stride=(2, 8, 8), stem_norm=False,
            stem_widths=(32, 64, 128), width=128, num_layers=4, num_heads=4, pre_norm=True,
        ),
        text=TextTrunkConfig(
            context_length=32, vocab_size=1026, width=128, num_layers=2, num_heads=4,
            logit_scale=10.0, learn_logit_scale=True,
        ),
        audio=PatchTrunkConfig(
            input_size=(1, 64, 128), kernel=(16, 16), stride=(16, 16),
            width=128, num_layers=3, num_heads=4, bias_kv=True, logit_scale=20.0,
        ),
        depth=PatchTrunkConfig(input_size=(1, 64, 64), kernel=(16, 16), stride=(16, 16), **UNTRAINED),
        thermal=PatchTrunkConfig(input_size=(1, 64, 64), kernel=(16, 16), stride=(16, 16), **UNTRAINED),
        imu=ImuTrunkConfig(channels=6, steps=200, window=8, head_dropout=0.5, **UNTRAINED),
    ),
    read="grid", features="trunk", image_grid=(4, 4), video_grid=(2, 2), audio_grid=(2, 4),
    fit="pad", num_crops=1, num_video_clips=4, video_clip_seconds=None,
    num_audio_clips=1, audio_clip_samples=127 * 256 + 400, audio_frame_shift=256, audio_fill="silence",
    audio_mean=-9.9, audio_std=6.9,
)  # fmt: skip
"""A picture is 17 tokens, a film 20, a recording 9, all 128 wide. A film of eight frames gives four clips of two."""

BATCH = {"image": 44, "video": 20, "audio": 12}
COLORLESS = 0.35
"""Share of the pictures and films that are shown in grey; they tell nothing of colours and backgrounds."""
COLORED_FAMILIES = ("color", "companion color", "background")
READING_WIDTH = 192
"""Width of the heads that read tokens."""
THING_WEIGHT = 6.0
"""What the losses of a picture's or film's thing count where others count 1: there are 32 things, and some differ by little."""
FOCAL_FLOOR = 0.02
"""What an item counts that is known for certain, where one that is unknown counts 1."""
NUM_CAPTIONS = 16
"""Captions a step and modality: whole captions are long, so only some of the pictures bring theirs."""
PATCH_FAMILIES = ("thing", "color")
"""What every single patch is contrasted with too: sixty-four answers a picture in place of one."""
KEPT_PATCHES = 24
"""Of the 64 patches of a picture, those that a step of the first, cheap part of training looks at."""


@dataclass(frozen=True, kw_only=True)
class TrainingMedia:
    """A pool in memory: what the trunks take, and the value of each attribute as a class number."""

    pool: Pool
    stored: np.ndarray
    """uint8 pixels, or float16 normalised spectrograms (count, 1, 1, bins, frames)."""
    labels: dict[str, Tensor]
    """family -> (count,) index into the family's values, -1 where the attribute does not show."""
    shares: Tensor
    """float (count,): how often each is drawn, relative to the others."""

    def inputs(self, indices: Tensor, *, colorless: Tensor | None = None) -> Tensor:
        """The encoder's inputs for some items, as `ImageBindEncoder.preprocess` would make them.

        `colorless` bool (N,): which pictures or films are shown in grey (the luma of ITU-R BT.601).
        """
        chosen = torch.from_numpy(np.ascontiguousarray(self.stored[indices.numpy()]))
        if self.pool.modality == "audio":
            return chosen.float()
        if colorless is not None:
            chosen = chosen.float()
            luma = chosen[colorless] @ torch.tensor([0.299, 0.587, 0.114])
            chosen[colorless] = luma[..., None].expand(*luma.shape, 3)
        mean, std = (torch.tensor(values) for values in (NANO_ENCODER.pixel_mean, NANO_ENCODER.pixel_std))
        pixels = (chosen / 255 - mean) / std
        if self.pool.modality == "image":
            return pixels.permute(0, 3, 1, 2).contiguous()
        return pixels.unflatten(1, (4, 2)).permute(0, 1, 5, 2, 3, 4).contiguous()


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How long: first on a part of each picture's patches, which is cheap, then on whole pictures."""

    sparse_steps: int = 3000
    """Left out where the encoder begins with the weights of a finished one."""
    whole_steps: int = 5800
    whole_rate: float = 1e-3
    """Peak learning rate of the second part; the first has 1e-3 too."""


def load_media(pool: Pool, folder: Path, encoder: ImageBindEncoder) -> TrainingMedia:
    """Render or map a pool and bring it to the form that training reads; spectrograms are kept beside the recordings."""
    media = pool.media(folder)
    if pool.modality == "audio":
        path = folder / f"audio-{pool.seed}-{pool.count}-mel.npy"
        if not path.exists():
            recordings = (Audio(waveform=samples.astype(np.float32) / 32767, sampling_rate=16_000) for samples in media)
            np.save(path, np.stack([encoder.preprocess("audio", [one])[0].half().numpy() for one in recordings]))
        media = np.load(path, mmap_mode="r")
    values = {family: {value: i for i, value in enumerate(table)} for family, table in phrase_families().items()}
    scenes = [pool.scene(i) for i in range(pool.count)]
    labels = {
        family: torch.tensor([values[family].get(attribute(scene, pool.modality, family), -1) for scene in scenes])
        for family in FAMILIES_OF[pool.modality]
    }
    return TrainingMedia(pool=pool, stored=media, labels=labels, shares=pool.shares)


class ReadEncoder(nn.Module):
    """The encoder, and the heads that ask the tokens of a picture or film for its attributes."""

    def __init__(self, encoder: ImageBindEncoder):
        super().__init__()
        self.encoder = encoder
        sizes = {family: len(table) for family, table in phrase_families().items()}
        self.readers = nn.ModuleDict()
        for modality in ("image", "video"):
            width = encoder.num_tokens(modality) * encoder.width(modality)
            heads = {_key(family): nn.Linear(READING_WIDTH, sizes[family]) for family in FAMILIES_OF[modality]}
            trunk = nn.Sequential(nn.Linear(width, READING_WIDTH), nn.GELU())
            self.readers[modality] = nn.ModuleDict({"trunk": trunk, **heads})

    def read(self, modality: str, tokens: Tensor) -> dict[str, Tensor]:
        """Tokens (N, P, D) -> logits (N, values) of each family."""
        reader = self.readers[modality]
        hidden = reader["trunk"](tokens.flatten(1))
        return {family: reader[_key(family)](hidden) for family in FAMILIES_OF[modality]}


def train_encoder(
    media: dict[str, TrainingMedia], encoder: ImageBindEncoder, *, folder: Path, plan: TrainingPlan, minutes: float | None = None
) -> bool:
    """Train, or go on training, until the plan is done (True) or the time is up; the weights are left in `encoder`.

    Where `folder/whole` holds a start, that is gone on with and the first part left out.
    """
    initialise(encoder)
    module = ReadEncoder(encoder).train()
    loop = LoopConfig(steps=plan.sparse_steps, learning_rate=1e-3, warmup_steps=100, weight_decay=0.02, ema_decay=0.995)
    if not (folder / "whole" / START_FILE).exists():
        sparse = partial(contrastive_losses, module, media, kept_patches=KEPT_PATCHES)
        if not fit(module, sparse, loop, folder=folder / "sparse", minutes=minutes):
            return False
    whole = partial(contrastive_losses, module, media, kept_patches=None)
    loop = replace(loop, steps=plan.whole_steps, learning_rate=plan.whole_rate, seed=1)
    return fit(module, whole, loop, folder=folder / "whole", minutes=minutes)


def contrastive_losses(
    module: ReadEncoder, media: dict[str, TrainingMedia], generator: torch.Generator, *, kept_patches: int | None
) -> dict[str, Tensor]:
    """Draw a batch of every modality and contrast it, and read it where patches are whole; "loss" is the weighted sum."""
    encoder = module.encoder
    rng = random.Random(int(torch.randint(2**62, (1,), generator=generator)))
    chosen = {m: torch.multinomial(each.shares, BATCH[m], replacement=True, generator=generator) for m, each in media.items()}
    colorless = {m: torch.rand(len(indices), generator=generator) < COLORLESS for m, indices in chosen.items()}
    inputs = {m: media[m].inputs(indices, colorless=colorless[m]) for m, indices in chosen.items()}
    views, patches, tokens = embed_batch(encoder, inputs, kept_patches)
    vectors = {modality: joint for modality, (joint, *_) in views.items()}
    scale = encoder.model.modality_postprocessors["text"][1].log_logit_scale.exp().clamp(max=100)
    phrases = {family: apart(vectors) for family, vectors in embed_phrases(encoder, rng).items()}

    losses = {}
    for modality, indices in chosen.items():
        labels = {family: table[indices] for family, table in media[modality].labels.items()}
        if modality != "audio":
            labels |= {f: torch.where(colorless[modality], -1, labels[f]) for f in COLORED_FAMILIES if f in labels}
        losses |= phrase_losses(modality, views[modality], patches.get(modality), labels, phrases, scale)
        if kept_patches is None and modality in tokens:
            losses |= reading_losses(modality, module.read(modality, tokens[modality]), labels)
        if modality != "audio":  # an audio caption says no more than its phrase does
            some = (~colorless[modality]).nonzero().flatten()[:NUM_CAPTIONS]
            captions = [caption(media[modality].pool.scene(int(i)), modality, rng) for i in indices[some]]
            words = embed_words(encoder, captions)
            losses[f"{modality} caption"] = info_nce(scale * vectors[modality][some] @ words.T)
    losses["image audio"] = bind_sounds(scale, vectors, {m: media[m].labels["thing"][i] for m, i in chosen.items()})
    weights = {name: THING_WEIGHT for name in losses if name.endswith(" thing") and not name.startswith("audio")}
    return {"loss": sum(weights.get(name, 1.0) * loss for name, loss in losses.items()), **losses}


def phrase_losses(
    modality: str,
    views: tuple[Tensor, ...],
    patches: Tensor | None,
    labels: dict[str, Tensor],
    phrases: dict[str, Tensor],
    scale: Tensor,
) -> dict[str, Tensor]:
    """Cross entropy of each view, and of each patch of a lone thing, over the phrases of every family."""
    losses = {}
    for family, of_family in labels.items():
        if (of_family >= 0).any():
            logits = torch.cat([scale * view @ phrases[family].T for view in views])
            repeated = of_family.repeat(len(views))
            losses[f"{modality} {family}"] = hard_cross_entropy(logits, repeated)
        if patches is not None and family in PATCH_FAMILIES:
            alone = torch.where(labels["companion"] < 0, of_family, -1) if modality == "image" else of_family
            logits = scale * patches @ phrases[family].T
            repeated = alone[:, None].expand(logits.shape[:2])
            losses[f"{modality} patch {family}"] = F.cross_entropy(logits.flatten(0, 1), repeated.flatten(), ignore_index=-1)
    return losses


def hard_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of (N, values) that counts what is not known yet: each item by one minus its probability.

    A focal weight (Lin et al. 2017, equation 4, with an exponent of 1) of mean 1. A moon differs from a circle in some
    pixels, and among what is long known its gradient is lost. Items whose label is -1 count nothing.
    """
    losses = F.cross_entropy(logits, labels, ignore_index=-1, reduction="none")
    weights = torch.where(labels >= 0, 1 - torch.exp(-losses.detach()) + FOCAL_FLOOR, 0.0)
    return (losses * weights).sum() / weights.sum()


def reading_losses(modality: str, logits: dict[str, Tensor], labels: dict[str, Tensor]) -> dict[str, Tensor]:
    """Cross entropy of what the heads read in the tokens of a modality."""
    return {
        f"{modality} read {family}": hard_cross_entropy(values, labels[family])
        for family, values in logits.items()
        if (labels[family] >= 0).any()
    }


def embed_batch(
    encoder: ImageBindEncoder, inputs: dict[str, Tensor], kept_patches: int | None
) -> tuple[dict[str, tuple[Tensor, ...]], dict[str, Tensor], dict[str, Tensor]]:
    """Views of each modality in the joint space, every patch there, and the tokens that the LLM reads.

    The views are (N, joint_dim) each: first what `Encoder.embed` gives, from CLS, then for pictures and films the mean of
    their patch tokens through the same head. Patches are (N, tokens, joint_dim). The LLM reads patches, and a token that
    only CLS looks at learns late. Pictures and the clips of films share one pass of the trunk. The third, (N, P, D) as
    `Encoder.forward` gives it, is empty where only some patches are kept.
    """
    images, clips = inputs["image"], inputs["video"].flatten(0, 1)
    frames = torch.cat([images.unsqueeze(2).expand(-1, -1, clips.shape[2], -1, -1), clips])
    model = encoder.model
    tokens = model.modality_preprocessors["vision"](frames)
    if kept_patches is not None:
        kept = 1 + eventful_patches(frames, tokens.shape[1] - 1, kept_patches)
        kept = torch.cat([torch.zeros_like(kept[:, :1]), kept], dim=1)  # CLS stays
        tokens = tokens.gather(1, kept[..., None].expand(-1, -1, tokens.shape[-1]))
    seen, head = model.modality_trunks["vision"](tokens), model.modality_heads["vision"]
    views = {"image": [], "video": [], "audio": [encoder.embed("audio", inputs["audio"])]}
    for summary in (seen, seen[:, 1:].mean(dim=1, keepdim=True)):
        pooled = F.normalize(head(summary, frames), dim=-1)
        films = pooled[len(images) :].unflatten(0, inputs["video"].shape[:2]).mean(dim=1)
        views["image"].append(pooled[: len(images)])
        views["video"].append(F.normalize(films, dim=-1))
    each = F.normalize(head.project(head.normalise(seen[:, 1:], frames)), dim=-1)
    of_films = each[len(images) :].unflatten(0, inputs["video"].shape[:2]).flatten(1, 2)
    return (
        {modality: tuple(some) for modality, some in views.items()},
        {"image": each[: len(images)], "video": of_films},
        {} if kept_patches is not None else tokens_read(encoder, head.normalise(seen, frames), len(images)),
    )


def tokens_read(encoder: ImageBindEncoder, seen: Tensor, num_images: int) -> dict[str, Tensor]:
    """Tokens of pictures and then of clips, (N + clips, 1 + patches, D), as `Encoder.forward` would choose them."""
    films = encoder.read_tokens("video", seen[num_images:])
    return {
        "image": encoder.read_tokens("image", seen[:num_images]),
        "video": films.unflatten(0, (-1, encoder.config.num_video_clips)).flatten(1, 2),
    }


def eventful_patches(frames: Tensor, num_patches: int, kept: int) -> Tensor:
    """Draw `kept` patches of each clip (B, 3, T, H, W), likelier the more happens in them: indices (B, kept).

    Training on a part of the patches costs as much less (FLIP, Li et al. 2023); a patch's chance grows with its variance
    over pixels, colours and time, so that small things are rarely missed.
    """
    size = math.isqrt(frames.shape[-1] * frames.shape[-2] // num_patches)
    squares, means = (F.avg_pool2d(moment.mean(dim=(1, 2)), size).flatten(1) for moment in (frames.square(), frames))
    gumbel = -torch.empty_like(means).exponential_().log()
    return ((squares - means.square()).clamp_min(1e-3).log() + gumbel).topk(kept, dim=1).indices


def embed_phrases(encoder: ImageBindEncoder, rng: random.Random | None = None) -> dict[str, Tensor]:
    """family -> (values, joint_dim): one wording of each value, drawn by `rng`, or the canonical one."""
    families = phrase_families()
    wordings = [rng.choice(row) if rng else row[0] for table in families.values() for row in table.values()]
    return dict(zip(families, embed_words(encoder, wordings).split([len(table) for table in families.values()])))


def apart(vectors: Tensor) -> Tensor:
    """Phrases of one family (values, joint_dim) as seen from their mean.

    Left alone, phrases that differ in one word fall together early (cosines of 0.99 among places were measured), and
    media then get no gradient that would tell those values apart.
    """
    return F.normalize(vectors - vectors.mean(dim=0), dim=-1)


def embed_words(encoder: ImageBindEncoder, texts: list[str]) -> Tensor:
    """Texts (N) -> (N, joint_dim), read no further than the longest one's end, which changes nothing but the time."""
    ids = encoder.preprocess("text", texts)
    return encoder.embed("text", ids[:, : int(ids.argmax(dim=-1).max()) + 1])


def info_nce(logits: Tensor) -> Tensor:
    """Symmetric InfoNCE of (N, N) similarities whose diagonal are the pairs."""
    pairs = torch.arange(len(logits))
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2


def bind_sounds(scale: Tensor, vectors: dict[str, Tensor], things: dict[str, Tensor]) -> Tensor:
    """InfoNCE from sounds to pictures, where every picture of the sounding thing is a positive (SupCon, Khosla et al. 2020)."""
    positives = (things["audio"][:, None] == things["image"][None]) & (things["audio"][:, None] >= 0)
    log_likelihood = (scale * vectors["audio"] @ vectors["image"].T).log_softmax(dim=-1)
    found = positives.sum(dim=-1)
    return -(log_likelihood * positives).sum(dim=-1).div(found.clamp_min(1)).sum() / (found > 0).sum().clamp_min(1)


def encoder_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The text trunk's own pieces, about a thousand, learnt from phrases and captions; kept in `folder`."""
    if not (folder / "tokenizer.json").exists():
        rng = random.Random(0)
        texts = [wording for table in phrase_families().values() for row in table.values() for wording in row] * 5
        for modality in MEDIA:
            scenes = [sample_scene(rng, lone=modality != "image", sounding=modality == "audio") for _ in range(4000)]
            texts += [caption(scene, modality, rng) for scene in scenes]
        train_tokenizer(texts, vocab_size=1024).save_pretrained(folder)
    return nano_tokenizer.load(folder)


def build_encoder(tokenizer) -> ImageBindEncoder:
    """Nano's encoder, untrained, for a tokenizer (the text trunk adds start and end of text to its vocabulary)."""
    text = replace(NANO_ENCODER.model.text, vocab_size=len(tokenizer) + 2)
    return ImageBindEncoder(replace(NANO_ENCODER, model=replace(NANO_ENCODER.model, text=text)), tokenizer=tokenizer)


def _key(family: str) -> str:
    return family.replace(" ", "_")
