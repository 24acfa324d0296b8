"""The autoencoders: the closed form is the one of principal components, training improves on it, details are kept beside it."""

import pytest
import torch

from anygen.generators.autoencoder import DetailAutoencoder, PatchAutoencoder


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


@pytest.fixture
def detailed(autoencoder):
    torch.manual_seed(0)
    made = DetailAutoencoder(latent_channels=16, coarse_channels=12, block_out_channels=(8, 8, 8, 8, 16))
    made.set_coarse(autoencoder)
    return made


def test_coarse_channels_are_the_latents_of_the_halved_picture(detailed, autoencoder):
    x = torch.nn.functional.interpolate(pictures(4), scale_factor=2, mode="nearest")
    latents = detailed.eval().encode(x).latents
    assert latents.shape == (4, 16, 4, 4)
    assert torch.allclose(latents[:, :12], autoencoder.encode(pictures(4)).latents, atol=1e-5)
    assert detailed.decode(latents).sample.shape == x.shape


def test_details_bring_back_what_the_components_lose(detailed):
    """Fine stripes across or along, which halving the picture makes the same gray."""
    across = torch.tensor([1.0, -1.0]).repeat(32).expand(3, 64, 64)
    x = torch.stack([across, across.transpose(1, 2)] * 4)
    optimizer = torch.optim.Adam([p for name, p in detailed.named_parameters() if not name.startswith("encoder.")], lr=5e-3)
    for _ in range(120):
        error = (detailed.train().decode(detailed.encode(x).latents).sample - x).pow(2).mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    latents = detailed.encode(x).latents
    assert (latents[0, :12] - latents[1, :12]).abs().max() < 1e-4 < 0.5 < (latents[0, 12:] - latents[1, 12:]).abs().max()
    assert error < 0.2


def test_details_have_mean_0_and_variance_1_over_what_was_trained_on(detailed):
    x = torch.nn.functional.interpolate(pictures(16), scale_factor=2, mode="bicubic")
    for _ in range(500):
        detailed.train().encode(x)
    details = detailed.eval().encode(x).latents[:, 12:]
    assert details.mean(dim=(0, 2, 3)).abs().max() < 0.1
    assert details.var(dim=(0, 2, 3)).sub(1).abs().max() < 0.2


@pytest.mark.parametrize("wrong", [{"block_out_channels": (8, 8, 8, 16)}, {"coarse_channels": 16}, {"coarse_channels": 0}])
def test_a_shape_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        DetailAutoencoder(**{"latent_channels": 16, "coarse_channels": 12, "block_out_channels": (8, 8, 8, 8, 16)} | wrong)
