"""Damaged media by the hundred, of every allowed format: each ends as a medium or with a code, in time and in bounded memory.

Flipped bits, missing ends, blocks of zeros, fields of the header at their extremes, and heads of one format on bodies of
another. The originals are made here; real files are added where the folder of shared data lies beside the repository.
"""

from __future__ import annotations

import io
import random
import resource
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from anygen.errors import AnyGenError
from anygen.media import MediaLimits, load_media
from anygen.media.formats import HEAD_BYTES, READABLE, sniff_format
from making import encoded, film, picture, tone, wav

DATA = Path(__file__).parents[3] / "shared" / "data" / "formats"
REAL = (
    "codi/cat.jpg", "languagebind/thermal/0.jpg", "asl_gestures/milk.mkv", "llamafactory/mllm_demo_data/2.avi",
    "video_llama/dog_barking.mp4", "librispeech/5703-47212-0000.ogg", "llamafactory/mllm_demo_data/1.mp3",
    "llamafactory/mllm_demo_data/3.flac", "llamafactory/mllm_demo_data/2.wav",
)  # fmt: skip
LIMITS = MediaLimits(
    max_bytes=2**22, max_image_pixels=4_000_000, max_seconds=30.0, max_frames=32, max_frame_side=64, decode_seconds=20.0,
    decode_memory=2 * 2**30,
)  # fmt: skip
MAX_GROWTH = 300 * 2**20
"""Bytes that this process may grow by: twice the largest picture, decoded and turned, and what is kept of a film."""


def sound(container: str, codec: str) -> bytes:
    """A second of a tone, by FFmpeg."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format=container) as output:
        stream = output.add_stream(codec, rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(1.0, 16_000)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16_000, 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def originals() -> list[tuple[str, bytes]]:
    """(modality, file): at least one for each format that is read."""
    images = [picture(64, 48).rotate(30 * i) for i in range(3)]
    animated = {"save_all": True, "append_images": images[1:], "duration": 100}
    times = [i / 8 for i in range(8)]
    files = [("image", encoded(images[0], kind)) for kind in ("JPEG", "PNG", "WEBP", "BMP")]
    files += [("image", encoded(images[0], "JPEG", progressive=True)), ("image", encoded(images[0].convert("P"), "PNG"))]
    files += [("image", encoded(images[0], kind, **animated)) for kind in ("GIF", "WEBP")]
    files += [("video", encoded(images[0], "GIF", **animated))]
    for container, codec in (("mp4", "libx264"), ("matroska", "libx264"), ("webm", "libvpx"), ("avi", "mpeg4"), ("mov", "mpeg4")):
        files.append(("video", film(times, container=container, codec=codec, tone=0.0 if container in ("webm", "avi") else 1.0)))
    files += [("audio", wav(tone(1.0, 8000), 8000, subtype=kind)) for kind in ("PCM_16", "PCM_24", "FLOAT")]
    files += [("audio", wav(tone(1.0, 16_000), 16_000, format=kind, subtype=None)) for kind in ("FLAC", "OGG", "MP3")]
    files += [("audio", sound("adts", "aac")), ("audio", sound("mp4", "aac")), ("audio", sound("matroska", "libopus"))]
    if DATA.exists():
        for name in REAL:
            data = (DATA / name).read_bytes()[: LIMITS.max_bytes // 2]
            kind = sniff_format(data[:HEAD_BYTES])
            files.append((next(each for each in ("image", "video", "audio") if kind in READABLE[each]), data))
    return files


def mutated(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """`data` with one kind of damage; `other` is another file."""
    spoiled = bytearray(data)
    match rng.randrange(6):
        case 0:
            for _ in range(rng.choice((1, 4, 32, 256))):
                spoiled[rng.randrange(len(spoiled))] ^= 1 << rng.randrange(8)
        case 1:
            del spoiled[rng.randrange(len(spoiled)) :]
        case 2:
            start = rng.randrange(len(spoiled))
            spoiled[start : start + rng.randrange(1, 400)] = bytes(rng.randrange(400))
        case 3:
            start = rng.randrange(min(len(spoiled), 300))
            spoiled[start : start + 4] = rng.choice((b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\x80\0\0\0"))
        case 4:
            length = rng.choice((4, 16, 64, 256, 1024))
            spoiled[:length] = other[:length]
        case 5:
            start, length = rng.randrange(len(spoiled)), rng.randrange(1, 3000)
            spoiled[start:start] = other[:length]
    return bytes(spoiled)


def outcome(modality: str, data: bytes) -> str:
    """What loading ends in: "ok", or a code. Anything else is raised."""
    started = time.monotonic()
    try:
        medium = load_media(modality, data, limits=LIMITS)
    except AnyGenError as error:
        return error.code
    finally:
        assert time.monotonic() - started < LIMITS.decode_seconds + 20
    if modality == "image":
        assert medium.mode == "RGB" and medium.width * medium.height <= LIMITS.max_image_pixels
    elif modality == "video":
        assert len(medium.frames) <= LIMITS.max_frames and max(medium.frames.shape[1:3]) <= LIMITS.max_frame_side
    else:
        assert np.isfinite(medium.waveform).all() and medium.duration <= LIMITS.max_seconds + 1
    return "ok"


def run(num_files: int, *, seed: int) -> Counter:
    """How many of `num_files` damaged files ended in what."""
    rng, files = random.Random(seed), originals()
    damaged = []
    for index in range(num_files):
        modality, data = files[index % len(files)]
        damaged.append((modality, mutated(data, rng.choice(files)[1], rng)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ThreadPoolExecutor(2) as pool:  # the decoders are processes of their own
        counts = Counter(pool.map(lambda file: outcome(*file), damaged))
    growth = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    largest_child = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(dict(counts), f"grown by {growth / 2**20:.0f} MiB; largest decoder {largest_child / 2**20:.0f} MiB")
    assert growth < MAX_GROWTH and largest_child < LIMITS.decode_memory
    return counts


def test_the_originals_are_of_every_format_and_load():
    files = originals()
    for modality, formats in READABLE.items():
        found = {sniff_format(data[:HEAD_BYTES]) for kind, data in files if kind == modality}
        assert modality != "image" or found == formats
        assert modality != "audio" or found | {"avi"} == formats
        assert modality != "video" or {"mp4", "matroska", "avi", "gif"} <= found
    assert {outcome(*file) for file in files if file[0] == "image"} == {"ok"}


@pytest.mark.parametrize(("num_files", "seed"), [(100, 1), pytest.param(2000, 2, marks=pytest.mark.slow)])
def test_damaged_files_end_as_a_medium_or_with_a_code(num_files, seed):
    counts = run(num_files, seed=seed)
    allowed = {
        "ok", "media_empty", "media_unreadable", "media_truncated", "media_too_large", "media_too_small", "media_too_short",
        "media_type_not_allowed", "media_no_video_stream", "media_no_audio_stream", "media_not_finite",
        "media_timeout",  # a decoder that was killed at its deadline: the promise is kept
    }  # fmt: skip
    assert set(counts) <= allowed and sum(counts.values()) == num_files
    assert counts["ok"] >= num_files / 10 and counts["media_unreadable"] + counts["media_truncated"] >= num_files / 10
