"""Options about memory and speed: the effect of each that a CPU shows, and of the others, that diffusers is asked or a
clear refusal."""

import sys
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch

from anygen.errors import AnyGenError
from anygen.generators.conditions import denoiser_of
from anygen.generators.loading import LoadOptions, load_generator

sys.path.insert(0, str(Path(__file__).parent))
from tiny_families import FAMILIES  # noqa: E402  (beside this file)

BITS = {"quant_method": "bitsandbytes", "load_in_4bit": True}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}
    for name in ("StableDiffusion 1", "Flux"):
        torch.manual_seed(0)
        made[name] = tmp_path_factory.mktemp("pipeline")
        FAMILIES[name][0]().save_pretrained(made[name])
    return made


@pytest.fixture(scope="module")
def folder(folders):
    return folders["StableDiffusion 1"]


def load(folder, **options):
    return load_generator(folder, options=LoadOptions(**options))


def picture(generator, **size):
    condition = generator.encode_text(["a red bell"])
    seeds = [torch.Generator().manual_seed(1)]
    return np.asarray(generator.generate(condition, generators=seeds, num_inference_steps=1, **size)[0]).astype(int)


def is_grouped(module) -> bool:
    """Whether diffusers moves a module's weights to where they are needed and away again."""
    registries = [part._diffusers_hook for part in module.modules() if hasattr(part, "_diffusers_hook")]
    return any("group_offloading" in registry.hooks for registry in registries)


def test_group_offload_moves_the_weights_and_changes_no_picture(folder):
    plain, moved = load(folder), load(folder, cpu_offload="group", device="cpu")
    for name, part in moved.pipeline.components.items():
        if isinstance(part, torch.nn.Module):
            assert is_grouped(part) and not is_grouped(plain.pipeline.components[name]), name
    assert np.array_equal(picture(moved), picture(plain))


def test_model_offload_brings_whole_components(folder):
    moved = load(folder, cpu_offload="model", device="cpu")
    hooks = {name: type(part._hf_hook).__name__ for name, part in moved.pipeline.components.items() if hasattr(part, "_hf_hook")}
    assert hooks == dict.fromkeys(("text_encoder", "unet", "vae"), "CpuOffload")
    assert np.array_equal(picture(moved), picture(load(folder)))


@pytest.mark.parametrize(
    ("offload", "method", "asked"),
    [
        ("model", "enable_model_cpu_offload", {"device": "cuda:1"}),
        ("sequential", "enable_sequential_cpu_offload", {"device": "cuda:1"}),
        ("group", "enable_group_offload", {"onload_device": torch.device("cuda:1"), "offload_type": "leaf_level"}),
    ],
)
def test_an_offload_is_asked_of_diffusers_for_the_device(folder, monkeypatch, offload, method, asked):
    """No accelerator is needed to see the call; what it then does is diffusers' own."""
    calls = []
    monkeypatch.setattr(diffusers.DiffusionPipeline, method, lambda self, **given: calls.append(given))
    load(folder, cpu_offload=offload, device="cuda:1")
    assert calls == [asked]


def test_single_layers_cannot_be_moved_to_where_they_are(folder):
    with pytest.raises(AnyGenError, match="cpu_offload: found 'sequential'; expected .*another device than cpu"):
        load(folder, cpu_offload="sequential", device="cpu")


def test_a_device_map_places_the_component_it_names(folder):
    placed = load(folder, device_map={"unet": {"": "cpu"}}).pipeline
    assert {name: str(place) for name, place in placed.unet.hf_device_map.items()} == {"": "cpu"}
    assert getattr(placed.vae, "hf_device_map", None) is None
    with pytest.raises(AnyGenError, match="model_load_error|invalid_parameter"):
        load(folder, device_map={"unet": {"": "cuda:7"}})


def test_an_attention_backend_is_used_by_every_layer(folders):
    size = {"height": 16, "width": 16}
    plain, other = load(folders["Flux"]), load(folders["Flux"], attention_backend="_native_math")
    found = [part.processor._attention_backend for part in denoiser_of(other.pipeline).modules() if hasattr(part, "processor")]
    assert found and {str(backend.value) for backend in found} == {"_native_math"}
    assert np.abs(picture(other, **size) - picture(plain, **size)).max() <= 1
    with pytest.raises(AnyGenError, match="expected a backend that can be used here .*flash-attn"):
        load(folders["Flux"], attention_backend="flash")


@pytest.mark.parametrize(("mode", "asked"), [("default", None), ("max-autotune", "max-autotune")])
def test_the_denoiser_alone_is_compiled_in_the_mode(folder, monkeypatch, mode, asked):
    """`torch.compile` does nothing before the first step, which is not taken here: it would need a compiler of C++."""
    modes, compile = [], torch.compile
    monkeypatch.setattr(torch, "compile", lambda call, **given: modes.append(given) or compile(call, **given))
    made = load(folder, compile=mode).pipeline
    assert modes == [{"mode": asked}]
    assert made.unet._compiled_call_impl is not None and made.vae._compiled_call_impl is None
    assert load(folder).pipeline.unet._compiled_call_impl is None


@pytest.mark.parametrize(("part", "told"), [("unet", "bitsandbytes"), ("text_encoder", "bitsandbytes")])
def test_quantisation_that_is_not_there_is_named(folder, part, told):
    """The package is missing, or where it is there the GPU."""
    if torch.accelerator.is_available():
        pytest.skip("it may be possible here")
    with pytest.raises(AnyGenError, match=f"model_load_error.*({told}|GPU|CUDA)"):
        load(folder, quantization={part: BITS})


def test_quantisation_is_asked_of_the_component_it_names(folder, monkeypatch):
    asked = {}

    def spy(kind):
        read = kind.from_pretrained.__func__

        def from_pretrained(cls, *args, **given):
            asked[cls.__name__] = given.pop("quantization_config", None)
            return read(cls, *args, **given)

        monkeypatch.setattr(kind, "from_pretrained", classmethod(from_pretrained))

    spy(diffusers.UNet2DConditionModel)
    spy(diffusers.AutoencoderKL)
    load(folder, quantization={"unet": BITS})
    assert asked == {"UNet2DConditionModel": BITS, "AutoencoderKL": None}
