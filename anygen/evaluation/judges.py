"""The judges of `anygen eval nano`: small classifiers that say what a picture, film or sound shows.

They stand at the very end of the evaluation: generated media in, names of the world's attributes out. They share
nothing with nano: their own layers, their own log-mel front end, trained (`judge_training.py`) on fresh renders alone,
never on anything that nano made. What can be measured without learning is measured instead (`measure.py`).

    image judge   (N, 3, 64, 64) in [0, 1]       -> logits per attribute of `JUDGED["image"]`; a film: frame by frame
    audio judge   (N, 1, 64, 128) log-mel        -> logits per attribute of `JUDGED["audio"]`
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from anygen.errors import AnyGenError
from anygen.media.types import Audio, Video
from anygen.nano.world.scene import (
    BACKGROUNDS,
    COLORS,
    COUNTS,
    PLACES,
    SOUNDING_THINGS,
    THINGS,
    TONE_CONTOURS,
    TONE_HEIGHTS,
)

JudgeKind = Literal["image", "audio"]

JUDGED: dict[str, dict[str, tuple]] = {
    "image": {"thing": THINGS, "background": BACKGROUNDS, "color": COLORS, "place": PLACES, "count": COUNTS},
    "audio": {"sound": (*SOUNDING_THINGS, "tone"), "height": TONE_HEIGHTS, "contour": TONE_CONTOURS},
}
"""What each judge tells apart: attribute -> its possible values, in the order of the logits."""

IMAGE_SIZE = 64
SAMPLING_RATE = 16_000
MEL_BINS, MEL_FRAMES, FFT_SIZE, HOP_LENGTH = 64, 128, 1024, 256


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """Shape of one judge."""

    kind: JudgeKind
    widths: tuple[int, ...] = (24, 48, 96, 192)
    """Channels after each halving of the picture; the middle ones get a second convolution."""

    def __post_init__(self):
        if self.kind not in JUDGED:
            raise ValueError(f"kind={self.kind!r} is no judge; one of {', '.join(JUDGED)}")


class Judge(nn.Module):
    """A plain convolutional classifier with one linear head per attribute."""

    def __init__(self, config: JudgeConfig):
        super().__init__()
        self.config = config
        channels = 3 if config.kind == "image" else 1
        layers = []
        for level, width in enumerate(config.widths):
            layers += _convolution(channels, width, stride=2)
            if 0 < level < len(config.widths) - 1:
                layers += _convolution(width, width, stride=1)
            channels = width
        self.trunk = nn.Sequential(*layers)
        # Average and position-aware pooling side by side: place needs to know where, the rest needs to know what.
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(4 * channels, len(values)) for name, values in JUDGED[config.kind].items()}
        )

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """`x` (N, C, H, W) -> attribute -> logits (N, number of values)."""
        features = self.pool(self.trunk(x)).flatten(1)
        return {name: head(features) for name, head in self.heads.items()}

    @torch.inference_mode()
    def probabilities(self, x: Tensor, batch_size: int = 256) -> dict[str, Tensor]:
        """`x` (N, C, H, W) -> attribute -> probabilities (N, number of values)."""
        batches = [self(batch) for batch in x.split(batch_size)]
        return {name: torch.cat([batch[name] for batch in batches]).softmax(-1) for name in self.heads}

    def save(self, folder: str | os.PathLike, *, accuracy: dict[str, float]) -> None:
        """Write `<kind>.safetensors`, and `<kind>.json` with the shape and the accuracy on fresh renders."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: tensor.contiguous() for name, tensor in self.state_dict().items()},
            folder / f"{self.config.kind}.safetensors",
        )
        facts = {"kind": self.config.kind, "widths": self.config.widths, "accuracy": accuracy}
        (folder / f"{self.config.kind}.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _convolution(channels: int, width: int, *, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]


@dataclass(frozen=True, kw_only=True)
class Judges:
    """The two judges and how often each was right on fresh renders."""

    image: Judge
    audio: Judge
    accuracy: dict[str, dict[str, float]]
    """kind -> attribute -> share of right answers, in [0, 1]"""

    def judge_images(self, images: Sequence[Image.Image]) -> list[dict[str, str | int]]:
        """Attribute -> value, per picture."""
        return _names(self.image.probabilities(image_pixels(images)), "image")

    def judge_videos(self, videos: Sequence[Video]) -> list[dict[str, str | int]]:
        """Attribute -> value, per film: the mean of its frames' probabilities decides (place and count: none)."""
        if not videos:
            return []
        frames = [Image.fromarray(frame) for video in videos for frame in video.frames]
        lengths = [len(video.frames) for video in videos]
        means = {
            name: torch.stack([film.mean(0) for film in values.split(lengths)])
            for name, values in self.image.probabilities(image_pixels(frames)).items()
            if name not in ("place", "count")
        }
        return _names(means, "image")

    def judge_audios(self, audios: Sequence[Audio]) -> list[dict[str, str | int]]:
        """Attribute -> value, per sound. `sound` is a thing or "tone"; height and contour mean something for tones."""
        return _names(self.audio.probabilities(log_mels(audios)), "audio")


def _names(probabilities: dict[str, Tensor], kind: str) -> list[dict[str, str | int]]:
    best = {name: values.argmax(-1).tolist() for name, values in probabilities.items()}
    count = len(next(iter(best.values())))
    return [{name: JUDGED[kind][name][indices[i]] for name, indices in best.items()} for i in range(count)]


def load_judges(folder: str | os.PathLike) -> Judges:
    """Read both judges from a folder. Raises `model_load_error` where one is missing."""
    loaded, accuracy = {}, {}
    for kind in JUDGED:
        weights, facts = (Path(folder) / f"{kind}.{suffix}" for suffix in ("safetensors", "json"))
        if not (weights.exists() and facts.exists()):
            raise AnyGenError(
                "model_load_error",
                f"{folder} holds no {kind} judge; expected {weights.name} and {facts.name}; prepare_judges trains it",
            )
        about = json.loads(facts.read_text(encoding="utf-8"))
        judge = Judge(JudgeConfig(kind=kind, widths=tuple(about["widths"])))
        judge.load_state_dict(load_file(weights))
        loaded[kind], accuracy[kind] = judge.eval(), about["accuracy"]
    return Judges(**loaded, accuracy=accuracy)


def image_pixels(images: Sequence[Image.Image]) -> Tensor:
    """Pictures of any size -> float (N, 3, 64, 64) in [0, 1]."""
    if not images:
        return torch.zeros(0, 3, IMAGE_SIZE, IMAGE_SIZE)
    small = [image.convert("RGB").resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BILINEAR) for image in images]
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in small]))
    return pixels.permute(0, 3, 1, 2).float() / 255


