"""audiocraft's models behind the generator contract, against audiocraft's own generation; where it is installed."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from anygen import AnyGenPipeline
from anygen.errors import AnyGenError
from anygen.generators import load_generators, save_generators
from anygen.generators.audiocraft import AudiocraftGenerator
from anygen.generators.generator import Condition
from anygen.generators.loading import LoadOptions, load_generator
from anygen.inspection.inventory import read_inventory
from anygen.media.types import Audio
from anygen.projectors import OutputProjectorConfig

pytest.importorskip("audiocraft")
sys.path.insert(0, str(Path(__file__).parent))
from tiny_audiocraft import write_bands, write_model, write_t5  # noqa: E402  (needs audiocraft)

CAPTIONS = ["a bell", "the sea in a storm", "a cat"]
SHORT = {"audio_length_in_s": 0.2}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of models, from which their T5 is found by its name."""
    folder = tmp_path_factory.mktemp("audiocraft")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_t5(folder / "t5-small")
        write_model(folder / "music")
        write_model(folder / "sound", solver="audiogen")
        write_model(folder / "stereo", stereo=True)
        write_bands(folder / "mbd_musicgen_32khz.th")
        yield folder


def load(folder, **options):
    settings = SHORT | options.pop("settings", {})
    return load_generator(
        folder, modality="audio", options=LoadOptions(allow_pickle=True, settings=settings, **options)
    )


@pytest.fixture(scope="module", params=["music", "sound", "stereo"])
def generator(request, place):
    return load(place / request.param)


@pytest.fixture
def music(place):
    return load(place / "music")


