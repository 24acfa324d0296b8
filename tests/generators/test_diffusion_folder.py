"""Folders of diffusers pipelines: read as diffusers wrote them, refused where they hold pickles or somebody's code."""

import json
import sys
from pathlib import Path

import pytest
import torch

from anygen.errors import AnyGenError
from anygen.generators.diffusion import DiffusionGenerator
from anygen.parameters import check_generator_parameters

sys.path.insert(0, str(Path(__file__).parent))
import tiny_families  # noqa: E402  (beside this file)


@pytest.fixture(scope="module")
def stable_diffusion():
    torch.manual_seed(0)
    return DiffusionGenerator.from_pipeline(tiny_families.stable_diffusion())


def test_a_folder_of_diffusers_alone_is_read(tmp_path):
    torch.manual_seed(0)
    pipeline = tiny_families.stable_audio()
    pipeline.save_pretrained(tmp_path)
    found = DiffusionGenerator.from_pretrained(tmp_path)
    assert found.modality == "audio" and not (tmp_path / "generator.json").exists()
    before = DiffusionGenerator.from_pipeline(pipeline)
    theirs = before.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in found.state_dict().items())
    half = DiffusionGenerator.from_pretrained(tmp_path, torch_dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16


def test_pickled_weights_and_foreign_code_are_refused(stable_diffusion, tmp_path):
    stable_diffusion.save_pretrained(tmp_path)
    weights = tmp_path / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(AnyGenError, match="pickled weights alone; expected safetensors"):
        DiffusionGenerator.from_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    for entry in (["unet.my_code", "MyUNet"], ["os", "system"], ["diffusers", "logging"]):
        (tmp_path / "model_index.json").write_text(json.dumps(index | {"unet": entry}))
        with pytest.raises(AnyGenError, match=f"found the class {entry[1]} of {entry[0]}"):
            DiffusionGenerator.from_pretrained(tmp_path)


def test_settings_come_back_with_the_folder(tmp_path):
    generator = DiffusionGenerator.from_pipeline(tiny_families.text_to_video(), num_frames=3, guidance_scale=2.0, fps=12)
    generator.save_pretrained(tmp_path)
    found = DiffusionGenerator.from_pretrained(tmp_path)
    assert found.settings == generator.settings == {"num_frames": 3, "guidance_scale": 2.0, "fps": 12}
    assert found.default_parameters == generator.default_parameters


def test_surfaces_check_sizes_before_anything_is_computed(stable_diffusion):
    known = stable_diffusion.default_parameters
    expected = {"height": 16, "width": 16, "num_inference_steps": 50, "guidance_scale": 7.5}
    assert known == expected
    check_generator_parameters("image", {"height": 1024, "width": 768}, known=known)
    for wrong in ({"height": 0}, {"height": 10.5}, {"width": 10**6}):
        with pytest.raises(AnyGenError, match="whole number"):
            check_generator_parameters("image", wrong, known=known)
    with pytest.raises(AnyGenError, match="found 'num_frames'; expected a parameter of this model's image generator"):
        check_generator_parameters("image", {"num_frames": 8}, known=known)


def test_a_medium_may_be_so_many_times_as_large_as_the_models_own():
    film = {"height": 16, "width": 32, "num_frames": 4, "num_inference_steps": 2}
    for fits in ({}, {"height": 32, "width": 64}, {"num_frames": 16}, {"height": 8, "num_frames": 32}, {"num_inference_steps": 99}):
        check_generator_parameters("video", fits, known=film, max_enlargement=4)
    for large in ({"height": 72}, {"num_frames": 17}, {"height": 32, "width": 64, "num_frames": 5}):
        check_generator_parameters("video", large, known=film)
        with pytest.raises(AnyGenError, match="at most 4 times as much as this model's own") as caught:
            check_generator_parameters("video", large, known=film, max_enlargement=4)
        assert caught.value.code == "invalid_parameter"
    with pytest.raises(AnyGenError, match="audio_length_in_s 2.048"):
        check_generator_parameters(
            "audio", {"audio_length_in_s": 9}, known={"audio_length_in_s": 2.048}, max_enlargement=4
        )
