"""Pictures, films and sounds to files that play everywhere. The door through which every medium leaves.

`PIL RGB -> PNG, Video -> MP4 (H.264, yuv420p, AAC), Audio -> WAV or FLAC (16 bit)`. A file appears whole under its name
or not at all: it is written beside it, synced and renamed. PyAV and soundfile are imported where they are used.

What is known of how a medium was made (`provenance`) goes into its file as one line of JSON, under the name that each
format has for a comment: PNG iTXt "Comment", MP4 and FLAC "comment", WAV ICMT. `read_provenance` reads it back.
"""

import io
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from anygen.errors import AnyGenError
from anygen.media.sampling import resample
from anygen.media.types import Audio, Video

AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""sampling rates that AAC knows, Hz"""

Provenance = Mapping[str, Any]
"""How a medium was made, as plain data: "prompt", "seed", "model", "version", ..."""


def save_media(
    media: Image.Image | Video | Audio, path: str | os.PathLike, *, provenance: Provenance | None = None
) -> Path:
    """Save any medium; see the three functions below for formats and errors."""
    saves = {Video: save_video, Audio: save_audio}
    return saves.get(type(media), save_image)(media, path, provenance=provenance)


def save_image(image: Image.Image, path: str | os.PathLike, *, provenance: Provenance | None = None) -> Path:
    """Write a PNG. Raises `invalid_parameter` (suffix), `storage_error`."""
    tags = PngInfo()
    if provenance is not None:
        tags.add_itxt("Comment", _comment(provenance))
    with _new_file(path, suffixes=(".png",)) as file:
        image.save(file, format="PNG", pnginfo=tags)
    return Path(path)


def save_audio(audio: Audio, path: str | os.PathLike, *, provenance: Provenance | None = None) -> Path:
    """Write 16-bit WAV or FLAC, by the suffix; samples beyond [-1, 1] are clipped.

    Raises `generation_not_finite` for NaN or infinity, which would play as a full-scale click; `invalid_parameter`
    (suffix); `storage_error`.
    """
    import soundfile

    samples = _finite(audio).clip(-1.0, 1.0)
    with _new_file(path, suffixes=(".wav", ".flac")) as file:
        form = {"format": Path(path).suffix[1:].upper(), "subtype": "PCM_16", "channels": 1}
        written = io.BytesIO()  # not the file itself: libsndfile does not pass on why a write failed
        with soundfile.SoundFile(written, "w", audio.sampling_rate, **form) as sound:
            if provenance is not None:
                sound.comment = _comment(provenance)
            sound.write(samples)
        file.write(written.getbuffer())
    return Path(path)


def save_video(video: Video, path: str | os.PathLike, *, provenance: Provenance | None = None) -> Path:
    """Write an MP4 with H.264 in yuv420p, and an AAC track if the film has sound.

    A side of odd length gains one repeated line, for the format halves the resolution of colour.
    Raises `generation_not_finite`, `invalid_parameter` (suffix), `storage_error`.
    """
    import av

    height, width = video.frames.shape[1:3]
    frames = np.pad(video.frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    audio = _aac_ready(video.audio) if video.audio is not None else None
    with _new_file(path, suffixes=(".mp4",)) as file, av.open(file, mode="w", format="mp4") as container:
        if provenance is not None:
            container.metadata["comment"] = _comment(provenance)
        picture_stream = container.add_stream("libx264", rate=Fraction(video.fps).limit_denominator(1001))
        picture_stream.height, picture_stream.width = frames.shape[1:3]
        picture_stream.pix_fmt = "yuv420p"
        picture_stream.options = {"crf": "16", "preset": "fast"}
        # Both streams have to be known before the first packet is written.
        sound_stream = container.add_stream("aac", rate=audio.sampling_rate, layout="mono") if audio else None
        for frame in frames:
            container.mux(picture_stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(picture_stream.encode(None))
        if sound_stream is not None:
            sound = av.AudioFrame.from_ndarray(audio.waveform[None], format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = audio.sampling_rate, 0, Fraction(1, audio.sampling_rate)
            container.mux(sound_stream.encode(sound))
            container.mux(sound_stream.encode(None))
    return Path(path)


def read_provenance(path: str | os.PathLike) -> dict[str, Any] | None:
    """What the file says about how it was made, None where it says nothing; for files that this module wrote."""
    kind = Path(path).suffix.lower()
    if kind == ".png":
        with Image.open(path, formats=["PNG"]) as image:
            comment = image.text.get("Comment")
    elif kind == ".mp4":
        import av

        with av.open(str(path)) as container:
            comment = container.metadata.get("comment")
    else:
        import soundfile

        with soundfile.SoundFile(path) as sound:
            comment = sound.comment
    return json.loads(comment) if comment else None


def _comment(provenance: Provenance) -> str:
    """One line of ASCII, so that no format's own idea of text can change it."""
    return json.dumps(provenance)


def _aac_ready(audio: Audio) -> Audio:
    audio = audio if audio.sampling_rate in AAC_RATES else resample(audio, AAC_RATES[-1])
    return Audio(waveform=_finite(audio).clip(-1.0, 1.0), sampling_rate=audio.sampling_rate)


def _finite(audio: Audio) -> np.ndarray:
    if not np.isfinite(audio.waveform).all():
        raise AnyGenError("generation_not_finite", "the sound to be saved holds NaN or infinity; it was not written")
    return audio.waveform


@contextmanager
def _new_file(path: str | os.PathLike, *, suffixes: tuple[str, ...]) -> Iterator[BinaryIO]:
    """A file to write to, that takes the name `path` when the block ends well and leaves no trace when it does not."""
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise AnyGenError("invalid_parameter", f"a name that ends in {path.suffix!r}; expected {' or '.join(suffixes)}")
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise AnyGenError("storage_error", f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # it is gone when all went well, and never was when the folder is none
            part.unlink()
