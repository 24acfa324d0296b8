"""ImageBind as an `Encoder`: what the media become before the trunks, and which of their tokens the language model reads.

Steps 2 and 3 of the data flow. N media -> `preprocess`:

    image (N, 3, H, W)    video (N, clips, 3, frames, H, W)    audio (N, clips, 1, bins, frames)    text (N, context) ids
    depth, thermal (N, 1, H, W)    imu (N, channels, steps)

-> `forward`: tokens (N, P, D), chosen by `read`:

    cls      P = 1: the pooled token, averaged over clips (NExT-GPT's first release, PandaGPT)
    patches  P = patches: every patch token through the head, averaged over clips (NExT-GPT's later release)
    grid     P = clips * (1 + rows * columns): per clip, in the order of time, CLS and the patches averaged over a grid

-> `embed`: (N, joint_dim), unit length, one space for all modalities.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from anygen.encoders.encoder import Encoder, loading, locate
from anygen.encoders.fbank import kaldi_fbank, resample
from anygen.encoders.frames import Fit, Scaling, clip_frame_indices, fit_frames, fit_plane
from anygen.encoders.imagebind import ImageBind
from anygen.encoders.imagebind_config import ImageBindConfig, imagebind_huge
from anygen.errors import AnyGenError

TRUNK_OF: dict[str, str] = {
    "text": "text", "image": "vision", "video": "vision", "audio": "audio",
    "depth": "depth", "thermal": "thermal", "imu": "imu",
}  # fmt: skip
"""Modality -> the trunk that reads it. Messages hold the first four; the others are read through the encoder itself."""
LICENCE = (
    "The published weights of ImageBind are CC-BY-NC-SA 4.0 (Meta): no commercial use, and what is made from them is shared "
    "alike."
)
HAS_CLIPS = ("video", "audio")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ImageBindEncoderConfig:
    """The defaults are ImageBind's own preprocessing and NExT-GPT's first reading."""

    model: ImageBindConfig
    read: Literal["cls", "patches", "grid"] = "cls"
    features: Literal["joint", "trunk"] = "joint"
    """"joint": tokens projected into the joint space, unit length; "trunk": as the head's LayerNorm leaves them."""
    image_grid: tuple[int, int] = (4, 4)
    """Rows and columns that `read="grid"` averages the patches of a picture to."""
    video_grid: tuple[int, int] = (2, 2)
    """The same for each clip of a film."""
    audio_grid: tuple[int, int] = (2, 4)
    """The same for a spectrogram: bands of frequency and spans of time."""

    fit: Fit = "crop"
    num_crops: int = 3
    """Crops of a film along its longer side, each a clip of its own."""
    num_video_clips: int = 5
    video_clip_seconds: float | None = 2.0
    """Length of a clip; None spreads all clips' frames evenly over the film."""
    pixel_mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    pixel_std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    sampling_rate: int = 16_000
    num_audio_clips: int = 3
    audio_clip_samples: int = 32_000
    audio_frame_shift: int = 160
    """Samples from one frame of the spectrogram to the next."""
    audio_fill: Literal["frames", "silence"] = "frames"
    """A clip that is too short is filled up with "frames" of zeros (ImageBind) or, before analysis, with "silence"."""
    audio_mean: float = -4.268
    audio_std: float = 9.138
    licence: str | None = None
    """Of the weights; said in the log whenever they are loaded."""

    def __post_init__(self):
        for name, options in (("read", ("cls", "patches", "grid")), ("features", ("joint", "trunk"))):
            if getattr(self, name) not in options:
                raise ValueError(f"{name}={getattr(self, name)!r}; expected one of {', '.join(options)}")


