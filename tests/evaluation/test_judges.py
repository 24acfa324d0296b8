"""The judges learn from renders, are kept and read back bit by bit, and hear what they should."""

import numpy as np
import pytest
import torch
from PIL import Image

from anygen.errors import AnyGenError
from anygen.evaluation import judge_training
from anygen.evaluation.judge_training import SHIPPED_JUDGES, JudgeTrainingConfig, prepare_judges, render_examples, train_judge
from anygen.evaluation.judges import JUDGED, MEL_BINS, Judge, JudgeConfig, image_pixels, load_judges, log_mels
from anygen.media.types import Audio, Video


def test_a_short_training_beats_chance(judges):
    accuracy = judges.accuracy["image"]
    assert accuracy["background"] > 3 / 6
    assert accuracy["color"] > 2 / 10
    assert judges.accuracy["audio"]["sound"] > 3 / 17


def test_saved_and_loaded_judges_are_equal(judges, judges_folder):
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    again = load_judges(judges_folder)
    for name, logits in judges.image(x).items():
        assert torch.equal(logits, again.image(x)[name])
    assert again.accuracy == judges.accuracy
    assert prepare_judges(judges_folder).accuracy == judges.accuracy  # nothing is trained again


def test_a_missing_judge_is_named(tmp_path):
    with pytest.raises(AnyGenError, match="no image judge"):
        load_judges(tmp_path)


def test_an_interrupted_training_ends_as_an_unbroken_one(tmp_path, monkeypatch):
    config = JudgeTrainingConfig(kind="audio", num_scenes=24, num_epochs=2, batch_size=8, num_fresh=8)
    train_judge(tmp_path / "unbroken", config)
    save = torch.save

    def save_and_stop(*args):
        save(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(judge_training.torch, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train_judge(tmp_path / "broken", config)
    monkeypatch.undo()
    train_judge(tmp_path / "broken", config)
    unbroken, broken = ((tmp_path / name / "audio.safetensors").read_bytes() for name in ("unbroken", "broken"))
    assert unbroken == broken


@pytest.mark.parametrize("kind", JUDGED)
def test_examples_and_labels(kind):
    inputs, labels = render_examples(kind, 40, purpose="test")
    assert inputs.shape[1:] == ((3, 64, 64) if kind == "image" else (1, 64, 128))
    for name, values in JUDGED[kind].items():
        known = labels[name][labels[name] >= 0]
        assert len(labels[name]) == len(inputs) and len(known) and known.max() < len(values)
    again, _ = render_examples(kind, 40, purpose="test")
    other, _ = render_examples(kind, 40, purpose="another")
    assert torch.equal(inputs, again) and not (other.shape == inputs.shape and torch.equal(inputs, other))


def test_a_film_is_judged_by_all_its_frames(judges):
    frames = np.random.default_rng(0).integers(0, 255, (2, 8, 64, 64, 3), dtype=np.uint8)
    films = [Video(frames[0], 4.0), Video(frames[1][:3], 4.0)]
    together, alone = judges.judge_videos(films), [judges.judge_videos([film])[0] for film in films]
    assert together == alone and "place" not in together[0]
    pixels = image_pixels([Image.fromarray(frame) for frame in frames[0]])
    mean = judges.image.probabilities(pixels)["thing"].mean(0)
    assert together[0]["thing"] == JUDGED["image"]["thing"][mean.argmax()]
    assert judges.judge_videos([]) == []


def test_log_mels_peak_at_the_pitch_and_ignore_loudness():
    seconds = np.arange(32_768) / 16_000
    waves = [np.sin(2 * np.pi * hertz * seconds).astype(np.float32) for hertz in (300, 3_000)]
    low, high = (log_mels([Audio(wave, 16_000)])[0, 0].mean(-1).argmax().item() for wave in waves)
    mel = 2595 * np.log10(1 + np.array([40, 300, 3_000, 8_000]) / 700)
    expected = (mel[1:3] - mel[0]) / (mel[3] - mel[0]) * (MEL_BINS + 1) - 1
    np.testing.assert_allclose([low, high], expected, atol=1)
    loud, quiet = (log_mels([Audio(gain * waves[0], 16_000)]) for gain in (np.float32(1), np.float32(0.2)))
    torch.testing.assert_close(loud, quiet, atol=1e-3, rtol=0)
    with pytest.raises(AnyGenError, match="16000 Hz; found 44100"):
        log_mels([Audio(waves[0], 44_100)])


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="smell"):
        Judge(JudgeConfig(kind="smell"))
    with pytest.raises(ValueError, match="smell"):
        JudgeTrainingConfig(kind="smell")


@pytest.mark.parametrize("kind", JUDGED)
def test_the_shipped_judges_are_right_on_fresh_renders(kind):
    """At least 99 per cent, as they say of themselves, and on other renders than those they were counted on.

    Six hundred renders and a true share of 99.5 per cent stay above 98.4 nearly always.
    """
    judges = load_judges(SHIPPED_JUDGES)
    relied_on = ("thing", "background") if kind == "image" else ("sound",)
    assert min(judges.accuracy[kind][name] for name in relied_on) >= 0.99
    inputs, labels = render_examples(kind, 600, purpose="test of the shipped judges")
    for name in relied_on:
        known = labels[name] >= 0
        found = getattr(judges, kind).probabilities(inputs)[name].argmax(-1)
        assert (found == labels[name])[known].float().mean() >= 0.984


@pytest.mark.slow
@pytest.mark.parametrize("kind", JUDGED)
def test_the_judges_are_right_on_fresh_renders(kind, tmp_path):
    """The training that `anygen eval nano` runs: at least 99 per cent (colour and tones are measured, not judged)."""
    accuracy = train_judge(tmp_path, JudgeTrainingConfig(kind=kind))
    assert min(accuracy[name] for name in (("thing", "background") if kind == "image" else ("sound",))) >= 0.99
