"""What the adapter reads out of a pipeline and what it refuses, and its two ways to a prediction against each other."""

import sys
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from torch import nn

from anygen.errors import AnyGenError
from anygen.generators.conditions import declared_shapes
from anygen.generators.diffusion import AudioGenerator, DiffusionGenerator, ImageGenerator, VideoGenerator
from anygen.generators.families import FAMILIES as DEVIATIONS
from anygen.generators.generator import Condition, is_mask
from anygen.generators.noise_schedule import draw_noise
from anygen.projectors.output import OutputProjectorConfig, TransformerProjector

sys.path.insert(0, str(Path(__file__).parent))
from tiny_families import FAMILIES, stable_diffusion, text_to_video  # noqa: E402  (beside this file)


class SomebodysPipeline(diffusers.StableDiffusionPipeline):
    """A class that no table knows."""


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def build(family):
    torch.manual_seed(0)
    make, settings = FAMILIES[family]
    return DiffusionGenerator.from_pipeline(make(), **settings)


@pytest.mark.parametrize("make", [stable_diffusion, text_to_video])
def test_the_direct_way_and_the_pipelines_own_call_predict_the_same(make):
    torch.manual_seed(0)
    settings = {"num_frames": 3} if make is text_to_video else {}
    generator = DiffusionGenerator.from_pipeline(make(), **settings)
    assert generator.deviation.direct
    latents = torch.randn((2, *generator.latent_shape), generator=seeded())
    condition = generator.encode_text(["a red bell", "a cat"])
    drawn = draw_noise(generator.pipeline.scheduler, latents, generator=seeded(1))
    by_call = generator.predict_by_call(drawn.noisy, drawn.timesteps, drawn.sigmas, condition)
    found = generator.denoising_loss(latents, condition, generator=seeded(1))
    torch.testing.assert_close(nn.functional.mse_loss(by_call, drawn.target), found, atol=1e-6, rtol=1e-5)


def test_a_class_that_no_table_knows_works_without_a_row():
    torch.manual_seed(0)
    known = DiffusionGenerator.from_pipeline(stable_diffusion())
    stranger = DiffusionGenerator.from_pipeline(
        SomebodysPipeline(**known.pipeline.components, requires_safety_checker=False)
    )
    assert "SomebodysPipeline" not in DEVIATIONS and not stranger.deviation.direct
    assert stranger.condition_spec == known.condition_spec and stranger.default_parameters == known.default_parameters
    condition = known.encode_text(["a red bell"])
    media = [each.generate(condition, generators=[seeded(3)], num_inference_steps=2)[0] for each in (known, stranger)]
    assert np.array_equal(*map(np.asarray, media))
    latents = known.encode_media(media[:1])
    losses = [each.denoising_loss(latents, condition, generator=seeded()) for each in (known, stranger)]
    torch.testing.assert_close(*losses)


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_a_perfect_prediction_costs_nothing(kind):
    """The target is what the scheduler's own step needs to come back to the latents."""
    scheduler = diffusers.DDIMScheduler(prediction_type=kind, clip_sample=False, set_alpha_to_one=True)
    latents = torch.randn(1, 4, 8, 8, generator=seeded())
    drawn = draw_noise(scheduler, latents, generator=seeded(2))
    scheduler.set_timesteps(1000)
    found = scheduler.step(drawn.target, int(drawn.timesteps), drawn.noisy).pred_original_sample
    torch.testing.assert_close(found, latents, atol=1e-3, rtol=1e-3)


def test_a_perfect_flow_leads_to_the_latents():
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    latents = torch.randn(1, 4, 8, 8, generator=seeded())
    drawn = draw_noise(scheduler, latents, generator=seeded(2))
    torch.testing.assert_close(drawn.noisy - drawn.sigmas * drawn.target, latents, atol=1e-5, rtol=1e-4)
    assert torch.isclose(scheduler.timesteps, drawn.timesteps, atol=1e-2).any()  # one of those it was made for


@pytest.mark.parametrize("scheduler", ["EDMEulerScheduler", "EDMDPMSolverMultistepScheduler", "CosineDPMSolverMultistepScheduler"])
def test_a_perfect_preconditioned_prediction_leads_to_the_latents(scheduler):
    if not hasattr(diffusers, scheduler) or "dummy" in getattr(diffusers, scheduler).__module__:
        pytest.skip("needs torchsde")
    made = getattr(diffusers, scheduler)(prediction_type="v_prediction")
    latents = torch.randn(2, 4, 8, generator=seeded())
    drawn = draw_noise(made, latents, generator=seeded(2))
    sigma = drawn.sigmas.reshape(-1, 1, 1)
    unscaled = drawn.noisy * (sigma**2 + made.config.sigma_data**2) ** 0.5
    torch.testing.assert_close(made.precondition_outputs(unscaled, drawn.target, sigma), latents, atol=1e-3, rtol=1e-3)


def test_a_scheduler_of_no_known_training_is_refused():
    generator = DiffusionGenerator.from_pipeline(stable_diffusion())
    generator.pipeline.scheduler = diffusers.KarrasVeScheduler()
    with pytest.raises(AnyGenError, match="KarrasVeScheduler.*expected a FlowMatch"):
        generator.denoising_loss(torch.zeros(1, 4, 8, 8), generator.encode_text(["a cat"]), generator=seeded())


@pytest.mark.parametrize("family", FAMILIES)
def test_configurations_say_what_the_encoders_make(family):
    generator = build(family)
    assert declared_shapes(generator.pipeline) == generator.condition_spec