class ImageBindEncoder(Encoder):
    """See the module docstring. `tokenizer` (a transformers tokenizer) is needed for text only."""

    encoder_type = "imagebind"
    config_class = ImageBindEncoderConfig

    def __init__(self, config: ImageBindEncoderConfig, *, tokenizer: Any = None):
        super().__init__(config)
        self.model = ImageBind(config.model)
        self.tokenizer = tokenizer

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities whose trunk the model has."""
        return tuple(modality for modality, trunk in TRUNK_OF.items() if trunk in self.config.model.trunks)

    @property
    def joint_dim(self) -> int:
        """Width of `embed`."""
        return self.config.model.joint_dim

    def width(self, modality: str) -> int:
        """D of `forward`: the joint space's, or the trunk's own."""
        self.check_modality(modality)
        model = self.config.model
        return model.joint_dim if self.config.features == "joint" else model.trunks[TRUNK_OF[modality]].width

    def num_tokens(self, modality: str) -> int:
        """P of `forward`; a text is always one token."""
        self.check_modality(modality)
        if modality == "text" or self.config.read == "cls":
            return 1
        if self.config.read == "patches":
            return math.prod(self.config.model.trunks[TRUNK_OF[modality]].layout)
        clips = {"video": self.config.num_video_clips * self.config.num_crops, "audio": self.config.num_audio_clips}
        return clips.get(modality, 1) * (1 + math.prod(self._grid(modality)))

    def grid(self, modality: str) -> tuple[int, ...]:
        """Rows and columns of `read="patches"`, windows of IMU; other readings are no grid."""
        if modality == "text" or self.config.read != "patches":
            return (self.num_tokens(modality),)
        layout = self.config.model.trunks[TRUNK_OF[modality]].layout
        return layout[1:] if len(layout) == 3 and layout[0] == 1 else layout

    def preprocess(self, modality: str, media: Sequence) -> Tensor:
        """N media -> the tensors of the module docstring.

        Depth is disparity, an array float (H, W) or a picture of mode F; thermal is a picture, read as greys; imu is an array
        float (channels, S) of 5 s, accelerometer and gyroscope.

        Raises:
            AnyGenError: `modality_not_supported`; `invalid_request` for text without a tokenizer; `invalid_media_array`.
        """
        self.check_modality(modality)
        one = {
            "text": self._text, "image": self._image, "video": self._video, "audio": self._audio,
            "depth": self._depth, "thermal": self._thermal, "imu": self._imu,
        }[modality]  # fmt: skip
        return torch.stack([one(medium) for medium in media])

    def forward(self, modality: str, inputs: Tensor) -> Tensor:
        """Tokens for the language model, (N, ...) -> (N, P, D)."""
        tokens, flat = self._encode(modality, inputs)
        head = self.model.modality_heads[TRUNK_OF[modality]]
        tokens = self.read_tokens(modality, head.normalise(tokens, flat))
        if self.config.features == "joint":
            tokens = F.normalize(head.project(tokens), dim=-1)
        if modality not in HAS_CLIPS:
            return tokens
        clips = tokens.unflatten(0, inputs.shape[:2])
        return clips.flatten(1, 2) if self.config.read == "grid" else clips.mean(dim=1)

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Joint embedding, averaged over clips, (N, ...) -> (N, joint_dim) of unit length.

        The published model multiplies by a fixed scale of each modality in addition; `ImageBind.forward` does so.
        """
        tokens, flat = self._encode(modality, inputs)
        vectors = F.normalize(self.model.modality_heads[TRUNK_OF[modality]](tokens, flat), dim=-1)
        if modality in HAS_CLIPS:
            vectors = F.normalize(vectors.unflatten(0, inputs.shape[:2]).mean(dim=1), dim=-1)
        return vectors

    def save_pretrained(self, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
        """As `Encoder.save_pretrained`, and the tokenizer beside it."""
        super().save_pretrained(folder, dtype=dtype)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(folder)

    @classmethod
    def from_pretrained(
        cls, source: str | Path, *, config: ImageBindEncoderConfig | None = None, dtype: torch.dtype = torch.float32
    ) -> Self:
        """As `Encoder.from_pretrained`, with the tokenizer where the folder holds one."""
        encoder = super().from_pretrained(source, config=config, dtype=dtype)
        encoder.say_licence()
        folder, _ = locate(source)
        if (folder / "tokenizer.json").exists():
            from transformers import PreTrainedTokenizerFast

            encoder.tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        return encoder

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path,
        *,
        config: ImageBindEncoderConfig | None = None,
        tokenizer: Any = None,
        dtype: torch.dtype = torch.float32,
        allow_pickle: bool = False,
    ) -> Self:
        """Load a state dict as ImageBind was published, `imagebind_huge.pth`; `save_pretrained` makes safetensors of it.

        Args:
            path: a file of torch.save (.pth) or a safetensors file, with the published keys.
            config: settings, the model's size among them; the published ones unless given.
            tokenizer: CLIP's, of transformers, for text.
            dtype: precision in memory.
            allow_pickle: a file of torch.save is read only when this is True, with `weights_only=True`.

        Raises:
            AnyGenError: `model_load_error` for a pickle that was not allowed, and for missing, surplus or misshapen tensors.
        """
        path = Path(path)
        config = config or ImageBindEncoderConfig(model=imagebind_huge(), licence=LICENCE)
        with loading(path):
            if path.suffix == ".safetensors":
                state = load_file(path)
            elif allow_pickle:
                state = torch.load(path, map_location="cpu", weights_only=True)
            else:
                raise ValueError("a pickle; pass allow_pickle=True to read it, or convert it to safetensors first")
            with torch.device(
                "meta"
            ):  # 4.8 GB in float32: what is read takes the place of what would be drawn at random
                encoder = cls(config, tokenizer=tokenizer)
            encoder.model.load_state_dict({name: tensor.to(dtype) for name, tensor in state.items()}, assign=True)
        encoder.say_licence()
        return encoder.eval()

    def say_licence(self) -> None:
        """Log the licence of the weights where there is one to be said."""
        if self.config.licence:
            logger.warning(self.config.licence)

    def _encode(self, modality: str, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Last tokens of the trunk, clips as items of their own, and the inputs they belong to."""
        self.check_modality(modality)
        flat = inputs.flatten(0, 1) if modality in HAS_CLIPS else inputs
        if modality != "text":
            flat = flat.to(next(self.model.parameters()).dtype)
        else:  # attention is causal: what follows the last end of text changes nothing
            flat = flat[:, : int(flat.argmax(dim=-1).max()) + 1]
        return self.model.encode(TRUNK_OF[modality], flat), flat

    def read_tokens(self, modality: str, tokens: Tensor) -> Tensor:
        """Normalised tokens of the trunk (B, 1 + patches, D) -> those that `config.read` names."""
        if modality == "text":
            return tokens
        if self.config.read == "cls":
            return tokens[:, :1]
        if self.config.read == "patches":
            return tokens[:, 1:]
        patches = tokens[:, 1:].transpose(1, 2).unflatten(2, self._layout(modality))
        pooled = F.adaptive_avg_pool2d(patches, self._grid(modality)).flatten(2).transpose(1, 2)
        return torch.cat([tokens[:, :1], pooled], dim=1)

    def _layout(self, modality: str) -> tuple[int, int]:
        """Rows and columns of a trunk's patches; the windows of IMU are one row."""
        return (1, *self.config.model.trunks[TRUNK_OF[modality]].layout)[-2:]

    def _grid(self, modality: str) -> tuple[int, int]:
        config = self.config
        grids = {"video": config.video_grid, "audio": config.audio_grid, "imu": (1, config.audio_grid[1])}
        return grids.get(modality, config.image_grid)

    def _image(self, image) -> Tensor:
        return self._pixels(np.asarray(image.convert("RGB"))[None], num_crops=1)[0, :, 0]

    def _video(self, video) -> Tensor:
        config = self.config
        indices = clip_frame_indices(
            num_frames=len(video.frames),
            fps=video.fps,
            num_clips=config.num_video_clips,
            frames_per_clip=config.model.vision.input_size[1],
            clip_seconds=config.video_clip_seconds,
        )
        used, where = indices.unique(return_inverse=True)
        pixels = self._pixels(video.frames[used.numpy()], num_crops=config.num_crops, scaling="bilinear")
        clips = pixels[:, :, where]  # (crops, 3, clips, frames, H, W)
        return clips.permute(2, 0, 1, 3, 4, 5).flatten(0, 1)

    def _pixels(self, frames: np.ndarray, *, num_crops: int, scaling: Scaling = "bicubic") -> Tensor:
        """uint8 (T, H, W, 3) -> normalised (crops, 3, T, height, width)."""
        size = self.config.model.vision.input_size[-2:]
        pixels = fit_frames(frames, size=size, fit=self.config.fit, num_crops=num_crops, scaling=scaling)
        mean, std = (
            torch.tensor(values).view(3, 1, 1, 1) for values in (self.config.pixel_mean, self.config.pixel_std)
        )
        return (pixels - mean) / std

    def _audio(self, audio) -> Tensor:
        config = self.config
        _, num_mel_bins, num_frames = config.model.audio.input_size
        samples = audio.waveform if len(audio.waveform) else np.zeros(1, np.float32)
        waveform = resample(torch.from_numpy(samples), audio.sampling_rate, config.sampling_rate)
        if config.audio_fill == "silence":
            waveform = F.pad(waveform, (0, max(0, config.audio_clip_samples - len(waveform))))
        last_start = max(0, len(waveform) - config.audio_clip_samples)
        clips = []
        for start in torch.linspace(0, last_start, config.num_audio_clips).long().tolist():
            clip = waveform[start : start + config.audio_clip_samples]
            mel = kaldi_fbank(
                clip - clip.mean(),
                sampling_rate=config.sampling_rate,
                num_mel_bins=num_mel_bins,
                frame_shift=config.audio_frame_shift,
            )[:, :num_frames]
            clips.append(F.pad(mel, (0, num_frames - mel.shape[-1]))[None])
        return (torch.stack(clips) - config.audio_mean) / config.audio_std

    def _depth(self, disparity: np.ndarray | Image.Image) -> Tensor:
        plane = (
            disparity if isinstance(disparity, Image.Image) else Image.fromarray(_floats("depth", disparity, ndim=2))
        )
        if plane.mode != "F":
            detail = f"depth is a picture of mode {plane.mode}; expected disparity: an array float (H, W), or mode F"
            raise AnyGenError("invalid_media_array", detail)
        return fit_plane(plane, size=self.config.model.depth.input_size[-2:])

    def _thermal(self, picture: Image.Image) -> Tensor:
        return fit_plane(picture.convert("L"), size=self.config.model.thermal.input_size[-2:]) / 255

    def _imu(self, recording: np.ndarray) -> Tensor:
        trunk = self.config.model.imu
        samples = torch.from_numpy(_floats("imu", recording, ndim=2))
        if len(samples) != trunk.channels:
            detail = f"imu has shape {tuple(samples.shape)}; expected ({trunk.channels}, S): axes first, then steps"
            raise AnyGenError("invalid_media_array", detail)
        return F.interpolate(samples[None], size=trunk.steps, mode="linear")[0]

    def _text(self, text: str) -> Tensor:
        """Start, the tokenizer's ids, end, zeros; start and end are the two highest ids, and end survives truncation.

        Special tokens that the text spells out are left out: they would end it where it does not end.
        """
        if self.tokenizer is None:
            raise AnyGenError("invalid_request", "text needs a tokenizer: ImageBindEncoder(config, tokenizer=...)")
        trunk = self.config.model.text
        start, end = trunk.vocab_size - 2, trunk.vocab_size - 1
        special = set(self.tokenizer.all_special_ids)
        ids = [i for i in self.tokenizer(text, add_special_tokens=False)["input_ids"] if i not in special]
        ids = ids[: trunk.context_length - 2]
        if ids and max(ids) >= start:
            raise ValueError(
                f"the tokenizer gives id {max(ids)}; the text trunk's vocab_size={trunk.vocab_size} keeps {start} and "
                f"{end} for start and end: it must be the tokenizer's size and 2"
            )
        return F.pad(torch.tensor([start, *ids, end]), (0, trunk.context_length - 2 - len(ids)))


def _floats(modality: str, array: Any, *, ndim: int) -> np.ndarray:
    """A float32 array of so many axes; `invalid_media_array` for anything else, `media_not_finite` for NaN."""
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.ndim != ndim or 0 in array.shape:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise AnyGenError(
            "invalid_media_array", f"{modality} is {found}; expected a numpy array of floats, {ndim} axes"
        )
    if not np.isfinite(array).all():
        raise AnyGenError("media_not_finite", f"{modality} holds values that are not finite")
    return np.ascontiguousarray(array, np.float32)
