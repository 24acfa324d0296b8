"""Whatever a caller hands in as a medium -> the types of `types.py`. The door through which every medium enters.

    PIL image | path | bytes | binary file | data URL | array | tensor | medium  ->  PIL RGB, Video or Audio
Addresses of the network are refused: reading them is the business of `anygen/serve`, with its own checks. Every failure
is an `AnyGenError` with one of the `media_...` codes, `invalid_media_array`, `invalid_base64`, `url_not_allowed`,
`path_not_allowed` or, for an object of a foreign type, `invalid_request`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from anygen.errors import AnyGenError
from anygen.media.arrays import is_array, pixels_from_array, samples_from_array
from anygen.media.decode import decode_audio, decode_video
from anygen.media.image_file import check_image_size, convert_image, decode_image
from anygen.media.limits import DEFAULT_LIMITS, MediaLimits
from anygen.media.sources import open_source, split_data_url_frames
from anygen.media.types import Audio, Modality, Video

if TYPE_CHECKING:
    from anygen.messages import Part

Medium = Image.Image | Video | Audio


def load_media(modality: Modality, source: object, *, limits: MediaLimits = DEFAULT_LIMITS) -> Medium:
    """`source` as a medium of `modality`: "image", "video" or "audio". See the three functions below."""
    return {"image": load_image, "video": load_video, "audio": load_audio}[modality](source, limits=limits)


def load_part(part: "Part") -> "Part":
    """A part of a conversation with its medium loaded; errors name its place. Text is left as it is."""
    if part.type == "text" or part.features is not None:
        return part
    try:
        return replace(part, media=load_media(part.type, part.media))
    except AnyGenError as error:
        detail = f"{part.where}: {error.detail}"
        raise AnyGenError(error.code, detail, **{"where": part.where} | error.fields) from error


def load_image(source: object, *, limits: MediaLimits = DEFAULT_LIMITS) -> Image.Image:
    """An upright picture in mode RGB.

    Of animations and multi-picture files the first frame; transparency is laid on white; 16-bit greys are scaled.
    Files may be JPEG, PNG, WebP, GIF or BMP; for arrays see `arrays.py`.
    """
    if isinstance(source, Image.Image):
        return convert_image(source, limits=limits)
    if is_array(source):
        pixels = pixels_from_array(source, ndim=3)
        check_image_size((pixels.shape[1], pixels.shape[0]), limits=limits)
        return Image.fromarray(pixels)
    with open_source(source, limits=limits) as file:
        return decode_image(file, limits=limits)


def load_video(source: object, *, fps: float = 4.0, limits: MediaLimits = DEFAULT_LIMITS) -> Video:
    """A film at an even rate, with its sound track where it has one; see `decode_video` for files.

    Besides what the module says, `source` may be a list of pictures (each as for `load_image`) of one size, or a data
    URL of comma-joined JPEG frames. `fps` is the rate of such lists and of arrays, which carry none.
    """
    if isinstance(source, Video):
        return source if source.audio is None else replace(source, audio=load_audio(source.audio))
    if is_array(source):
        return Video(frames=pixels_from_array(source, ndim=4), fps=fps)
    if isinstance(source, str) and (frames := split_data_url_frames(source, limits=limits)):
        source = frames
    if isinstance(source, Sequence) and not isinstance(source, (str, bytes, bytearray, memoryview)):
        return Video(frames=_stack_frames(source, limits), fps=fps)
    with open_source(source, limits=limits) as file:
        return decode_video(file, limits=limits)


def load_audio(source: object, *, sampling_rate: int = 16000, limits: MediaLimits = DEFAULT_LIMITS) -> Audio:
    """Mono sound at the file's own rate, or the sound track of a film; see `decode_audio` for files.

    `sampling_rate` (Hz) is the rate of arrays, which carry none.
    """
    if isinstance(source, Audio):
        return Audio(waveform=samples_from_array(source.waveform), sampling_rate=source.sampling_rate)
    if isinstance(source, Video):
        if source.audio is None:
            raise AnyGenError("media_no_audio_stream", "the film is silent; expected one with sound")
        return load_audio(source.audio)
    if is_array(source):
        return Audio(waveform=samples_from_array(source), sampling_rate=sampling_rate)
    with open_source(source, limits=limits) as file:
        return decode_audio(file, limits=limits)


def _stack_frames(pictures: Sequence, limits: MediaLimits) -> np.ndarray:
    """uint8 (T, H, W, 3)"""
    if not 1 <= len(pictures) <= limits.max_frames:
        raise AnyGenError(
            "media_too_large" if pictures else "media_empty",
            f"a list of {len(pictures)} frames; expected 1 to {limits.max_frames}",
            found=len(pictures),
            limit=limits.max_frames,
        )
    frames = [np.asarray(load_image(picture, limits=limits)) for picture in pictures]
    sizes = {frame.shape[:2] for frame in frames}
    if len(sizes) > 1:
        raise AnyGenError("invalid_media_array", f"frames of sizes {sorted(sizes)} (H, W); expected one: resize them")
    return np.stack(frames)
