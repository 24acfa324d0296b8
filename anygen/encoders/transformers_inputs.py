"""What media become before an encoder of transformers: step 2 of the data flow, one class a kind of input.

transformers' own image processors and feature extractors do the work, on their Pillow and numpy side, so that the same bytes
come out whether or not torchvision is installed. Each medium is prepared alone: one of a batch equals the same one alone.

    picture, frame    (pieces, 3, H, W)                       CLIP, SigLIP, DINOv2; a film is a piece a frame
    NaFlex picture    (pieces, 1 + P, 3 * patch * patch)      SigLIP 2; row 0 holds rows and columns of the grid
    film              (1, T, 3, H, W)                         VideoMAE
    CLAP sound        (pieces, 1 or 4, frames, bins)          a piece a clip
    Whisper sound     (pieces, bins, frames)
    waveform          (pieces, 2, S)                          HuBERT: samples, and 1 where there is sound
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from anygen.encoders.frames import MAX_ASPECT_RATIO
from anygen.errors import AnyGenError
from anygen.media.sampling import resample, sample_frames
from anygen.media.types import Audio, Video

if TYPE_CHECKING:
    from anygen.encoders.transformers_encoder import TransformersEncoderConfig


class Inputs(ABC):
    """Contract of the kinds of input. Raises `model_load_error` where processor and model do not fit.

    Args:
        processor: transformers' image processor or feature extractor of the checkpoint.
        model_config: the config of the tower that reads the media.
        config: how many frames and clips are read.
    """

    def __init__(self, processor: Any, model_config: Any, config: TransformersEncoderConfig):
        self.processor, self.model_config, self.config = processor, model_config, config

    @abstractmethod
    def num_pieces(self, modality: str) -> int:
        """Pieces that one medium is read in: frames of a film, clips of a sound, 1 for a picture."""

    @abstractmethod
    def prepare(self, modality: str, medium: Any) -> Tensor:
        """One medium of any size, rate and length -> (pieces, ...)."""

    @abstractmethod
    def grid(self, layer: int) -> tuple[int, ...]:
        """Axes that the tokens of one piece lie on after a layer, CLS and registers not counted. `layer`: 0 before the first
        block."""

    def width(self, layer: int) -> int:
        """Channels after a layer."""
        return self.model_config.hidden_size

    @property
    def num_layers(self) -> int:
        """Blocks of the tower."""
        return self.model_config.num_hidden_layers

    def run(self, tower: nn.Module, pieces: Tensor) -> Any:
        """transformers' output for (B, ...) pieces, hidden states included."""
        return tower(pieces, output_hidden_states=True)

    def tokens(self, states: Tensor, pieces: Tensor) -> Tensor:
        """What the tower gave after a layer -> (B, tokens, D)."""
        return states