def seeded(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


@pytest.mark.parametrize(
    "settings", [{"temperature": 3.0, "top_k": 5}, {"temperature": 0}, {"guidance_scale": 1.0, "top_k": 0}]
)
def test_a_seed_gives_what_audiocraft_gives_for_the_caption(generator, settings):
    """Sampled, greedy and unguided, by their own loader and their own loop."""
    from audiocraft import models

    own = getattr(models, type(generator.model).__name__)
    theirs = own.get_pretrained(generator.model.name, device="cpu")
    theirs.set_generation_params(
        duration=0.2, use_sampling=settings.get("temperature") != 0, temperature=settings.get("temperature", 1.0),
        top_k=settings.get("top_k", 250), cfg_coef=settings.get("guidance_scale", 3.0),
    )  # fmt: skip
    found = generator.generate(generator.encode_text(CAPTIONS), generators=seeded(1, 2, 3), **settings)
    for caption, seed, sound in zip(CAPTIONS, (1, 2, 3), found, strict=True):
        torch.manual_seed(seed)
        expected = theirs.generate([caption])[0].mean(dim=0).numpy()
        assert sound.sampling_rate == 800 and sound.waveform.shape == (160,)
        np.testing.assert_allclose(sound.waveform, expected, atol=1e-5)


def test_the_class_is_the_one_of_the_configuration(place):
    assert [type(load(place / name).model).__name__ for name in ("music", "sound")] == ["MusicGen", "AudioGen"]


def test_an_item_does_not_depend_on_its_batch_and_a_seed_is_a_sound(generator):
    condition = generator.encode_text(CAPTIONS)
    batch = generator.generate(condition, generators=seeded(1, 2, 3), temperature=3.0)
    for row in range(3):
        (alone,) = generator.generate(condition.select([row]), generators=seeded(row + 1), temperature=3.0)
        np.testing.assert_allclose(batch[row].waveform, alone.waveform, atol=1e-5)
    (other,) = generator.generate(condition.select([0]), generators=seeded(9), temperature=3.0)
    assert not np.allclose(other.waveform, batch[0].waveform, atol=1e-5)


def test_condition_matters_and_has_the_declared_shape(generator):
    condition = generator.encode_text([*CAPTIONS, "a cat on grass " * 40, ""])
    assert {name: tuple(t.shape[1:]) for name, t in condition.tensors.items()} == generator.condition_spec
    assert condition["states_mask"].sum(dim=1).tolist()[3:] == [64, 0]
    nothing = generator.null_condition(1)
    assert all(torch.equal(condition[name][4:], nothing[name]) for name in generator.condition_spec)
    first, second, *_ = generator.generate(condition, generators=seeded(1, 1, 1, 1, 1), temperature=0)
    assert not np.allclose(first.waveform, second.waveform, atol=1e-5)


def test_guidance_leads_away_from_a_negative(music):
    """From the condition itself nothing leads away; a longer negative changes what is made."""
    condition = music.encode_text(CAPTIONS[:1])
    (bare,) = music.generate(condition, generators=seeded(1), guidance_scale=1.0)
    (same,) = music.generate(condition, generators=seeded(1), negative=condition, guidance_scale=5.0)
    longer = music.encode_text(CAPTIONS[1:2])
    (away,) = music.generate(condition, generators=seeded(1), negative=longer, guidance_scale=5.0)
    np.testing.assert_allclose(same.waveform, bare.waveform, atol=1e-5)
    assert not np.allclose(away.waveform, bare.waveform, atol=1e-5)


def test_steps_are_reported_over_all_lengths_of_captions(music):
    steps = []
    music.generate(music.encode_text(CAPTIONS[:2]), generators=seeded(1, 2), callback=lambda *step: steps.append(step))
    assert steps == [(number, 26) for number in range(1, 27)]  # 10 frames and 3 delays, twice


def test_loss_falls_with_the_condition_alone(music):
    sounds = [Audio(waveform=np.sin(np.arange(300) / n).astype(np.float32), sampling_rate=800) for n in (3, 9)]
    latents = music.encode_media(sounds)
    assert latents.shape == (2, 4, 10) and latents.dtype == torch.int64
    states = torch.randn(2, *music.condition_spec["states"], generator=seeded(5)[0]).requires_grad_()
    mask = torch.ones(2, *music.condition_spec["states_mask"], dtype=torch.long)
    optimizer, losses = torch.optim.Adam([states], lr=0.1), []
    for _ in range(8):
        loss = music.denoising_loss(latents, Condition({"states": states, "states_mask": mask}), generator=seeded(0)[0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.95 * losses[0], losses
    assert all(parameter.grad is None for parameter in music.parameters())


def test_loss_is_that_of_audiocraft(music):
    from audiocraft.modules.conditioners import ConditioningAttributes
    from audiocraft.solvers.musicgen import MusicGenSolver

    codes = torch.randint(16, (2, 4, 10), generator=seeded(0)[0])
    attributes = [ConditioningAttributes(text={"description": caption}) for caption in CAPTIONS[:2]]
    output = music.language.compute_predictions(codes, attributes)
    expected, _ = MusicGenSolver._compute_cross_entropy(None, output.logits, codes, output.mask)
    found = music.denoising_loss(codes, music.encode_text(CAPTIONS[:2]), generator=seeded(0)[0])
    torch.testing.assert_close(found, expected)


def test_stereo_sounds_are_encoded_as_they_are_made(place):
    stereo = load(place / "stereo")
    latents = stereo.encode_media([Audio(waveform=np.sin(np.arange(160) / 3).astype(np.float32), sampling_rate=800)])
    assert latents.shape == (1, 8, 10) and torch.equal(latents[:, ::2], latents[:, 1::2])


def test_multi_band_diffusion_decodes_as_in_audiocraft(place, monkeypatch):
    from audiocraft.models import MultiBandDiffusion, loaders
    from audiocraft.models.multibanddiffusion import DiffusionProcess
    from audiocraft.modules.diffusion_schedule import NoiseSchedule

    generator = load(place / "music", multi_band_diffusion=str(place))
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # theirs reads its pickles whole
    networks, processors, configs = loaders.load_diffusion_models(place / "mbd_musicgen_32khz.th")
    processes = [
        DiffusionProcess(n, NoiseSchedule(**c.schedule, sample_processor=p, device="cpu"))
        for n, p, c in zip(networks, processors, configs, strict=True)
    ]
    codes = torch.randint(16, (2, 4, 20), generator=seeded(0)[0])
    found = generator.to_sound(codes, seeded(1, 2))
    for row, seed in enumerate((1, 2)):
        torch.manual_seed(seed)
        expected = MultiBandDiffusion(processes, generator.codec).tokens_to_wav(codes[row : row + 1])[0]
        torch.testing.assert_close(found[row], expected.detach())
    assert not torch.allclose(found[0], generator.codec.decode(codes, None)[0], atol=1e-3)


def test_what_was_read_of_pickles_is_saved_without_them(place, tmp_path):
    """With and without MultiBandDiffusion, mono and stereo: the same sounds, by a folder that gives no leave."""
    for name, more in (("music", {"multi_band_diffusion": str(place / "mbd_musicgen_32khz.th")}), ("stereo", {})):
        made = load(place / name, settings={"top_k": 5}, **more)
        save_generators({"audio": made}, tmp_path / name)
        assert not [path for path in (tmp_path / name).rglob("*") if path.suffix in (".bin", ".th")]
        again = load_generators(tmp_path / name)["audio"]
        assert isinstance(again, AudiocraftGenerator) and again.settings == made.settings
        direct = load_generator(tmp_path / name / "audio", options=LoadOptions(dtype="bfloat16"))
        assert direct.language.emb[0].weight.dtype == torch.bfloat16
        condition = made.encode_text(CAPTIONS)
        (expected, *_), (found, *_) = (each.generate(condition, generators=seeded(1, 2, 3)) for each in (made, again))
        assert np.array_equal(found.waveform, expected.waveform)
        assert len(direct.generate(direct.encode_text(CAPTIONS[:1]), generators=seeded(1))[0].waveform) == 160


def test_what_it_holds_is_told_from_its_files(place, tmp_path):
    made = load(place / "music", multi_band_diffusion=str(place))
    made.save_pretrained(tmp_path)
    named = {"language": made.language.parameters(), "codec": made.codec.state_dict().values()}
    counts = {name: sum(tensor.numel() for tensor in tensors) for name, tensors in named.items()}
    for folder, others in ((place / "music", set()), (tmp_path, {"decoder"})):
        found = {part.name: part.num_parameters for part in read_inventory(folder).parts}
        assert found["conditioner"] + found["language_model"] == counts["language"]
        assert found["codec"] == counts["codec"] and found["text_encoder"] == 0
        assert set(found) == {"conditioner", "language_model", "codec", "text_encoder"} | others


def test_a_composed_model_is_saved_with_it(place, tmp_path, toy_model_maker):
    """A reference would give leave to read pickles: the weights are in the model's folder instead. A signal bridge puts
    projected states in the place of a caption's."""
    options = {"audio": LoadOptions(allow_pickle=True, settings=SHORT)}
    small = OutputProjectorConfig(hidden_dim=16, num_layers=1, num_heads=2, feedforward_dim=32)
    given = {
        "llm": toy_model_maker().backbone,
        "audio": str(place / "music"),
        "bridge": "signal",
        "output_projector": small,
    }
    pipe = AnyGenPipeline.compose(**given, generator_options=options)
    pipe.save_pretrained(tmp_path)
    assert str(place) not in (tmp_path / "generators" / "config.json").read_text()
    again = AnyGenPipeline.from_pretrained(tmp_path)
    (first,), (second,) = (each("a bell", modalities=["audio"], seed=1).audios for each in (pipe, again))
    assert len(first.waveform) == 160 and np.array_equal(first.waveform, second.waveform)


def test_faults_say_what_was_found_and_what_is_expected(place, music, tmp_path):
    condition = music.encode_text(["a bell"])
    with pytest.raises(ValueError, match="top_k"):
        music.generate(condition, generators=seeded(1), num_inference_steps=3)
    with pytest.raises(ValueError, match="one seed an item"):
        music.generate(condition, generators=seeded(1, 2))
    for seconds in (0.01, 20.5):
        with pytest.raises(AnyGenError, match=rf"found {seconds}; expected from one frame, 0.02, to 20"):
            music.generate(condition, generators=seeded(1), audio_length_in_s=seconds)
    with pytest.raises(AnyGenError, match="found 800 Hz and 1 channels; expected 800 Hz and 2 channels"):
        load(place / "stereo", multi_band_diffusion=str(place))
    with pytest.raises(AnyGenError, match="multi_band_diffusion: found a model of 2 channels"):
        decoder = load(place / "music", multi_band_diffusion=str(place)).decoder
        AudiocraftGenerator(load(place / "stereo").model, decoder=decoder)
    write_bands(tmp_path / "other.th", sample_rate=1600)
    with pytest.raises(AnyGenError, match="found 1600 Hz and 1 channels; expected 800 Hz"):
        load(place / "music", multi_band_diffusion=str(tmp_path / "other.th"))
    with pytest.raises(AnyGenError, match="without its configurations"):
        AudiocraftGenerator(music.model).save_pretrained(tmp_path)
    write_model(place / "magnet", solver="magnet")
    with pytest.raises(AnyGenError, match="found the solver 'magnet'; expected one of musicgen"):
        load(place / "magnet")
    with pytest.raises(AnyGenError, match="audiocraft reads its weights whole"):
        load(place / "music", device_map={"model": "auto"})
    write_model(place / "genre", genre=True)
    with pytest.raises(AnyGenError, match="found a model with the conditioners description, genre; expected one"):
        load(place / "genre")


def test_a_text_encoder_that_is_nowhere_is_named(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AnyGenError, match="the text encoder of .*, t5-small: ") as caught:
        load(place / "music")
    assert caught.value.code == "hub_unavailable"
