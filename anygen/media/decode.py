"""Film and sound files to `Video` and `Audio`, decoded by FFmpeg in a child process that can be killed.

`seekable binary file -> child (decode_worker.py) -> uint8 frames, float32 samples`. The child gets the file as its
stdin and a temporary file as its stdout, so nothing can block on a full pipe, and no pickle is read. It is killed at
`limits.decode_seconds` (`media_timeout`); when it crashes that costs one medium (`media_unreadable`), not this process.
"""

import io
import json
import logging
import math
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

import numpy as np

from anygen.errors import AnyGenError
from anygen.media.formats import HEAD_BYTES, check_format
from anygen.media.limits import DEFAULT_LIMITS, MediaLimits
from anygen.media.types import Audio, Modality, Video

WORKER = Path(__file__).with_name("decode_worker.py")

log = logging.getLogger(__name__)


def decode_video(file: BinaryIO, *, limits: MediaLimits = DEFAULT_LIMITS) -> Video:
    """The film in `file`, with its sound track if it has one.

    The frames are at an even rate (the stream's average), starting with the first frame whatever its timestamp. Of a
    film of more than `limits.max_frames` frames every 2nd, 4th, ... is kept; frames above `limits.max_frame_side` are
    scaled down; what a phone marked as turned is turned upright. A file that breaks off gives the frames it holds.

    Raises `media_no_video_stream` for sound alone or no frames; otherwise as `decode_audio`, sound being optional here.
    """
    header, frames, samples = _run_worker(file, "video", limits)
    audio = Audio(waveform=samples, sampling_rate=header["sampling_rate"]) if len(samples) else None
    return Video(frames=frames, fps=header["fps"], audio=audio)


def decode_audio(file: BinaryIO, *, limits: MediaLimits = DEFAULT_LIMITS) -> Audio:
    """The sound in `file`, or the sound track of the film in it: all channels mixed to one, at the file's own rate.

    Rates above `limits.max_sampling_rate` are resampled down to it.

    Raises `media_type_not_allowed`, `media_unreadable`, `media_truncated`, `media_too_large`, `media_timeout`,
    `media_not_finite`, `media_no_audio_stream`, and `media_too_short` for a track without samples.
    """
    header, _, samples = _run_worker(file, "audio", limits)
    if len(samples) == 0:
        raise AnyGenError("media_too_short", "the sound has no samples; expected at least one")
    return Audio(waveform=samples, sampling_rate=header["sampling_rate"])


def _run_worker(file: BinaryIO, want: Modality, limits: MediaLimits) -> tuple[dict, np.ndarray, np.ndarray]:
    """The worker's header, its frames uint8 (T, H, W, 3) and its samples float32 (S,); either may be empty."""
    check_format(file.read(HEAD_BYTES), want)
    file.seek(0)
    job = json.dumps({"want": want, **asdict(limits)})
    with _as_real_file(file) as stdin, tempfile.TemporaryFile() as stdout:
        try:
            # -P: the worker's folder must not be importable, for its `types.py` would hide Python's own.
            child = subprocess.run(
                [sys.executable, "-P", str(WORKER), job],
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                timeout=limits.decode_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise AnyGenError(
                "media_timeout", f"decoding was stopped after {limits.decode_seconds:g} s (MediaLimits.decode_seconds)"
            ) from error
        if child.returncode != 0:
            log.warning("decoder ended with %d: %s", child.returncode, child.stderr[-2000:].decode(errors="replace"))
            raise AnyGenError("media_unreadable", "the decoder ended without a result; expected a readable file")
        stdout.seek(0)
        header = json.loads(stdout.readline())
        if "error" in header:
            raise AnyGenError(header["error"], header["detail"])
        shape = header["frames"] or (0, 0, 0, 3)
        frames = np.fromfile(stdout, np.uint8, count=math.prod(shape)).reshape(shape)
        samples = np.fromfile(stdout, np.float32, count=header["samples"])
    if not np.isfinite(samples).all():
        raise AnyGenError("media_not_finite", "the sound holds NaN or infinity; expected finite samples")
    return header, frames, samples.clip(-1.0, 1.0)


def _as_real_file(file: BinaryIO) -> BinaryIO:
    """`file`, or a temporary copy of it where it is only in memory: a child's stdin needs a file descriptor."""
    if isinstance(file, io.BytesIO):
        copy = tempfile.TemporaryFile()
        shutil.copyfileobj(file, copy)
        copy.flush()
        file = copy
    # The descriptor's own position, which is what a child sees: seek() may only move within Python's buffer.
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return file
