"""The patch autoencoder: its closed form is the one of principal components, and training improves on it."""

import pytest
import torch

from anygen.generators.autoencoder import PatchAutoencoder


def pictures(count, seed=0):
    """Smooth random pictures (count, 3, 32, 32) in [-1, 1]."""
    coarse = torch.rand((count, 3, 6, 6), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=32, mode="bicubic").clamp(-1, 1)


@pytest.fixture
def autoencoder():
    torch.manual_seed(0)
    made = PatchAutoencoder(latent_channels=12, block_out_channels=(8, 8, 8, 16))
    made.fit_linear(pictures(200))
    return made


def test_latents_are_centred_and_of_variance_one_with_coarse_components_first(autoencoder):
    latents = autoencoder.encode(pictures(200)).latents
    assert latents.shape == (200, 12, 4, 4)
    assert latents.mean(dim=(0, 2, 3)).abs().max() < 1e-2
    deviations = latents.std(dim=(0, 2, 3))
    assert deviations.pow(2).mean().item() == pytest.approx(1.0, abs=0.05)
    assert (deviations[:-1] >= deviations[1:] - 1e-3).all()


def test_the_linear_decoder_beats_plain_principal_components_on_new_pictures(autoencoder):
    x = pictures(100, seed=1)
    patches = torch.nn.functional.pixel_unshuffle(x, 8).movedim(1, -1).flatten(0, -2)
    train = torch.nn.functional.pixel_unshuffle(pictures(200), 8).movedim(1, -1).flatten(0, -2)
    mean = train.mean(0)
    _, vectors = torch.linalg.eigh((train - mean).T @ (train - mean))
    basis = vectors[:, -12:]
    plain = ((patches - mean) @ basis @ basis.T + mean - patches).pow(2).mean()
    ours = (autoencoder.decode(autoencoder.encode(x).latents).sample - x).pow(2).mean()
    assert ours < plain


def test_training_the_refiner_lowers_the_error(autoencoder):
    x = pictures(64)
    optimizer = torch.optim.Adam(autoencoder.refiner.parameters(), lr=2e-3)
    errors = []
    for _ in range(30):
        error = (autoencoder.decode(autoencoder.encode(x).latents).sample - x).pow(2).mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert errors[-1] < 0.9 * errors[0]


def test_saved_and_loaded_it_is_bit_equal(autoencoder, tmp_path):
    autoencoder.save_pretrained(tmp_path)
    again = PatchAutoencoder.from_pretrained(tmp_path)
    z = torch.randn(2, 12, 4, 4)
    assert torch.equal(autoencoder.decode(z).sample, again.decode(z).sample)


def test_levels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="expected four levels"):
        PatchAutoencoder(block_out_channels=(8, 16))