def log_mels(audios: Sequence[Audio]) -> Tensor:
    """Sounds at 16 kHz -> (N, 1, 64, 128): 64 mel bands by 128 frames of 16 ms, log power, about zero mean.

    Each sound is scaled to the same peak (loudness is no clue), then cut or padded with silence to 2.048 s.
    """
    waves = torch.zeros(len(audios), MEL_FRAMES * HOP_LENGTH)
    for wave, audio in zip(waves, audios, strict=True):
        if audio.sampling_rate != SAMPLING_RATE:
            raise AnyGenError(
                "invalid_parameter",
                f"the audio judge hears {SAMPLING_RATE} Hz; found {audio.sampling_rate} Hz; resample the sound",
            )
        samples = torch.from_numpy(np.asarray(audio.waveform, dtype=np.float32))[: waves.shape[1]]
        wave[: len(samples)] = samples / samples.abs().max().clamp_min(1e-4) if len(samples) else samples
    spectrum = torch.stft(waves, FFT_SIZE, HOP_LENGTH, window=torch.hann_window(FFT_SIZE), return_complex=True)
    power = spectrum.abs().square()[..., :MEL_FRAMES]
    mels = torch.einsum("mf,nft->nmt", _mel_filters(), power)
    return ((mels + 1e-3).log() / 4)[:, None]


@lru_cache(maxsize=1)
def _mel_filters() -> Tensor:
    """Triangles (64, 513) of equal width on the mel scale of O'Shaughnessy (1987), 40 Hz to 8 kHz."""

    def mel(hertz):
        return 2595 * np.log10(1 + np.asarray(hertz) / 700)

    edges = np.linspace(mel(40), mel(SAMPLING_RATE / 2), MEL_BINS + 2)
    position = mel(np.linspace(0, SAMPLING_RATE / 2, FFT_SIZE // 2 + 1))
    rising = (position - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - position) / (edges[2:] - edges[1:-1])[:, None]
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling))).float()
