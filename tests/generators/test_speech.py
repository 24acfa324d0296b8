"""VITS and SpeechT5 behind the generator contract, against transformers' own calls."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from anygen.errors import AnyGenError
from anygen.generators import load_generators, save_generators
from anygen.generators.loading import load_generator
from anygen.generators.speech import SeededNoise

sys.path.insert(0, str(Path(__file__).parent))
from tiny_audio import speecht5, vits  # noqa: E402  (beside this file)

CAPTIONS = ["a red bell", "a small blue cat in the storm"]
MAKERS = {"vits": vits, "speecht5": speecht5}


@pytest.fixture(scope="module", params=MAKERS)
def generator(request, tmp_path_factory):
    return MAKERS[request.param](tmp_path_factory.mktemp(request.param))


def seeded(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def test_an_item_is_its_own_and_a_seed_is_a_sound(generator):
    condition = generator.encode_text(CAPTIONS)
    assert {name: tuple(t.shape[1:]) for name, t in condition.tensors.items()} == generator.condition_spec
    before = torch.get_rng_state()
    both = generator.generate(condition, generators=seeded(1, 2))
    assert torch.equal(torch.get_rng_state(), before), "the global state was drawn from"
    (alone,) = generator.generate(condition.select([1]), generators=seeded(2))
    assert np.array_equal(both[1].waveform, alone.waveform) and len(alone.waveform) > 16
    (other,) = generator.generate(condition.select([1]), generators=seeded(3))
    assert len(other.waveform) != len(alone.waveform) or not np.allclose(other.waveform, alone.waveform)


def test_vits_without_noise_is_the_model_itself(tmp_path):
    generator = vits(tmp_path, noise_scale=0.0, noise_scale_duration=0.0)
    generator.model.noise_scale = generator.model.noise_scale_duration = 0.0
    expected = generator.model(**generator.tokenizer("a red bell", return_tensors="pt")).waveform[0]
    (found,) = generator.generate(generator.encode_text(["a red bell"]), generators=seeded(1))
    assert found.sampling_rate == generator.model.config.sampling_rate
    np.testing.assert_allclose(found.waveform, expected.detach().numpy(), atol=1e-6)
    (slow,) = generator.generate(generator.encode_text(["a red bell"]), generators=seeded(1), speaking_rate=0.25)
    assert len(slow.waveform) > len(found.waveform)


def test_a_voice_is_chosen_among_those_there_are(tmp_path):
    first, second = (vits(tmp_path, speakers=3, speaker=number) for number in (0, 2))
    condition = first.encode_text(["a red bell"])
    (one,), (other,) = (made.generate(condition, generators=seeded(1)) for made in (first, second))
    assert len(one.waveform) != len(other.waveform) or not np.allclose(one.waveform, other.waveform)
    with pytest.raises(AnyGenError, match=r"from -1 \(none\) to 2"):
        vits(tmp_path, speakers=3, speaker=3)


def test_speecht5_is_the_model_itself_under_the_same_noise(tmp_path):
    generator = speecht5(tmp_path)
    ids = torch.tensor([generator.tokenizer("a red bell")["input_ids"]])
    with SeededNoise(seeded(1)[0]):
        expected = generator.model.generate_speech(
            ids, generator.speaker[None], vocoder=generator.vocoder, maxlenratio=2.0, threshold=3.0
        )
    (found,) = generator.generate(generator.encode_text(["a red bell"]), generators=seeded(1))
    assert found.sampling_rate == generator.vocoder.config.sampling_rate
    np.testing.assert_allclose(found.waveform, expected.numpy(), atol=1e-6)


def test_what_cannot_be_done_is_said(generator):
    assert not generator.is_differentiable
    with pytest.raises(AnyGenError, match="text bridge"):
        generator.encode_media([])
    with pytest.raises(AnyGenError, match="text bridge"):
        generator.denoising_loss(torch.zeros(1), generator.encode_text(["a"]), generator=seeded(0)[0])
    with pytest.raises(AnyGenError, match="at most 80"):
        generator.encode_text(["a bell " * 40])
    with pytest.raises(AnyGenError, match="nothing_to_answer"):
        generator.generate(generator.null_condition(1), generators=seeded(1))


def test_it_is_loaded_from_its_folder_and_from_a_model_folder(generator, tmp_path):
    generator.save_pretrained(tmp_path / "hub")
    save_generators({"audio": generator}, tmp_path / "model")
    (expected,) = generator.generate(generator.encode_text(["a red bell"]), generators=seeded(1))
    for again in (load_generator(tmp_path / "hub"), load_generators(tmp_path / "model")["audio"]):
        assert type(again) is type(generator) and again.settings == generator.settings
        (found,) = again.generate(again.encode_text(["a red bell"]), generators=seeded(1))
        assert np.array_equal(found.waveform, expected.waveform)


def test_a_published_folder_of_speecht5_says_what_it_lacks(tmp_path):
    speecht5(tmp_path).save_pretrained(tmp_path / "hub")
    (tmp_path / "hub" / "speaker.safetensors").unlink()
    with pytest.raises(AnyGenError, match="no voice and no vocoder"):
        load_generator(tmp_path / "hub")
