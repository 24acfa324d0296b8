"""The model folder: what is written is read back bit by bit, and what is wrong is named."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from anygen.checkpoint import load_model, projector_state
from anygen.errors import AnyGenError
from anygen.hub import find_folder

PROMPT = [
    {"role": "user", "content": "a bell"},
    {"role": "assistant", "content": [{"type": "image", "caption": "a bell"}]},
]


@pytest.fixture(scope="module")
def folder(toy_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    toy_model.save_pretrained(path)
    return path


@pytest.fixture
def copied(folder, tmp_path):
    """A copy of the folder to spoil; files that nobody writes to are links."""
    for source in folder.rglob("*"):
        target = tmp_path / "model" / source.relative_to(folder)
        if source.is_dir():
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    return tmp_path / "model"


def test_round_trip_is_bit_equal(toy_model, folder, tmp_path):
    loaded = load_model(folder)
    ours, theirs = toy_model.state_dict(), loaded.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert loaded.config == toy_model.config and not loaded.training
    assert torch.equal(loaded(loaded.collate([PROMPT])).logits, toy_model(toy_model.collate([PROMPT])).logits)
    loaded.save_pretrained(tmp_path)
    for path in sorted(folder.rglob("*.safetensors")):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


def test_half_precision_is_on_disk_only(toy_model, tmp_path):
    toy_model.save_pretrained(tmp_path, dtype=torch.float16)
    for path in tmp_path.rglob("*.safetensors"):
        assert {t.dtype for t in load_file(path).values() if t.is_floating_point()} == {torch.float16}, path
    loaded = load_model(tmp_path)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    name = "input_projectors.image.proj.weight"
    assert torch.equal(projector_state(loaded)[name], projector_state(toy_model)[name].half().float())


def test_trained_rows_and_adapters_are_saved_with_the_llm(build_model, tmp_path):
    model = build_model()
    rows = model.backbone.add_token_rows(model.config.signals["image"].ids)
    model.backbone.add_lora(rank=2, alpha=2)
    with torch.no_grad():
        for name, parameter in model.backbone.named_parameters():
            if "lora_B" in name or parameter is rows.embedding_rows:
                parameter.normal_(std=0.1)
    trained = model(model.collate([PROMPT])).logits
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert torch.allclose(loaded(loaded.collate([PROMPT])).logits, trained, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"colour": 1}, r"config.json: unknown keys \['colour'\]"),
        ({"format_version": 2}, "format_version is 2; this version reads 1"),
        ({"model_type": "llava"}, "model_type is 'llava'"),
        ({"backbone": {"media_begin": "<m>"}}, r"config.json: backbone: unknown keys \['media_begin'\]"),
        ({"guidance_null": "maybe"}, "guidance_null is 'maybe'; expected generator or bridge"),
        ({"signals": {}}, "must name the same modalities"),
    ],
)
def test_a_wrong_config_is_named(copied, change, named):
    path = copied / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(AnyGenError, match=named) as raised:
        load_model(copied)
    assert raised.value.code == "model_load_error"


def spoil(tensors: dict, how: str) -> dict:
    name = "input_projectors.image.proj.weight"
    if how == "missing":
        return {key: tensor for key, tensor in tensors.items() if key != name}
    return (
        tensors
        | {
            "surplus": {"input_projectors.image.extra": torch.zeros(1)},
            "shape": {name: torch.zeros(3, 4)},
            "nan": {name: torch.full_like(tensors[name], float("nan"))},
        }[how]
    )


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ("missing", r"missing are \['input_projectors.image.proj.weight'\]"),
        ("surplus", r"found \['input_projectors.image.extra'\] beyond"),
        ("shape", r"input_projectors.image.proj.weight has shape \(3, 4\); expected \(32, 12\)"),
        ("nan", "input_projectors.image.proj.weight holds NaN"),
    ],
)
def test_wrong_projectors_are_named(copied, how, named):
    path = copied / "projectors.safetensors"
    save_file(spoil(load_file(path), how), path)
    with pytest.raises(AnyGenError, match=named) as raised:
        load_model(copied)
    assert raised.value.code == "model_load_error" and str(path) in raised.value.detail


@pytest.mark.parametrize(
    "name",
    ["config.json", "projectors.safetensors", "llm/model.safetensors", "encoder/config.json", "generators/config.json"],
)
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(AnyGenError, match="model_load_error") as raised:
        load_model(copied)
    assert name.split("/")[0] in raised.value.detail


def test_a_tensor_that_the_llm_lacks_is_named(copied):
    path = copied / "llm" / "model.safetensors"
    tensors = load_file(path)
    tensors.pop("model.norm.weight")
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(AnyGenError, match="model_load_error.*missing_keys.*model.norm.weight"):
        load_model(copied)


def test_an_incomplete_model_is_not_written(build_model, tmp_path):
    model = build_model()
    del model.generators["video"]
    with pytest.raises(ValueError, match="no generator for .*video"):
        model.save_pretrained(tmp_path)


def test_sources():
    assert find_folder("nano").parts[-3:] == ("anygen", "nano", "weights")
    for source in ("no-such-folder", "./no/such", "/no/such/folder", "a/b/c"):
        with pytest.raises(AnyGenError, match="model_load_error: found no folder"):
            find_folder(source)


def test_the_hub_out_of_reach_is_said_so():
    with pytest.raises(AnyGenError) as raised:
        find_folder("anygen-tests/no-such-repository")
    assert raised.value.code == "hub_unavailable" and "offline" in raised.value.detail
