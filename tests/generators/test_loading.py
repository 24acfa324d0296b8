"""`load_generator` and its options: each in effect afterwards, or refused with the reason."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from anygen.errors import AnyGenError
from anygen.generators import load_generators, save_generators
from anygen.generators.diffusion import ImageGenerator
from anygen.generators.loading import LoadOptions, load_generator

sys.path.insert(0, str(Path(__file__).parent))
from tiny_audio import musicgen  # noqa: E402  (beside this file)
from tiny_families import FAMILIES  # noqa: E402  (beside this file)


def pipeline(name):
    build, _ = FAMILIES[name]
    torch.manual_seed(0)
    return build()


STABLE_DIFFUSION = next(iter(FAMILIES))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("pipeline")
    pipeline(STABLE_DIFFUSION).save_pretrained(place)
    return place


def load(folder, **options):
    return load_generator(folder, options=LoadOptions(**options))


def picture(generator):
    seeds = [torch.Generator().manual_seed(1)]
    condition = generator.encode_text(["a red bell"])
    return np.asarray(generator.generate(condition, generators=seeds, num_inference_steps=2)[0]) / 255


def test_a_pipeline_folder_becomes_its_generator(folder):
    generator = load(folder)
    assert isinstance(generator, ImageGenerator) and generator.dtype == torch.float32
    with pytest.raises(AnyGenError, match="expected one of audio"):
        load_generator(folder, modality="audio")


def test_options_are_plain_data():
    options = LoadOptions(dtype="bfloat16", scheduler="LCMScheduler", settings={"num_inference_steps": 4})
    assert LoadOptions(**json.loads(json.dumps(asdict(options)))) == options


def test_a_reference_keeps_the_options(folder, tmp_path):
    """Dtype, scheduler and what the autoencoder does are as before; a wrong entry is named."""
    settings = {"scheduler": "EulerDiscreteScheduler", "scheduler_settings": {"timestep_spacing": "trailing"}}
    made = load(folder, dtype="bfloat16", device="cpu", vae_slicing=True, settings={"num_inference_steps": 2}, **settings)
    made.source = str(folder)
    save_generators({"image": made}, tmp_path)
    assert not list(tmp_path.rglob("*.safetensors"))
    again = load_generators(tmp_path)["image"]
    assert again.load_options == made.load_options and again.dtype == torch.bfloat16
    assert again.pipeline.scheduler.config.timestep_spacing == "trailing" and again.pipeline.vae.use_slicing
    assert np.array_equal(picture(again), picture(made))
    path = tmp_path / "config.json"
    entry = json.loads(path.read_text())
    for options, told in (({"colour": 1}, "config.json: image: options is"), ({"device": "cuda:7"}, "config.json: image: device")):
        path.write_text(json.dumps({"image": entry["image"] | {"options": options}}))
        with pytest.raises(AnyGenError, match=told):
            load_generators(tmp_path)


def test_options_become_json():
    configuration = {"unet": {"quant_method": "bitsandbytes", "bnb_4bit_compute_dtype": torch.bfloat16}}
    given = LoadOptions(cpu_offload="model", quantization=configuration, settings={"guidance_scale": 0.0}).to_plain()
    kept = {"quant_method": "bitsandbytes", "bnb_4bit_compute_dtype": "bfloat16"}
    assert json.loads(json.dumps(given)) == {"cpu_offload": "model", "quantization": {"unet": kept}}
    assert LoadOptions().to_plain() == {}


def test_options_that_run_here_are_in_effect(folder):
    assert load(folder, dtype="bfloat16").dtype == torch.bfloat16
    swapped = load(folder, scheduler="EulerDiscreteScheduler", scheduler_settings={"timestep_spacing": "trailing"})
    assert type(swapped.pipeline.scheduler).__name__ == "EulerDiscreteScheduler"
    assert swapped.pipeline.scheduler.config.timestep_spacing == "trailing"
    sliced = load(folder, vae_slicing=True, vae_tiling=True)
    assert sliced.pipeline.vae.use_slicing and sliced.pipeline.vae.use_tiling
    assert load(folder, settings={"num_inference_steps": 3}).default_parameters["num_inference_steps"] == 3
    placed = load(folder, device_map={"unet": {"": "cpu"}})
    assert np.array_equal(picture(placed), picture(load(folder, device="cpu")))


def test_lora_weights_are_added(folder, tmp_path):
    """Weights of an adapter on the UNet, saved as diffusers does: loaded they change the picture as there."""
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    trained = pipeline(STABLE_DIFFUSION)
    trained.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    layers = get_peft_model_state_dict(trained.unet)
    trained.save_lora_weights(tmp_path, unet_lora_layers=layers)
    plain, added = picture(load(folder)), load(folder, lora=str(tmp_path))
    assert not any(parameter.requires_grad for parameter in added.parameters())
    weights = get_peft_model_state_dict(added.pipeline.unet, adapter_name="lora")
    assert all(torch.equal(weights[name], layers[name]) for name in layers) and len(weights) == len(layers)
    assert not np.array_equal(picture(added), plain)
    assert np.allclose(picture(load(folder, lora=str(tmp_path), lora_scale=0.0)), plain, atol=2 / 255)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"scheduler": "NoScheduler"}, "compatible with"),
        ({"scheduler": "EulerDiscreteScheduler", "scheduler_settings": {"x": 1}}, "an argument of EulerDiscreteScheduler"),
        ({"attention_backend": "nothing"}, "attention_backend"),
        ({"device": "cuda:7"}, "a device of this machine"),
        ({"quantization": {"nothing": {}}}, "one of"),
        ({"device_map": {"nothing": "cpu"}}, "one of"),
        ({"settings": {"nothing": 1}}, "expected some of"),
        ({"lora": "."}, "one file of safetensors"),
    ],
)
def test_what_cannot_be_is_refused(folder, options, expected):
    with pytest.raises(AnyGenError, match=expected):
        load(folder, **options)


@pytest.mark.skipif(torch.accelerator.is_available(), reason="an offload has somewhere to go here")
@pytest.mark.parametrize("offload", ["model", "sequential", "group"])
def test_an_offload_needs_an_accelerator(folder, offload):
    with pytest.raises(AnyGenError, match="without an accelerator"):
        load(folder, cpu_offload=offload)


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "int8"},
        {"cpu_offload": "disk"},
        {"compile": "fast"},
        {"scheduler_settings": {"a": 1}},
        {"device_map": {"unet": "auto"}, "cpu_offload": "model"},
    ],
)
def test_options_are_checked_when_made(options):
    with pytest.raises(AnyGenError, match="expected"):
        LoadOptions(**options)


def test_a_folder_of_transformers_takes_what_applies_to_it(tmp_path):
    musicgen().save_pretrained(tmp_path)
    loaded = load_generator(tmp_path, modality="audio", options=LoadOptions(dtype="bfloat16"))
    assert loaded.model.dtype == torch.bfloat16
    with pytest.raises(AnyGenError, match="a diffusers pipeline; found MusicgenGenerator"):
        load_generator(tmp_path, options=LoadOptions(scheduler="LCMScheduler"))
    with pytest.raises(AnyGenError, match="the one component model"):
        load_generator(tmp_path, options=LoadOptions(quantization={"unet": {}}))


def test_folders_that_are_neither_are_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(AnyGenError, match="musicgen, vits, speecht5"):
        load_generator(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "musicgen"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(AnyGenError, match="pickled weights are not read"):
        load_generator(tmp_path)
