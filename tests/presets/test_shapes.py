"""The shape of each preset: tiny random snapshots of the very classes that it names."""

import numpy as np
import pytest

from anygen import AnyGenPipeline
from anygen.errors import AnyGenError
from anygen.inspection.inventory import read_inventory
from anygen.presets import preset_names, read_preset


@pytest.mark.parametrize("name", preset_names())
def test_snapshots_are_of_the_named_classes_and_their_widths_meet(name, snapshots):
    for place, part in read_preset(name).parts.items():
        found = read_inventory(snapshots(part.class_name))
        assert found.kind == ("transformers" if place == "llm" else "diffusers") and not found.mismatches, part.class_name
        if place == "llm":
            assert found.parts[0].class_name.split(".")[0] == part.class_name
        else:
            assert found.joints, part.class_name


PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
SMALL = {
    "WanPipeline": {"height": 16, "width": 16, "num_frames": 5},
    "FluxPipeline": {"height": 16, "width": 16},
}
"""Sampling parameters of tiny snapshots that their pipelines' own sizes are too large for."""


@pytest.mark.parametrize("name", preset_names())
def test_the_composition_answers_with_every_medium(name, snapshots):
    preset = read_preset(name)
    sources = {place: snapshots(part.class_name) for place, part in preset.parts.items()}
    pipe = AnyGenPipeline.compose(**preset.compose_arguments(device="cpu", sources=sources))
    few = {
        modality: {"num_inference_steps": 2, **SMALL.get(part.class_name, {})}
        for modality, part in preset.generators.items()
    }
    shown = [{"type": "image", "image": PICTURE}] if "image" in pipe.model.input_modalities else []
    asked = [{"role": "user", "content": [*shown, {"type": "text", "text": "a red bell"}]}]
    out = pipe(asked, modalities=list(few), seed=0, max_new_tokens=60, **few)
    assert [part.type for part in out.parts if part.type != "text"] == list(few)
    assert {type(bridge).__name__ for bridge in pipe.model.bridges.values()} == {f"{preset.bridge.capitalize()}Bridge"}


def test_a_saved_composition_is_told_by_its_references(snapshots, tmp_path):
    preset = read_preset("pocket-8gb")
    sources = {place: snapshots(part.class_name) for place, part in preset.parts.items()}
    AnyGenPipeline.compose(**preset.compose_arguments(device="cpu", sources=sources)).save_pretrained(tmp_path)
    found = read_inventory(tmp_path)
    parts = {part.name: part for part in found.parts}
    assert found.kind == "anygen" and not found.mismatches
    assert parts["llm"].source == str(sources["llm"]) and parts["llm"].class_name == "Qwen3ForCausalLM"
    assert parts["generators/image/unet"].source == str(sources["image"])
    alone = [read_inventory(source).num_parameters for source in sources.values()]
    assert found.num_parameters == sum(alone)


def test_a_presets_name_is_a_model_name():
    """Offline it gets as far as asking the hub for the pinned LLM."""
    with pytest.raises(AnyGenError, match="Qwen/Qwen3-0.6B") as raised:
        AnyGenPipeline.from_pretrained("pocket-8gb")
    assert raised.value.code == "hub_unavailable"
