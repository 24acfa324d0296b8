"""Noisy latents and targets of the denoising loss against the schedulers' own functions."""

import diffusers
import pytest
import torch

from anygen.generators.noise_schedule import draw_noise


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_noisy_latents_and_targets_are_those_of_the_scheduler(kind):
    scheduler = diffusers.DDPMScheduler(prediction_type=kind)
    latents = torch.randn(3, 4, 5, 5)
    drawn = draw_noise(scheduler, latents, generator=torch.Generator().manual_seed(0))
    draw = torch.Generator().manual_seed(0)
    steps = torch.randint(1000, (3,), generator=draw)
    noise = torch.randn(latents.shape, generator=draw)
    assert torch.equal(drawn.timesteps, steps)
    assert torch.allclose(drawn.noisy, scheduler.add_noise(latents, noise, steps), atol=1e-6)
    velocity = scheduler.get_velocity(latents, noise, steps)
    assert torch.allclose(drawn.target, {"epsilon": noise, "sample": latents, "v_prediction": velocity}[kind], atol=1e-6)


@pytest.mark.parametrize("name", ["DDIMScheduler", "UniPCMultistepScheduler", "DPMSolverMultistepScheduler"])
def test_a_scheduler_of_few_steps_trains_as_the_one_that_it_came_from(name):
    """Some schedulers' own add_noise takes t for the place in a list of sigmas that runs the other way."""
    trained = diffusers.DDPMScheduler(prediction_type="v_prediction")
    sampling = getattr(diffusers, name).from_config(trained.config)
    latents = torch.randn(64, 4, 5, 5)
    wanted, found = (draw_noise(each, latents, generator=torch.Generator().manual_seed(0)) for each in (trained, sampling))
    assert torch.equal(found.timesteps, wanted.timesteps)
    assert torch.allclose(found.noisy, wanted.noisy, atol=1e-5) and torch.allclose(found.target, wanted.target, atol=1e-5)
    assert torch.allclose(found.noisy, trained.add_noise(latents, drawn_again(latents), found.timesteps), atol=1e-5)


def drawn_again(latents):
    """The noise of `draw_noise` with the seed 0: it draws the times first."""
    draw = torch.Generator().manual_seed(0)
    torch.randint(1000, (len(latents),), generator=draw)
    return torch.randn(latents.shape, generator=draw)


def test_flow_latents_are_those_of_the_scheduler_and_lead_back_to_the_data():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    latents = torch.randn(2, 4, 5, 5)
    drawn = draw_noise(scheduler, latents, generator=torch.Generator().manual_seed(0))
    draw = torch.Generator().manual_seed(0)
    torch.randint(1000, (2,), generator=draw)
    noise = torch.randn(latents.shape, generator=draw)
    known = scheduler.timesteps  # the schedule that the training of such models draws its times from
    assert all((known - time).abs().min() < 1e-3 for time in drawn.timesteps)
    nearest = torch.stack([known[(known - time).abs().argmin()] for time in drawn.timesteps])
    assert torch.allclose(drawn.noisy, scheduler.scale_noise(latents, nearest, noise), atol=1e-4)
    share = drawn.sigmas.reshape(-1, 1, 1, 1)
    assert torch.allclose(drawn.noisy - share * drawn.target, latents, atol=1e-5)
