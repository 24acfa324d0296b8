"""Video, Audio and the limits refuse what they could not mean."""

import numpy as np
import pytest

from anygen.media import MEDIA, Audio, MediaLimits, Video
from making import raises_code


def test_media():
    assert MEDIA == ("image", "video", "audio")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Audio(waveform=np.zeros((1, 5), np.float32), sampling_rate=16000),
        lambda: Audio(waveform=np.zeros(5), sampling_rate=16000),
        lambda: Audio(waveform=[0.0], sampling_rate=16000),
        lambda: Audio(waveform=np.zeros(5, np.float32), sampling_rate=0),
        lambda: Audio(waveform=np.zeros(5, np.float32), sampling_rate=16000.5),
        lambda: Video(frames=np.zeros((2, 4, 4), np.uint8), fps=4.0),
        lambda: Video(frames=np.zeros((0, 4, 4, 3), np.uint8), fps=4.0),
        lambda: Video(frames=np.zeros((2, 4, 4, 3), np.float32), fps=4.0),
        lambda: Video(frames=np.zeros((2, 4, 4, 3), np.uint8), fps=float("nan")),
    ],
)
def test_wrong_arrays_and_rates(make):
    with raises_code("invalid_media_array"):
        make()


def test_durations():
    audio = Audio(waveform=np.zeros(4000, np.float32), sampling_rate=16000)
    video = Video(frames=np.zeros((6, 4, 4, 3), np.uint8), fps=4.0, audio=audio)
    assert (audio.duration, video.duration) == (0.25, 1.5)
    assert video.without_audio().audio is None


def test_limits_are_positive():
    with raises_code("invalid_parameter"):
        MediaLimits(max_bytes=0)
    with raises_code("invalid_parameter"):
        MediaLimits(decode_seconds=float("nan"))
