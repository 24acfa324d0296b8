"""Pictures and film frames of any size and rate -> the fixed sizes that a vision trunk takes. Step 2 of the data flow."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

Fit = Literal["crop", "pad"]
Scaling = Literal["bicubic", "bilinear"]
MAX_ASPECT_RATIO = 4
"""Before a crop, the ends of a picture longer than this are cut off, so that a 1 x 100,000 strip is not blown up."""


def fit_frames(
    frames: np.ndarray, *, size: tuple[int, int], fit: Fit, num_crops: int = 1, scaling: Scaling = "bicubic"
) -> Tensor:
    """Scale frames to `size` (height, width) and bring them to float.

    Args:
        frames: uint8 (T, H, W, 3), any H and W.
        size: pixels of the result.
        fit: "crop" covers `size` and cuts evenly along the longer side what stands out; "pad" shows the whole picture and
            continues its border pixels to the missing sides.
        num_crops: crops along the longer side, evenly spaced (ImageBind takes 3 of a film); 1 is the middle. "crop" only.
        scaling: "bicubic" as Pillow does it, which ImageBind reads pictures with, or "bilinear" between neighbouring pixels,
            which it reads films with. "crop" only.

    Returns:
        float32 (num_crops, 3, T, height, width) in [0, 1]
    """
    if fit not in ("crop", "pad"):
        raise ValueError(f"fit={fit!r}; expected 'crop' or 'pad'")
    if fit == "pad":
        pixels = torch.from_numpy(frames.astype(np.float32)).permute(0, 3, 1, 2)
        crops = [_pad_to(_scale(pixels, min(_ratios(pixels, size)), size), size)]
    else:
        short = MAX_ASPECT_RATIO * min(frames.shape[1:3])
        top, left = (max(0, side - short) // 2 for side in frames.shape[1:3])
        covering = _cover(frames[:, top : top + short, left : left + short], size, scaling)
        crops = [_crop(covering, size, crop, num_crops) for crop in range(num_crops)]
    return torch.stack(crops).transpose(1, 2) / 255


def fit_plane(plane: Image.Image, *, size: tuple[int, int]) -> Tensor:
    """A picture of one channel (mode L or F), scaled and cut to `size` as `fit="crop"` does: float32 (1, height, width)."""
    short = MAX_ASPECT_RATIO * min(plane.size)
    left, top = (max(0, side - short) // 2 for side in plane.size)
    plane = plane.crop((left, top, min(left + short, plane.width), min(top + short, plane.height)))
    height, width = _covering_size((plane.height, plane.width), size)
    scaled = torch.from_numpy(np.array(plane.resize((width, height), Image.Resampling.BICUBIC), np.float32))
    return _crop(scaled, size, 0, 1)[None]


def clip_frame_indices(
    *, num_frames: int, fps: float, num_clips: int, frames_per_clip: int, clip_seconds: float | None
) -> Tensor:
    """Which frames of a film its clips are made of, int64 (num_clips, frames_per_clip).

    With `clip_seconds`, clips of that length start at even distances and take their frames from end to end (ImageBind).
    With None, all frames together are spread evenly over the film: 4 clips of 2 cover a film of 8 frames once.
    """
    if clip_seconds is None:
        total = num_clips * frames_per_clip
        indices = ((torch.arange(total) + 0.5) / total * num_frames).long()
        return indices.view(num_clips, frames_per_clip)
    length = max(1, min(num_frames, round(clip_seconds * fps)))
    starts = torch.linspace(0, num_frames - length, num_clips)
    return (starts[:, None] + torch.linspace(0, length - 1, frames_per_clip)).long()


def _ratios(pixels: Tensor, size: tuple[int, int]) -> tuple[float, float]:
    return size[0] / pixels.shape[-2], size[1] / pixels.shape[-1]


def _scale(pixels: Tensor, ratio: float, size: tuple[int, int]) -> Tensor:
    """Bicubic with antialiasing, rounded to whole pixel values as an image library does."""
    height, width = (max(1, round(side * ratio)) for side in pixels.shape[-2:])
    if (height, width) == tuple(pixels.shape[-2:]):
        return pixels
    scaled = F.interpolate(pixels, size=(height, width), mode="bicubic", antialias=True)
    return scaled.round().clamp(0, 255)


def _covering_size(have: tuple[int, int], want: tuple[int, int]) -> tuple[int, int]:
    """(height, width) in the proportions of `have`, one side as wanted and the other at least that, rounded down."""
    ratio = max(side / given for side, given in zip(want, have))
    return tuple(max(side, math.floor(given * ratio + 1e-6)) for side, given in zip(want, have))


def _cover(frames: np.ndarray, size: tuple[int, int], scaling: Scaling) -> Tensor:
    """uint8 (T, H, W, 3) -> float32 (T, 3, height, width) that covers `size`, 0 to 255."""
    height, width = _covering_size(frames.shape[1:3], size)
    if scaling == "bilinear":
        pixels = torch.from_numpy(frames.astype(np.float32)).permute(0, 3, 1, 2)
        return F.interpolate(pixels, size=(height, width), mode="bilinear")
    bicubic = Image.Resampling.BICUBIC
    scaled = [np.asarray(Image.fromarray(frame).resize((width, height), bicubic)) for frame in frames]
    return torch.from_numpy(np.stack(scaled).astype(np.float32)).permute(0, 3, 1, 2)


def _crop(pixels: Tensor, size: tuple[int, int], crop: int, num_crops: int) -> Tensor:
    """Cut out `size`: the middle, or one of several from the left and top end to the right and bottom end."""
    rooms = [have - want for have, want in zip(pixels.shape[-2:], size)]
    if num_crops == 1:
        top, left = (round(room / 2) for room in rooms)  # torchvision's CenterCrop
    else:
        top, left = (math.ceil(room * crop / (num_crops - 1)) for room in rooms)  # pytorchvideo's uniform_crop
    return pixels[..., top : top + size[0], left : left + size[1]]


def _pad_to(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    missing_height, missing_width = (want - have for have, want in zip(pixels.shape[-2:], size))
    left, top = missing_width // 2, missing_height // 2
    return F.pad(pixels, (left, missing_width - left, top, missing_height - top), mode="replicate")
