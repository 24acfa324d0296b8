"""MusicGen behind the generator contract, against transformers' own generation."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from anygen.errors import AnyGenError
from anygen.generators import load_generators, save_generators
from anygen.generators.generator import Condition
from anygen.generators.loading import LoadOptions, load_generator
from anygen.media.types import Audio

sys.path.insert(0, str(Path(__file__).parent))
from tiny_audio import musicgen  # noqa: E402  (beside this file)

CAPTIONS = ["a red bell", "the sound of a small blue bell in a storm"]


@pytest.fixture(scope="module", params=[1, 2], ids=["mono", "stereo"])
def generator(request):
    return musicgen(channels=request.param)


def seeded(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_the_likeliest_tokens_are_those_of_transformers(generator, scale):
    """Greedy: the same samples as `model.generate` gives for the caption, with and without guidance."""
    given = generator.tokenizer(CAPTIONS, padding="max_length", max_length=12, return_tensors="pt")
    frames = generator.num_frames(0.2)
    steps = frames + int(generator.delays[-1])
    theirs = generator.model.generate(
        input_ids=given["input_ids"], attention_mask=given["attention_mask"], do_sample=False, guidance_scale=scale,
        max_new_tokens=steps, min_new_tokens=steps,
    )  # fmt: skip
    condition = generator.encode_text(CAPTIONS)
    ours = generator.generate(condition, generators=seeded(1, 2), temperature=0, guidance_scale=scale)
    for own, their in zip(ours, theirs, strict=True):
        assert own.sampling_rate == 800 and len(own.waveform) == 160
        np.testing.assert_allclose(own.waveform, their.mean(dim=0).numpy(), atol=1e-5)


def test_a_seed_gives_what_it_gives_in_transformers(generator):
    """Sampled, a caption alone: the tokens that `model.generate` draws after `torch.manual_seed`."""
    given = generator.tokenizer(CAPTIONS[:1], padding="max_length", max_length=12, return_tensors="pt")
    steps = generator.num_frames(0.2) + int(generator.delays[-1])
    torch.manual_seed(4)
    (theirs,) = generator.model.generate(
        input_ids=given["input_ids"], attention_mask=given["attention_mask"], do_sample=True, guidance_scale=3.0,
        temperature=20.0, top_k=5, max_new_tokens=steps, min_new_tokens=steps,
    )  # fmt: skip
    (ours,) = generator.generate(generator.encode_text(CAPTIONS[:1]), generators=seeded(4), temperature=20.0, top_k=5)
    np.testing.assert_allclose(ours.waveform, theirs.mean(dim=0).numpy(), atol=1e-5)


def test_an_item_does_not_depend_on_its_batch_and_a_seed_is_a_sound(generator):
    condition = generator.encode_text(CAPTIONS)
    both = generator.generate(condition, generators=seeded(1, 2), temperature=20)
    alone = generator.generate(condition.select([1]), generators=seeded(2), temperature=20)
    np.testing.assert_allclose(both[1].waveform, alone[0].waveform, atol=1e-5)
    other = generator.generate(condition.select([1]), generators=seeded(3), temperature=20)
    assert not np.allclose(other[0].waveform, alone[0].waveform, atol=1e-5)


def test_condition_matters_and_has_the_declared_shape(generator):
    condition = generator.encode_text(CAPTIONS)
    assert {name: tuple(t.shape[1:]) for name, t in condition.tensors.items()} == generator.condition_spec
    first, second = generator.generate(condition, generators=seeded(1, 1), temperature=0)
    assert not np.allclose(first.waveform, second.waveform, atol=1e-5)


def test_steps_are_reported_and_codes_are_inverted(generator):
    steps = []
    generator.generate(
        generator.encode_text(["a bell"]), generators=seeded(1), callback=lambda *step: steps.append(step)
    )
    assert steps == [(number, 11) for number in range(1, 12)]
    codes = torch.randint(16, (2, len(generator.delays), 5))
    assert torch.equal(generator.undelayed(generator.delayed(codes), 5), codes)


def test_loss_falls_with_the_condition_alone(generator):
    sounds = [Audio(waveform=np.sin(np.arange(200) / n).astype(np.float32), sampling_rate=800) for n in (3, 9)]
    latents = generator.encode_media(sounds)
    assert latents.shape == (2, len(generator.delays), 10) and latents.dtype == torch.int64
    spec = generator.condition_spec
    states = torch.randn(2, *spec["encoder_hidden_states"], generator=seeded(5)[0]).requires_grad_()
    mask = torch.ones(2, *spec["attention_mask"], dtype=torch.long)
    optimizer, losses = torch.optim.Adam([states], lr=0.3), []
    for _ in range(8):
        condition = Condition({"encoder_hidden_states": states, "attention_mask": mask})
        loss = generator.denoising_loss(latents, condition, generator=seeded(0)[0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0], losses
    assert all(parameter.grad is None for parameter in generator.parameters())


def test_loss_is_the_cross_entropy_of_the_next_token(generator):
    """By hand, one token: the logits behind the first column, against codebooks that are not delayed."""
    condition, codes = generator.encode_text(["a bell"]), torch.zeros(1, len(generator.delays), 3, dtype=torch.long)
    ids = generator.delayed(codes)
    logits = generator.logits_of(generator.decode(ids[..., :-1], condition)).log_softmax(-1)
    due = ids[..., 1:] != 16
    assert due.sum() == codes.numel()
    expected = -logits[due.nonzero(as_tuple=True)][:, 0].mean()
    torch.testing.assert_close(generator.denoising_loss(codes, condition, generator=seeded(0)[0]), expected)


def test_faults_say_what_is_expected(generator):
    condition = generator.encode_text(["a bell"])
    with pytest.raises(ValueError, match="top_k"):
        generator.generate(condition, generators=seeded(1), num_inference_steps=3)
    with pytest.raises(ValueError, match="one seed an item"):
        generator.generate(condition, generators=seeded(1, 2))
    with pytest.raises(AnyGenError, match="from 1 to 63 frames"):
        generator.generate(condition, generators=seeded(1), audio_length_in_s=9)
    with pytest.raises(AnyGenError, match="num_text_states"):
        type(generator)(generator.model, generator.tokenizer, steps=3)


def test_it_is_loaded_from_its_folder_and_from_a_model_folder(tmp_path):
    made = musicgen(top_k=5)
    made.save_pretrained(tmp_path / "hub")
    loaded = load_generator(tmp_path / "hub", options=LoadOptions(settings={"guidance_scale": 2.0}))
    assert loaded.settings == made.settings | {"guidance_scale": 2.0}
    save_generators({"audio": made}, tmp_path / "model")
    again = load_generators(tmp_path / "model")["audio"]
    condition = made.encode_text(["a bell"])
    for other, scale in ((loaded, 2.0), (again, 3.0)):
        (expected,) = made.generate(condition, generators=seeded(1), guidance_scale=scale)
        (found,) = other.generate(other.encode_text(["a bell"]), generators=seeded(1))
        assert np.array_equal(found.waveform, expected.waveform)
