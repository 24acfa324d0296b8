"""Choosing guidance by nano's own encoder."""

import json

import pytest

from anygen.nano.training import sampling
from anygen.nano.world.scene import held_out_pairs
from anygen.pipeline import AnyGenPipeline


@pytest.fixture(scope="module")
def pipe():
    return AnyGenPipeline.from_pretrained("nano")


def test_validation_scenes_are_of_the_train_split_and_half_of_the_sounds_are_tones():
    for modality, number in sampling.NUM_SCENES.items():
        scenes = sampling.validation_scenes(modality)
        assert len(scenes) == number and not any(held_out_pairs(scene) for scene in scenes if scene.tone is None)
        assert sampling.validation_scenes(modality) == scenes
    assert sum(scene.tone is not None for scene in scenes) == number / 2


def test_labels_are_class_numbers_or_none():
    scenes = sampling.validation_scenes("audio")
    heights = sampling.labels_of(scenes, "audio", "height")
    assert [label >= 0 for label in heights.tolist()] == [scene.tone is not None for scene in scenes]


def test_the_better_scale_is_chosen_and_all_are_recorded(pipe, tmp_path, monkeypatch):
    monkeypatch.setattr(sampling, "SCALES", (1.5, 60.0))
    monkeypatch.setattr(sampling, "NUM_SCENES", {"image": 6})
    chosen = sampling.choose_guidance(pipe, folder=tmp_path, modalities=["image"])
    found = json.loads((tmp_path / "guidance.json").read_text())["found"]["image"]
    assert chosen == {"image": 1.5}
    assert found["1.5"] > 0.7 > found["60.0"]


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_what_the_encoder_finds_depends_on_what_was_made(pipe, modality, monkeypatch):
    monkeypatch.setattr(sampling, "NUM_SCENES", {"image": 6, "audio": 6})
    assert sampling.share_found(pipe, modality, scale=2.0) > 0.6
