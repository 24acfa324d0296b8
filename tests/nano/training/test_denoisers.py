"""Training the denoisers: how the one of films grows from the one of pictures, and what pools give them."""

import numpy as np
import torch

from anygen.nano.architecture import FRAME_LATENTS, IMAGE_LATENTS, build_unet
from anygen.nano.training.denoisers import grow_from_image
from anygen.nano.training.pools import Pool


def test_films_grow_from_the_coarse_channels_of_pictures(tmp_path):
    """Before it is trained, the grown UNet denoises each frame as the image UNet does where details are 0."""
    torch.manual_seed(0)
    image, video = build_unet("image").eval(), build_unet("video").eval()
    image.save_pretrained(tmp_path / "unet")
    grow_from_image(video, tmp_path)
    coarse = FRAME_LATENTS[0]
    frames, time, states = torch.randn(1, coarse, 4, 8, 8), torch.tensor([500]), torch.randn(1, 24, 128)
    padded = torch.zeros(4, *IMAGE_LATENTS)
    padded[:, :coarse] = frames[0].transpose(0, 1)
    with torch.no_grad():
        of_film = video(frames, time, encoder_hidden_states=states).sample
        of_pictures = image(padded, time, encoder_hidden_states=states.expand(4, -1, -1)).sample
    weights = image.conv_out.weight[:coarse]
    assert torch.equal(video.conv_out.weight, weights) and of_film.shape == frames.shape
    assert (of_film[0].transpose(0, 1) - of_pictures[:, :coarse]).abs().max() < 1e-4


def test_pictures_as_drawn_are_those_that_are_seen_twice_as_large(tmp_path):
    pool = Pool(modality="image", count=6, seed=3)
    seen, drawn = pool.media(tmp_path), pool.as_drawn.media(tmp_path)
    assert seen.shape == (6, 64, 64, 3) and drawn.shape == (6, 128, 128, 3)
    halved = np.asarray(drawn, dtype=float).reshape(6, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    assert np.abs(halved - seen).max() <= 1
    assert Pool(modality="video", count=2).as_drawn == Pool(modality="video", count=2)