@pytest.mark.parametrize("family", ["StableDiffusion3", "Flux", "QwenImage", "Sana", "CogVideoX", "LTX", "Wan"])
def test_the_pipeline_decodes_what_was_encoded(family):
    """Latents put in place of the last step's come out as the autoencoder's own round trip."""
    generator = build(family)
    condition = generator.encode_text(["a red bell"])
    medium = generator.generate(condition, generators=[seeded()], num_inference_steps=1)[0]
    latents = generator.encode_media([medium])
    sizes = {generator.own_names[name]: value for name, value in generator.settings_given.items()}
    output = generator.pipeline(
        "a red bell", num_inference_steps=1, output_type="pt", **sizes, **dict(generator.deviation.arguments),
        callback_on_step_end=lambda pipeline, step, time, tensors: {"latents": latents.to(tensors["latents"].dtype)},
    )  # fmt: skip
    samples = generator.to_sample(medium)[None]
    film = samples if samples.ndim == 5 else samples[:, None]
    vae = generator.pipeline.vae
    deep = any(isinstance(part, nn.Conv3d) for part in vae.modules())
    with torch.no_grad():
        encoded = vae.encode(film.transpose(1, 2) if deep else film[:, 0])
        known = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latent
        expected = vae.decode(known, **({"temb": None} if family == "LTX" else {})).sample
    expected = (expected.transpose(1, 2) if deep else expected[:, None]) / 2 + 0.5
    found = torch.as_tensor(output[0]).reshape(expected.shape)
    torch.testing.assert_close(found, expected.clamp(0, 1), atol=2e-3, rtol=0)


def test_masks_are_all_ones_when_a_projector_makes_the_condition():
    generator = build("Sana")
    spec = generator.condition_spec
    config = OutputProjectorConfig(hidden_dim=8, num_layers=1, num_heads=2, feedforward_dim=8)
    projector = TransformerProjector(config, in_dim=6, condition_spec=spec)
    condition = projector(torch.randn(2, 3, 6), torch.randn(2, 3, 6))
    assert {name: tuple(tensor.shape[1:]) for name, tensor in condition.tensors.items()} == spec
    assert [name for name in spec if is_mask(name)] == ["prompt_attention_mask"]
    assert condition["prompt_attention_mask"].dtype == torch.long and bool((condition["prompt_attention_mask"] == 1).all())
    assert "prompt_attention_mask" not in projector.out_fc
    loss = generator.denoising_loss(torch.randn(2, *generator.latent_shape), condition, generator=seeded())
    loss.backward()
    assert projector.in_fc.weight.grad.abs().sum() > 0


def test_sizes_are_those_of_the_pipeline_and_can_be_asked_for():
    generator = build("TextToVideoSD")
    assert generator.default_parameters | {"height": 16, "width": 16, "num_frames": 3} == generator.default_parameters
    film = generator.generate(
        generator.encode_text(["a cat"]), generators=[seeded()], num_inference_steps=1, num_frames=2, height=24, width=32
    )[0]
    assert film.frames.shape == (2, 24, 32, 3) and film.fps == 8
    with pytest.raises(AnyGenError, match="TextToVideoSDPipeline.*divisible by 8") as caught:
        generator.generate(generator.encode_text(["a cat"]), generators=[seeded()], num_inference_steps=1, height=21)
    assert caught.value.code == "invalid_parameter"


def test_guidance_of_a_distilled_pipeline_is_its_own():
    generator = build("Flux")
    condition = generator.encode_text(["a red bell"])
    assert {"guidance_scale", "true_cfg_scale"} <= set(generator.default_parameters)
    assert generator.negative_arguments(condition, None, generator.default_parameters) == {}
    guided = generator.negative_arguments(condition, None, generator.default_parameters | {"true_cfg_scale": 2.0})
    assert {"negative_prompt_embeds", "negative_pooled_prompt_embeds"} <= set(guided)


@pytest.mark.parametrize(
    ("kind", "family", "found"), [(VideoGenerator, "Flux", "image"), (AudioGenerator, "Wan", "video"), (ImageGenerator, "AudioLDM", "audio")]
)
def test_another_modality_is_refused(kind, family, found):
    with pytest.raises(AnyGenError, match=f"Pipeline returns {found}; expected a pipeline of the modality {kind.modality}"):
        kind(FAMILIES[family][0]())


def test_pipelines_led_by_more_than_text_are_refused():
    parts = stable_diffusion().components
    for other in (diffusers.StableDiffusionImg2ImgPipeline, diffusers.StableDiffusionInpaintPipeline):
        with pytest.raises(AnyGenError, match=f"{other.__name__}.__call__ cannot do without strength"):
            ImageGenerator(other(**parts, requires_safety_checker=False))
    with pytest.raises(AnyGenError, match="DDPMPipeline.__call__ takes no prompt_embeds"):
        ImageGenerator(diffusers.DDPMPipeline(unet=parts["unet"], scheduler=parts["scheduler"]))
    with pytest.raises(AnyGenError, match="found the settings fps, steps for StableDiffusionPipeline"):
        ImageGenerator(stable_diffusion(), fps=4, steps=3)


def test_without_text_encoders_captions_are_refused_and_conditions_are_not():
    pipeline = stable_diffusion()
    pipeline.register_modules(text_encoder=None)
    generator = DiffusionGenerator.from_pipeline(pipeline)
    shape = generator.condition_spec["prompt_embeds"]
    condition = Condition({"prompt_embeds": torch.randn(1, *shape, generator=seeded())})
    made = generator.generate(condition, negative=condition, generators=[seeded()], num_inference_steps=1)
    assert made[0].size == (16, 16)
    with pytest.raises(AnyGenError, match="StableDiffusionPipeline has no text encoder"):
        generator.encode_text(["a cat"])
    with pytest.raises(AnyGenError, match="StableDiffusionPipeline has no text encoder"):
        generator.generate(condition, generators=[seeded()], num_inference_steps=1)
