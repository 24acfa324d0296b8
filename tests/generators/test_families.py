"""The generator contract over every family of diffusers pipelines that is promised, on tiny random ones of real classes."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from anygen.generators.diffusion import DiffusionGenerator
from anygen.generators.generator import Condition, is_mask
from anygen.media.types import Audio, Video

sys.path.insert(0, str(Path(__file__).parent))
from tiny_families import BARE_ARGUMENTS, FAMILIES  # noqa: E402  (beside this file)

CAPTIONS = ["a red bell", "the sound of a small blue bell in a storm"]


@pytest.fixture(scope="module", params=FAMILIES)
def generator(request):
    """A generator of one family, with random weights large enough for conditions to matter."""
    import diffusers

    diffusers.logging.set_verbosity_error()
    torch.manual_seed(0)
    build, settings = FAMILIES[request.param]
    made = DiffusionGenerator.from_pipeline(build(), **settings)
    made.family = request.param
    return made


def seeded(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def values(medium):
    """A medium as floats in about [0, 1]."""
    if isinstance(medium, Video):
        return medium.frames / 255
    return medium.waveform if isinstance(medium, Audio) else np.asarray(medium) / 255


def distance(found, expected):
    return np.abs(values(found) - values(expected)).max()


def bare(generator, captions, seeds, **more):
    """The pipeline of diffusers called with text, as its users do; media in anygen's types."""
    if generator.family == "AudioLDM2" and len(captions) > 1:  # its GPT-2 goes on behind the padding of the batch
        return [bare(generator, [caption], [seed], **more)[0] for caption, seed in zip(captions, seeds, strict=True)]
    sizes = {generator.own_names[name]: value for name, value in generator.settings_given.items()}
    arguments = sizes | {"prompt": list(captions)} | BARE_ARGUMENTS.get(generator.family, {}) | more
    if generator.family == "MusicLDM":  # it cannot read text with transformers 5, where CLAP returns an object
        texts = {"prompt_embeds": list(captions), "negative_prompt_embeds": [""] * len(captions)}
        arguments |= {"prompt": None} | {name: clap_features(generator.pipeline, these) for name, these in texts.items()}
    output = generator.pipeline(generator=seeded(*seeds), num_inference_steps=2, output_type="np", **arguments)
    return [generator.to_medium(array) for array in np.asarray(output[0])]


@torch.no_grad()
def clap_features(pipeline, texts):
    tokens = pipeline.tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")
    return pipeline.text_encoder.get_text_features(**{n: tokens[n] for n in ("input_ids", "attention_mask")}).pooler_output


def test_embeddings_give_what_the_pipeline_gives_for_the_text(generator):
    # AudioLDM 2 pads the empty text to the length of the prompt beside it: compared without guidance
    settings = {"guidance_scale": 1.0} if generator.family == "AudioLDM2" else {}
    expected = bare(generator, CAPTIONS, (5, 6), **settings)
    condition = generator.encode_text(CAPTIONS)
    found = generator.generate(condition, generators=seeded(5, 6), num_inference_steps=2, **settings)
    assert max(distance(*pair) for pair in zip(found, expected, strict=True)) <= 1 / 255 + 1e-4
    assert distance(found[0], found[1]) > 1e-4


def test_condition_has_the_declared_names_and_shapes(generator):
    condition = generator.encode_text(CAPTIONS)
    assert {name: tuple(tensor.shape[1:]) for name, tensor in condition.tensors.items()} == generator.condition_spec
    one = generator.encode_text(CAPTIONS[:1])
    assert all(torch.allclose(condition[name][:1], one[name], atol=1e-4) for name in one.tensors)
    assert all(tensor.dtype == torch.long for name, tensor in condition.tensors.items() if is_mask(name))
    null = generator.null_condition(2)
    assert {name: tuple(tensor.shape[1:]) for name, tensor in null.tensors.items()} == generator.condition_spec


def test_an_item_does_not_depend_on_its_batch(generator):
    condition = generator.encode_text(CAPTIONS)
    together = generator.generate(condition, generators=seeded(1, 2), num_inference_steps=2)
    for index in (0, 1):
        alone = generator.generate(condition.select([index]), generators=seeded(index + 1), num_inference_steps=2)[0]
        assert distance(together[index], alone) <= 1 / 255 + 1e-4


def test_each_step_is_reported(generator):
    told = []
    condition = generator.encode_text(CAPTIONS[:1])
    generator.generate(condition, generators=seeded(0), num_inference_steps=2, callback=lambda *at: told.append(at))
    assert told == [(1, 2), (2, 2)]


def test_denoising_loss_teaches_every_embedding_and_nothing_else(generator):
    latents = torch.randn((2, *generator.latent_shape), generator=torch.Generator().manual_seed(0))
    condition = generator.encode_text(CAPTIONS)
    learned = {name: nn.Parameter(tensor.clone()) for name, tensor in condition.tensors.items() if not is_mask(name)}
    optimizer = torch.optim.Adam(learned.values(), lr=0.05)
    losses = []
    for _ in range(6):
        draw = torch.Generator().manual_seed(3)  # the same noise each time, so that the losses compare
        loss = generator.denoising_loss(latents, Condition(condition.tensors | learned), generator=draw)
        optimizer.zero_grad()
        loss.backward()
        assert all(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in learned.values())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(parameter.grad is None for parameter in generator.parameters())


def test_sampling_and_training_work_without_the_text_encoders(generator):
    condition = generator.encode_text(CAPTIONS)
    expected = generator.generate(condition, generators=seeded(1, 2), num_inference_steps=2)
    latents = torch.randn((2, *generator.latent_shape), generator=torch.Generator().manual_seed(0))
    loss = generator.denoising_loss(latents, condition, generator=torch.Generator().manual_seed(3))
    deaf = DiffusionGenerator.from_pipeline(copy.copy(generator.pipeline), **generator.settings)
    deaf.drop_text_encoders()
    found = deaf.generate(condition, generators=seeded(1, 2), num_inference_steps=2)
    assert max(distance(*pair) for pair in zip(found, expected, strict=True)) <= 1e-6
    assert torch.equal(deaf.denoising_loss(latents, condition, generator=torch.Generator().manual_seed(3)), loss)
    assert generator.pipeline.text_encoder is not None


def test_media_become_the_latents_that_the_loss_takes(generator):
    if generator.modality == "image":
        media = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    elif generator.modality == "video":
        media = [Video(frames=np.full((5, 30, 40, 3), value, np.uint8), fps=8.0) for value in (50, 200)]
    else:
        tone = np.sin(np.arange(9000) / 5).astype(np.float32)
        media = [Audio(waveform=tone, sampling_rate=22050), Audio(waveform=tone * 0.1, sampling_rate=22050)]
    latents = generator.encode_media(media)
    assert latents.shape == (2, *generator.latent_shape)
    assert (latents[0] - latents[1]).abs().max() > 1e-3 and torch.isfinite(latents).all()
    assert torch.allclose(latents[1], generator.encode_media(media[1:])[0], atol=1e-4)
    loss = generator.denoising_loss(latents, generator.encode_text(CAPTIONS), generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(loss)
