"""Arrays and tensors handed in as media: clear ones give known values, unclear ones are refused. Rows 20, 21."""

import numpy as np
import pytest
import torch

from anygen.media import load_audio, load_image, load_video
from making import grey_frames, picture, raises_code, tone

PIXELS = np.asarray(picture())


@pytest.mark.parametrize(
    "source",
    [
        PIXELS,
        PIXELS.transpose(2, 0, 1),
        PIXELS[::-1].copy()[::-1],  # not contiguous
        PIXELS.astype(np.int64),
        (PIXELS / 255.0).astype(np.float32),
        PIXELS.astype(np.float64),  # whole numbers 0..255
        np.concatenate([PIXELS, np.full_like(PIXELS[..., :1], 255)], axis=-1),
        torch.from_numpy(PIXELS.copy()).permute(2, 0, 1),
        torch.from_numpy(PIXELS / 255.0).float().requires_grad_(),
    ],
    ids=["hwc", "chw", "strided", "int64", "float 0-1", "float 0-255", "rgba", "tensor", "tensor with gradient"],
)
def test_every_clear_picture_is_the_same_picture(source):
    np.testing.assert_array_equal(np.asarray(load_image(source)), PIXELS)


def test_half_precision_pictures():
    white = load_image(torch.ones(3, 5, 7, dtype=torch.bfloat16))
    np.testing.assert_array_equal(np.asarray(white), np.full((5, 7, 3), 255))


def test_grey_and_bool_pictures():
    grey = np.arange(30, dtype=np.uint8).reshape(5, 6)
    for source in (grey, grey[..., None], grey[None]):
        np.testing.assert_array_equal(np.asarray(load_image(source)), grey[..., None].repeat(3, -1))
    np.testing.assert_array_equal(np.asarray(load_image(grey > 9))[..., 0], (grey > 9) * 255)


@pytest.mark.parametrize(
    "source",
    [
        np.zeros((3, 224, 3), np.uint8),  # channels first or last?
        np.zeros((5, 6, 7), np.uint8),
        np.zeros((2, 3, 4, 4), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.full((4, 5, 3), 100.5, np.float32),
        np.full((4, 5, 3), -0.5, np.float32),
        np.full((4, 5, 3), 300, np.int32),
        np.zeros((4, 5, 3), np.complex64),
        np.array(["a"]),
    ],
    ids=["both axes", "no channels", "a batch", "no pixels", "float 0-255", "negative", "above 255", "complex", "text"],
)
def test_unclear_pictures_are_refused_with_their_shape(source):
    with raises_code("invalid_media_array"):
        load_image(source)
    with pytest.raises(Exception, match=str(source.shape).replace("(", r"\(").replace(")", r"\)")):
        load_image(source)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(bad):
    pixels = np.zeros((4, 5, 3), np.float32)
    pixels[1, 2, 0] = bad
    for load, source in ((load_image, pixels), (load_video, pixels[None]), (load_audio, pixels[:, 0, 0] + bad)):
        with raises_code("media_not_finite"):
            load(source)
        with raises_code("media_not_finite"):
            load(torch.from_numpy(source))


def test_films():
    frames = grey_frames(6)
    for source in (frames, frames.transpose(0, 3, 1, 2), torch.from_numpy(frames / 255.0)):
        video = load_video(source, fps=8.0)
        np.testing.assert_array_equal(video.frames, frames)
        assert (video.fps, video.duration, video.audio) == (8.0, 0.75, None)
    with raises_code("invalid_media_array"):
        load_video(frames[0])
    with raises_code("invalid_media_array"):
        load_video(frames, fps=0.0)


def test_sounds_of_every_scale_and_layout():
    samples = tone(0.1, 16000)
    assert load_audio(samples).waveform.dtype == np.float32
    for source in (
        samples.astype(np.float64),
        (samples * 32768).astype(np.int16),
        (samples * 2.0**31).astype(np.int32),
        (samples * 128 + 128).astype(np.uint8),
        np.stack([samples, samples]),
        np.stack([samples] * 8, axis=1),
        torch.from_numpy(samples)[None],
    ):
        audio = load_audio(source, sampling_rate=22050)
        np.testing.assert_allclose(audio.waveform, samples, atol=0.01)
        assert audio.sampling_rate == 22050
    np.testing.assert_allclose(load_audio(np.stack([samples, -samples])).waveform, 0.0, atol=1e-7)
    assert load_audio(samples * 3).waveform.max() == 1.0  # a peak of 1.5 is clipped
    assert load_audio(np.zeros(1, np.float32)).waveform.tolist() == [0.0]


@pytest.mark.parametrize(
    "source",
    [
        tone(0.1, 16000) * 32768,  # floats on the scale of int16
        np.zeros((30, 40), np.float32),
        np.zeros((2, 2, 100), np.float32),
        np.zeros(100, np.int64),
        np.array(1.0, np.float32),
    ],
    ids=["float int16", "many channels", "a batch", "int64", "scalar"],
)
def test_unclear_sounds_are_refused(source):
    with raises_code("invalid_media_array"):
        load_audio(source)


def test_no_samples():
    with raises_code("media_too_short"):
        load_audio(np.zeros(0, np.float32))
