"""Frames of any size into the trunk's size: values, not only shapes."""

import numpy as np
import pytest
import torch

from anygen.encoders.frames import clip_frame_indices, fit_frames


def stripes(height: int, width: int) -> np.ndarray:
    """One frame whose left third is 0, middle third 120 and right third 240."""
    columns = np.repeat(np.array([0, 120, 240], np.uint8), width // 3)
    return np.broadcast_to(columns[None, None, :, None], (1, height, width, 3)).copy()


def test_the_right_size_is_left_alone():
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    for fit in ("crop", "pad"):
        fitted = fit_frames(frames, size=(8, 8), fit=fit)
        assert torch.equal((fitted[0].permute(1, 2, 3, 0) * 255).round().byte(), torch.from_numpy(frames))


def test_crop_keeps_the_middle_and_three_crops_go_from_end_to_end():
    frames = stripes(8, 24)
    middle = fit_frames(frames, size=(8, 8), fit="crop")
    assert middle.shape == (1, 3, 1, 8, 8)
    assert torch.equal(middle, torch.full_like(middle, 120 / 255))
    crops = fit_frames(frames, size=(8, 8), fit="crop", num_crops=3)
    torch.testing.assert_close(crops.mean(dim=(1, 2, 3, 4)), torch.tensor([0, 120, 240]) / 255)


def test_pad_shows_everything_and_continues_the_border():
    fitted = fit_frames(stripes(8, 24), size=(24, 24), fit="pad")[0, 0, 0]
    assert torch.equal(fitted, fitted[:1].expand(24, -1))
    torch.testing.assert_close(fitted[0, [0, 12, 23]], torch.tensor([0, 120, 240]) / 255)


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5_000), (5_000, 1), (37, 61), (500, 300)])
def test_any_shape_fits(fit, shape):
    fitted = fit_frames(np.full((1, *shape, 3), 200, np.uint8), size=(16, 16), fit=fit, num_crops=1)
    assert fitted.shape == (1, 3, 1, 16, 16)
    torch.testing.assert_close(fitted, torch.full_like(fitted, 200 / 255))


def test_an_unknown_fit_is_named():
    with pytest.raises(ValueError, match="fit='stretch'; expected 'crop' or 'pad'"):
        fit_frames(np.zeros((1, 4, 4, 3), np.uint8), size=(4, 4), fit="stretch")


@pytest.mark.parametrize(
    "num_frames, fps, clip_seconds, expected",
    [
        (8, 4.0, None, [[0, 1], [2, 3], [4, 5], [6, 7]]),
        (1, 4.0, None, [[0, 0]] * 4),
        (24, 4.0, None, [[1, 4], [7, 10], [13, 16], [19, 22]]),
        (10, 1.0, 2.0, [[0, 1], [2, 3], [5, 6], [8, 9]]),
        (3, 30.0, 2.0, [[0, 2]] * 4),
    ],
)
def test_clips_cover_the_film(num_frames, fps, clip_seconds, expected):
    indices = clip_frame_indices(
        num_frames=num_frames, fps=fps, num_clips=4, frames_per_clip=2, clip_seconds=clip_seconds
    )
    assert indices.tolist() == expected
