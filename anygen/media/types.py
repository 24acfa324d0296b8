"""What a medium is inside anygen, between the file it came from and the tensor it becomes.

An image is a `PIL.Image.Image` in mode RGB; film and sound are the two frozen classes below. Loading (`media/load.py`)
ends in these types, generators return them, saving (`media/save.py`) starts from them. numpy only: no torch here.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from anygen.errors import AnyGenError

Modality = Literal["text", "image", "video", "audio"]
MEDIA: tuple[Modality, ...] = ("image", "video", "audio")
"""The modalities that are not text, in the order in which anygen lists them."""


@dataclass(frozen=True, eq=False)
class Audio:
    """Mono sound.

    Raises `invalid_media_array` for another shape, type or rate. Whether the samples are finite is asked where they
    come from (`load_audio`: `media_not_finite`) and where they go to (`save_audio`: `generation_not_finite`).
    """

    waveform: np.ndarray
    """float32 (S,), nominally within [-1, 1]"""
    sampling_rate: int
    """samples a second, Hz"""

    def __post_init__(self):
        _check_array("Audio.waveform", self.waveform, dtype=np.float32, shape="(S,)", fits=lambda s: len(s) == 1)
        if not isinstance(self.sampling_rate, (int, np.integer)) or self.sampling_rate < 1:
            raise AnyGenError(
                "invalid_media_array", f"Audio.sampling_rate is {self.sampling_rate}; expected a whole number of Hz > 0"
            )

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.waveform) / self.sampling_rate


@dataclass(frozen=True, eq=False)
class Video:
    """Film: frames at an even rate, and the sound that goes with them where there is one.

    Raises `invalid_media_array` for another shape or type, for no frames, and for a rate that is not a number > 0.
    """

    frames: np.ndarray
    """uint8 (T, H, W, 3), RGB, T >= 1"""
    fps: float
    """frames a second"""
    audio: Audio | None = None
    """the sound track, starting with the first frame"""

    def __post_init__(self):
        _check_array(
            "Video.frames",
            self.frames,
            dtype=np.uint8,
            shape="(T, H, W, 3) with T, H, W >= 1",
            fits=lambda s: len(s) == 4 and s[3] == 3 and min(s) >= 1,
        )
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise AnyGenError("invalid_media_array", f"Video.fps is {self.fps}; expected frames a second > 0")

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.frames) / self.fps

    def without_audio(self) -> "Video":
        """The same frames, silent."""
        return replace(self, audio=None)


def _check_array(name: str, array: object, *, dtype: type, shape: str, fits) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != dtype or not fits(array.shape):
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise AnyGenError(
            "invalid_media_array",
            f"{name} is {found}; expected a numpy array {np.dtype(dtype)} {shape}; load_video and load_audio convert",
        )
