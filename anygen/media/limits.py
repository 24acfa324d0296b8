"""How large a medium may be, and how long reading it may take: every bound of anygen/media in one place."""

from dataclasses import dataclass, fields

from anygen.errors import AnyGenError


@dataclass(frozen=True, kw_only=True)
class MediaLimits:
    """Bounds on one medium. To cross one is `media_too_large` or `media_timeout`, unless a field says otherwise.

    With the defaults one film costs at most about 350 MB of memory here and 4 GB of address space in its decoder.
    """

    max_bytes: int = 256 * 2**20
    """size of the file, or of what a base64 text decodes to"""
    max_image_pixels: int = 64_000_000
    """width x height of a picture, taken from its header; below the 89 million at which Pillow starts to warn"""
    max_image_side: int = 32_768
    """longer side of a picture in pixels"""
    max_seconds: float = 600.0
    """length of film or sound"""
    max_frame_pixels: int = 4096 * 4096
    """width x height of a film's frames as they are stored"""
    max_frames: int = 256
    """frames kept of a film file: of a longer one every 2nd, 4th, ... is kept. A list of frames may not be longer"""
    max_frame_side: int = 512
    """longer side of the frames kept of a film file, pixels: larger ones are scaled down"""
    max_sampling_rate: int = 48_000
    """Hz; sound files above it are resampled down to it"""
    decode_seconds: float = 60.0
    """wall time after which the decoder process is killed"""
    decode_memory: int = 4 * 2**30
    """address space of the decoder process in bytes (on Linux)"""

    def __post_init__(self):
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise AnyGenError(
                    "invalid_parameter", f"MediaLimits.{field.name} is {getattr(self, field.name)}; expected > 0"
                )


DEFAULT_LIMITS = MediaLimits()
