"""Media files made on the spot, well-formed and hostile, and the check that an action ends in one fixed code."""

import contextlib
import io
import struct
import wave
import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from anygen.errors import AnyGenError


@contextlib.contextmanager
def raises_code(code: str) -> Iterator[None]:
    with pytest.raises(AnyGenError) as caught:
        yield
    assert caught.value.code == code, caught.value


def encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


def picture(width: int = 48, height: int = 32) -> Image.Image:
    """Left half red, right half blue, with a green upper left corner: every flip and turn of it differs."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (250, 0, 0)
    pixels[:, width // 2 :] = (0, 0, 250)
    pixels[: height // 2, : width // 4] = (0, 250, 0)
    return Image.fromarray(pixels)


def png_header(width: int, height: int, *, bits: int = 1) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def grey_frames(num_frames: int, *, height: int = 32, width: int = 48) -> np.ndarray:
    """uint8 (T, H, W, 3): frame i is all of grey 20 + 200 * i / T."""
    levels = (20 + 200 * np.arange(num_frames) / num_frames).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (num_frames, height, width, 3)).copy()


def film(
    times: Sequence[float],
    *,
    container: str = "matroska",
    codec: str = "mpeg4",
    size: tuple[int, int] = (48, 32),
    tone: float = 0.0,
) -> bytes:
    """A film file: frame i of T is all of grey 20 + 200 * i / T, shown from `times[i]` s on; `tone` s of sound."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = {"mjpeg": "yuvj420p", "jpeg2000": "rgb24"}.get(codec, "yuv420p")
        clock = 25 if container == "avi" else 1000  # AVI knows no times, only a rate
        stream.codec_context.time_base = Fraction(1, clock)
        sound = output.add_stream("aac", rate=16000, layout="mono") if tone else None
        for time, pixels in zip(times, grey_frames(len(times), height=size[1], width=size[0]), strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = round(time * clock), Fraction(1, clock)
            output.mux(stream.encode(frame))
        output.start_encoding()
        output.mux(stream.encode(None))
        if sound:
            samples = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(tone * 16000)) / 16000)
            frame = av.AudioFrame.from_ndarray(samples.astype(np.float32)[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, 0
            output.mux(sound.encode(frame))
            output.mux(sound.encode(None))
    return buffer.getvalue()


def wav(samples: np.ndarray, sampling_rate: int, *, subtype: str = "PCM_16", format: str = "WAV") -> bytes:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sampling_rate, subtype=subtype, format=format)
    return buffer.getvalue()


def silent_wav(num_samples: int, sampling_rate: int = 8000) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sampling_rate)
        file.writeframes(bytes(2 * num_samples))
    return buffer.getvalue()


def tone(seconds: float, sampling_rate: int, *, hertz: float = 440.0) -> np.ndarray:
    times = np.arange(round(seconds * sampling_rate)) / sampling_rate
    return (0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def pitch(waveform: np.ndarray, sampling_rate: int) -> float:
    """The strongest frequency, Hz."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.argmax(spectrum) * sampling_rate / len(waveform))
