"""Every generator keeps the contract of generator.py: over the three pipelines, of real classes at toy size."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from anygen.errors import AnyGenError
from anygen.generators import generator_classes, load_generators, save_generators
from anygen.generators.noise_schedule import prediction_target
from anygen.generators.generator import Condition

MODALITIES = ("image", "video", "audio")
TESTED_ELSEWHERE = {
    "MusicgenGenerator": "generators/test_musicgen.py",
    "AudiocraftGenerator": "generators/test_audiocraft.py",
    "VitsGenerator": "generators/test_speech.py",
    "SpeechT5Generator": "generators/test_speech.py",
    "RemoteGenerator": "remote/test_generator.py",
    "RetrievalGenerator": "retrieval/test_retrieval.py",
}
"""Classes without a diffusers pipeline, each with the file that tests it."""
CAPTIONS = ["a large red bell", "the sound of a bell"]


@pytest.fixture(params=MODALITIES)
def generator(request, toy_model):
    return toy_model.generators[request.param]


def seeded(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def values(medium, modality):
    """A medium as floats in about [0, 1]."""
    if modality == "video":
        return medium.frames / 255
    return np.asarray(medium) / 255 if modality == "image" else medium.waveform


def test_every_class_of_the_dict_is_tested(toy_model):
    here = {type(toy_model.generators[modality]).__name__ for modality in MODALITIES}
    assert here.isdisjoint(TESTED_ELSEWHERE) and here | set(TESTED_ELSEWHERE) == set(generator_classes())
    assert all((Path(__file__).parents[1] / file).is_file() for file in TESTED_ELSEWHERE.values())


def test_text_states_have_the_declared_shape_and_tell_captions_apart(generator):
    condition = generator.encode_text(CAPTIONS)
    assert {name: tuple(tensor.shape[1:]) for name, tensor in condition.tensors.items()} == generator.condition_spec
    assert (condition["prompt_embeds"][0] - condition["prompt_embeds"][1]).abs().max() > 1e-2


def test_the_null_condition_is_the_empty_caption(generator):
    assert torch.equal(generator.null_condition(3)["prompt_embeds"], generator.encode_text([""] * 3)["prompt_embeds"])


def test_embeddings_give_what_the_pipeline_gives_for_the_text(generator):
    latents = torch.randn((1, *generator.latent_shape), generator=torch.Generator().manual_seed(5))
    extra = {"num_frames": generator.num_frames} if generator.modality == "video" else {}
    output = generator.pipeline(
        CAPTIONS[:1], latents=latents, num_inference_steps=2, guidance_scale=3.0, output_type="np", **extra
    )
    expected = generator.to_medium(np.asarray(output[0])[0])
    found = generator.generate(
        generator.encode_text(CAPTIONS[:1]), generators=seeded(5), num_inference_steps=2, guidance_scale=3.0
    )[0]
    difference = np.abs(values(found, generator.modality) - values(expected, generator.modality)).max()
    assert difference <= (1e-2 if generator.modality == "audio" else 1 / 255 + 1e-6)


def test_an_item_does_not_depend_on_its_batch(generator):
    condition = generator.encode_text(CAPTIONS)
    settings = {"num_inference_steps": 2, "guidance_scale": 2.0}
    together = generator.generate(condition, generators=seeded(1, 2), **settings)
    alone = generator.generate(condition.select([1]), generators=seeded(2), **settings)[0]
    modality = generator.modality
    assert np.abs(values(together[1], modality) - values(alone, modality)).max() <= 1e-2
    assert np.abs(values(together[0], modality) - values(together[1], modality)).max() > 1e-2


def test_each_step_is_reported(generator):
    told = []
    generator.generate(
        generator.encode_text(CAPTIONS[:1]), generators=seeded(0), num_inference_steps=3, callback=lambda *at: told.append(at)
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_denoising_loss_teaches_the_condition_and_nothing_else(generator):
    latents = torch.randn((4, *generator.latent_shape), generator=torch.Generator().manual_seed(0))
    embeds = nn.Parameter(generator.encode_text(CAPTIONS * 2)["prompt_embeds"].clone())
    optimizer = torch.optim.Adam([embeds], lr=0.05)
    losses = []
    for _ in range(12):
        generator_of_step = torch.Generator().manual_seed(3)  # the same noise each time, so that the losses compare
        loss = generator.denoising_loss(latents, Condition({"prompt_embeds": embeds}), generator=generator_of_step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 1e-3
    assert all(parameter.grad is None for parameter in generator.parameters())


def test_unknown_parameters_and_missing_seeds_are_refused(generator):
    condition = generator.encode_text(CAPTIONS)
    with pytest.raises(ValueError, match="guidance_scal.*takes num_inference_steps, guidance_scale"):
        generator.generate(condition, generators=seeded(1, 2), guidance_scal=3.0)
    with pytest.raises(ValueError, match="2 conditions and 1 generators"):
        generator.generate(condition, generators=seeded(1))


def test_values_that_are_not_finite_are_never_given_out(generator):
    embeds = generator.encode_text(CAPTIONS[:1])["prompt_embeds"] * float("nan")
    with pytest.raises(AnyGenError) as caught:
        generator.generate(Condition({"prompt_embeds": embeds}), generators=seeded(0), num_inference_steps=1)
    assert caught.value.code == "generation_not_finite"


def test_media_become_latents_of_the_declared_shape(generator):
    condition = generator.encode_text(CAPTIONS)
    media = generator.generate(condition, generators=seeded(1, 2), num_inference_steps=1)
    latents = generator.encode_media(media)
    assert latents.shape == (2, *generator.latent_shape)
    assert torch.allclose(latents[1], generator.encode_media(media[1:])[0], atol=1e-4)


def test_generators_come_back_the_same_and_share_what_they_shared(toy_model, tmp_path):
    before = dict(toy_model.generators.items())
    save_generators(before, tmp_path)
    assert not (tmp_path / "video" / "vae").exists()
    after = load_generators(tmp_path)
    assert after["video"].pipeline.vae is after["image"].pipeline.vae
    for modality, generator in before.items():
        assert after[modality].settings == generator.settings
        theirs = after[modality].state_dict()
        for name, tensor in generator.state_dict().items():
            assert torch.equal(tensor, theirs[name]), name


def test_a_folder_of_unknown_classes_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"image": {"class": "Painter", "shared": {}}}')
    with pytest.raises(AnyGenError) as caught:
        load_generators(tmp_path)
    assert caught.value.code == "model_load_error"


@pytest.mark.parametrize("kind", ["epsilon", "sample", "v_prediction"])
def test_targets_follow_the_prediction_type(kind):
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(prediction_type=kind)
    x, noise, steps = torch.randn(3, 4), torch.randn(3, 4), torch.tensor([10, 500, 990])
    alpha = scheduler.alphas_cumprod[steps][:, None]
    wanted = {"epsilon": noise, "sample": x, "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * x}[kind]
    assert torch.allclose(prediction_target(scheduler, x, noise, steps), wanted, atol=1e-6)