class PictureInputs(Inputs):
    """Pictures at one size, and films frame by frame."""

    def __init__(self, processor: Any, model_config: Any, config: TransformersEncoderConfig):
        super().__init__(processor, model_config, config)
        blanks = [Image.new("RGB", size) for size in ((32, 32), (64, 32))]
        shapes = {tuple(self._process(blank).shape) for blank in blanks}
        if len(shapes) > 1:
            raise AnyGenError(
                "model_load_error",
                f"{type(processor).__name__} gives pictures of different shapes {sorted(shapes)}; expected one shape: set "
                "do_center_crop and crop_size, or size with height and width, in preprocessor_config.json",
            )
        self.size = shapes.pop()[1:]
        trained, patch = model_config.image_size, model_config.patch_size
        is_dino = model_config.model_type.startswith("dinov2")  # fits its positions to any number of patches by itself
        if any(side % patch for side in self.size) if is_dino else self.size != (trained, trained):
            expected = f"multiples of {patch}" if is_dino else f"({trained}, {trained}), image_size of config.json"
            raise AnyGenError(
                "model_load_error", f"preprocessor_config.json: pictures become {self.size} pixels; expected {expected}"
            )

    def num_pieces(self, modality: str) -> int:
        return 1 if modality == "image" else self.config.num_frames

    def grid(self, layer: int) -> tuple[int, ...]:
        return tuple(side // self.model_config.patch_size for side in self.size)

    def prepare(self, modality: str, medium: Image.Image | Video) -> Tensor:
        return torch.stack([self._process(picture) for picture in pictures_of(medium, self.config.num_frames)])

    def _process(self, picture: Image.Image) -> Tensor:
        picture = picture.convert("RGB")
        if "shortest_edge" in dict(self.processor.size or {}) and self.processor.do_center_crop:
            picture = shorten(picture)
        return self.processor(images=picture, return_tensors="pt")["pixel_values"][0]


class NaflexInputs(Inputs):
    """Pictures in their own proportions, as many patches as fit (SigLIP 2, Tschannen et al. 2025, section 2.4.2).

    The number of patches differs from picture to picture, and a language model's placeholders must not. So the tokens of
    a picture, rows x columns, are brought to one square grid by bilinear interpolation; where the picture has that grid
    already, they stay as they are.
    """

    def num_pieces(self, modality: str) -> int:
        return 1 if modality == "image" else self.config.num_frames

    @property
    def side(self) -> int:
        """Rows and columns of the grid that all pictures come to."""
        return math.isqrt(self.processor.max_num_patches)

    def grid(self, layer: int) -> tuple[int, ...]:
        return self.side, self.side

    def prepare(self, modality: str, medium: Image.Image | Video) -> Tensor:
        return torch.stack([self._process(picture) for picture in pictures_of(medium, self.config.num_frames)])

    def run(self, tower: nn.Module, pieces: Tensor) -> Any:
        shapes = pieces[:, 0, :2].round().long()
        patches = pieces[:, 1:]
        mask = torch.arange(patches.shape[1], device=pieces.device) < shapes.prod(dim=1, keepdim=True)
        return tower(patches, mask.to(torch.int32), shapes, output_hidden_states=True)

    def tokens(self, states: Tensor, pieces: Tensor) -> Tensor:
        grids = []
        for item, (rows, columns) in zip(states, pieces[:, 0, :2].round().long().tolist()):
            grid = item[: rows * columns].T.reshape(1, -1, rows, columns)
            if (rows, columns) != (self.side, self.side):
                size = (self.side, self.side)
                grid = F.interpolate(grid.float(), size=size, mode="bilinear", antialias=True).to(states.dtype)
            grids.append(grid[0].flatten(1).T)
        return torch.stack(grids)

    def _process(self, picture: Image.Image) -> Tensor:
        given = self.processor(images=picture.convert("RGB"), return_tensors="pt")
        patches = given["pixel_values"][0]
        header = patches.new_zeros(1, patches.shape[1])
        header[0, :2] = given["spatial_shapes"][0]
        return torch.cat([header, patches])


class FilmInputs(Inputs):
    """Films as a whole: as many frames as the model takes, spread evenly (VideoMAE, Tong et al. 2022)."""

    def __init__(self, processor: Any, model_config: Any, config: TransformersEncoderConfig):
        super().__init__(processor, model_config, config)
        film = Video(frames=np.zeros((1, 32, 64, 3), np.uint8), fps=1.0)
        size, side = tuple(self.prepare("video", film).shape[-2:]), model_config.image_size
        if size != (side, side):
            expected = f"({side}, {side}), image_size of config.json"
            detail = f"preprocessor_config.json: frames become {size} pixels; expected {expected}"
            raise AnyGenError("model_load_error", detail)

    def num_pieces(self, modality: str) -> int:
        return 1

    def grid(self, layer: int) -> tuple[int, ...]:
        config, side = self.model_config, self.model_config.image_size // self.model_config.patch_size
        return config.num_frames // config.tubelet_size, side, side

    def prepare(self, modality: str, medium: Video) -> Tensor:
        frames = [shorten(frame) for frame in pictures_of(medium, self.model_config.num_frames)]
        return torch.as_tensor(np.asarray(self.processor(frames, return_tensors="np")["pixel_values"]))


class SoundInputs(Inputs):
    """Clips of a sound: what is longer than all clips is read at even distances, the first from the start on."""

    def num_pieces(self, modality: str) -> int:
        return self.config.num_audio_clips

    @property
    @abstractmethod
    def clip_samples(self) -> int:
        """Samples of a clip at the rate of the feature extractor."""

    @abstractmethod
    def prepare_clip(self, waveform: np.ndarray) -> Tensor:
        """At most `clip_samples` samples, and at least one -> the features of one piece."""

    def prepare(self, modality: str, medium: Audio) -> Tensor:
        waveform = self.waveform(medium)
        last_start = max(0, len(waveform) - self.clip_samples)
        starts = np.linspace(0, last_start, self.config.num_audio_clips).astype(int)
        return torch.stack([self.prepare_clip(waveform[start : start + self.clip_samples]) for start in starts])

    def waveform(self, audio: Audio) -> np.ndarray:
        """Samples at the rate of the feature extractor, one of silence where there are none."""
        samples = resample(audio, self.processor.sampling_rate).waveform if len(audio.waveform) else audio.waveform
        return samples if len(samples) else np.zeros(1, np.float32)

    def extract(self, waveform: np.ndarray, **settings: Any) -> Any:
        """The feature extractor on one sound, as torch tensors."""
        rate = self.processor.sampling_rate
        return self.processor(waveform, sampling_rate=rate, return_tensors="pt", **settings)


class ClapInputs(SoundInputs):
    """Log-mel spectrograms of 10 s (CLAP, Wu et al. 2023).

    Models with feature fusion read one clip and see a longer sound whole: shrunk, and in three crops, of which the feature
    extractor takes random ones; here they are the middles of the three thirds, so that the same sound gives the same
    tokens. A sound that is short is read through the fusion layer too, as the feature extractor has it for a sound alone.
    """

    @property
    def clip_samples(self) -> int:
        return int(self.processor.nb_max_samples)

    @property
    def num_layers(self) -> int:
        return len(self.model_config.depths)

    def prepare(self, modality: str, medium: Audio) -> Tensor:
        waveform = self.waveform(medium)
        whole = len(waveform) > self.clip_samples and self.config.num_audio_clips == 1
        if whole and self.processor.truncation == "fusion":
            return self._fuse(waveform)[None]
        return super().prepare(modality, medium)

    def prepare_clip(self, waveform: np.ndarray) -> Tensor:
        return self.extract(waveform)["input_features"][0].float()

    def width(self, layer: int) -> int:
        return self.model_config.patch_embeds_hidden_size * 2 ** min(layer, self.num_layers - 1)

    def grid(self, layer: int) -> tuple[int, ...]:
        side = self.model_config.spec_size // self.model_config.patch_stride[0]
        side //= 2 ** min(layer, self.num_layers - 1)
        if layer < self.num_layers or self.config.layer != -1:
            return side, side  # the spectrogram, folded into a square
        ratio = self.model_config.spec_size // self.model_config.num_mel_bins
        return side // ratio, side * ratio  # bands and times

    def run(self, tower: nn.Module, pieces: Tensor) -> Any:
        is_longer = torch.ones(len(pieces), 1, dtype=torch.bool, device=pieces.device)
        return tower(pieces, is_longer=is_longer, output_hidden_states=True)

    def tokens(self, states: Tensor, pieces: Tensor) -> Tensor:
        return states.flatten(2).transpose(1, 2)  # (B, D, bands, times) -> (B, bands * times, D)

    def _fuse(self, waveform: np.ndarray) -> Tensor:
        mel = self.extract(waveform, max_length=len(waveform))["input_features"][0, 0].float()  # (frames, bins)
        length = self.clip_samples // self.processor.hop_length + 1
        room = len(mel) - length
        shrunk = F.interpolate(mel[None, None], size=(length, mel.shape[1]), mode="bilinear", align_corners=False)[0]
        starts = [room * part // 6 for part in (1, 3, 5)]
        return torch.cat([shrunk, torch.stack([mel[start : start + length] for start in starts])])


class WhisperInputs(SoundInputs):
    """Log-mel spectrograms of 30 s, filled up with silence (Whisper, Radford et al. 2022)."""

    def __init__(self, processor: Any, model_config: Any, config: TransformersEncoderConfig):
        super().__init__(processor, model_config, config)
        frames, expected = processor.nb_max_frames, 2 * model_config.max_source_positions
        if frames != expected:
            raise AnyGenError(
                "model_load_error",
                f"preprocessor_config.json: a clip has {frames} frames; config.json expects {expected}, twice "
                f"max_source_positions",
            )

    @property
    def clip_samples(self) -> int:
        return int(self.processor.n_samples)

    @property
    def num_layers(self) -> int:
        return self.model_config.encoder_layers

    def prepare_clip(self, waveform: np.ndarray) -> Tensor:
        return self.extract(waveform)["input_features"][0]

    def width(self, layer: int) -> int:
        return self.model_config.d_model

    def grid(self, layer: int) -> tuple[int, ...]:
        return (self.model_config.max_source_positions,)


class WaveformInputs(SoundInputs):
    """Samples as they are, clips of `audio_seconds`, filled up with silence (HuBERT, Hsu et al. 2021).

    A clip is normalised over its own samples, not over the silence. Where the feature extractor gives an attention mask,
    that silence is masked, as the model was trained; where it gives none, the model was trained without.
    """

    def __init__(self, processor: Any, model_config: Any, config: TransformersEncoderConfig):
        super().__init__(processor, model_config, config)
        if self.grid(0)[0] < 1:
            found = f"audio_seconds={config.audio_seconds} is {self.clip_samples} samples"
            raise AnyGenError("model_load_error", f"{found}, too few for one token of this model; make it longer")

    @property
    def clip_samples(self) -> int:
        return round(self.config.audio_seconds * self.processor.sampling_rate)

    def prepare_clip(self, waveform: np.ndarray) -> Tensor:
        given = self.extract(waveform, padding="max_length", max_length=self.clip_samples, return_attention_mask=True)
        return torch.stack([given["input_values"][0].float(), given["attention_mask"][0].float()])

    def grid(self, layer: int) -> tuple[int, ...]:
        length = self.clip_samples
        for kernel, stride in zip(self.model_config.conv_kernel, self.model_config.conv_stride):
            length = (length - kernel) // stride + 1
        return (length,)

    def run(self, tower: nn.Module, pieces: Tensor) -> Any:
        mask = pieces[:, 1].long() if self.processor.return_attention_mask else None
        return tower(pieces[:, 0], attention_mask=mask, output_hidden_states=True)


def pictures_of(medium: Image.Image | Video, num_frames: int) -> list[Image.Image]:
    """A picture, or `num_frames` frames of a film, as RGB pictures."""
    if isinstance(medium, Video):
        return [Image.fromarray(frame) for frame in sample_frames(medium, num_frames)]
    return [medium.convert("RGB")]


def shorten(picture: Image.Image) -> Image.Image:
    """Cut the ends off a picture whose middle alone is read, so that a 1 x 100,000 strip is not blown up."""
    short = MAX_ASPECT_RATIO * min(picture.size)
    if max(picture.size) <= short:
        return picture
    width, height = (min(side, short) for side in picture.size)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))
