"""Presets: strict files, stated numbers that fit the machine, classes that exist."""

import re

import pytest
import yaml

from anygen import AnyGenPipeline
from anygen.errors import AnyGenError
from anygen.presets import preset_names, read_preset, read_preset_file
from anygen.presets.preset import FOLDER, PresetPart

GOOD = {
    "summary": "A test.",
    "machine_gb": 8,
    "llm": {"source": "a/b", "class_name": "LlamaForCausalLM", "licence": "mit", "parameters": {"llm": 1000}},
    "generators": {
        "image": {
            "source": "c/d",
            "class_name": "StableDiffusionPipeline",
            "licence": "mit",
            "parameters": {"text_encoder": 100, "unet": 900},
            "dtype": "float32",
        }
    },
}


def changed(path: str, value) -> dict:
    """GOOD with the value at a dotted path set, or taken away where it is None."""
    values = yaml.safe_load(yaml.safe_dump(GOOD))
    *way, last = path.split(".")
    target = values
    for key in way:
        target = target[key]
    target[last] = value
    if value is None:
        del target[last]
    return values


def read(values, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    return read_preset_file(path)


def test_every_machine_has_a_preset_and_the_weights_fit_it():
    presets = [read_preset(name) for name in preset_names()]
    assert [preset.machine_gb for preset in presets] == sorted(preset.machine_gb for preset in presets)
    assert {preset.machine_gb for preset in presets} == {8, 24, 80}
    for preset in presets:
        assert preset.name.endswith(f"-{preset.machine_gb}gb")
        assert preset.memory_gb < 0.85 * preset.machine_gb, preset.name  # activations and caches come on top
        assert preset.generators, preset.name


@pytest.mark.parametrize("name", preset_names())
def test_classes_exist_and_what_is_not_free_says_so(name):
    import diffusers
    import transformers

    for part in read_preset(name).parts.values():
        assert part.class_name in dir(transformers) + dir(diffusers), part
        if re.search("-nc|non-commercial", part.licence):
            assert "non-commercial" in part.note + part.licence, part


def test_memory_is_parameters_times_bytes(tmp_path):
    preset = read(GOOD, tmp_path)
    assert preset.memory_gb == pytest.approx(1000e6 * 2 / 1e9 + 1000e6 * 4 / 1e9)
    assert preset.total_gb("float32") == pytest.approx(8.0)
    assert preset.total_gb("int4") == pytest.approx(1.0)
    offloaded = read(changed("placement", "offload"), tmp_path)
    assert offloaded.memory_gb == pytest.approx(2.0 + 900e6 * 4 / 1e9)


def test_the_arguments_of_the_composer(tmp_path):
    values = changed("generators.image.settings", {"num_inference_steps": 4})
    values["placement"] = "offload"
    found = read(values, tmp_path).compose_arguments()
    options = found.pop("generator_options")["image"]
    assert found == {"llm": "a/b", "image": "c/d", "bridge": "text", "llm_options": {"dtype": "bfloat16", "device_map": "cuda"}}
    assert (options.dtype, options.device, options.cpu_offload) == ("float32", "cuda", "model")
    assert options.settings == {"num_inference_steps": 4}
    on_cpu = read(values, tmp_path).compose_arguments(device="cpu")
    assert on_cpu["llm_options"] == {"dtype": "float32"} and on_cpu["generator_options"]["image"].cpu_offload == "none"


def test_a_part_that_is_not_safetensors_is_refused_before_it_is_fetched(tmp_path):
    preset = read_preset("nextgpt-24gb")
    assert {name for name, part in preset.parts.items() if part.weights == "pickled"} == {"llm", "video"}
    with pytest.raises(AnyGenError, match="llm is lmsys/vicuna.*pickled weights alone.*LlamaForCausalLM.*sources={'llm'"):
        AnyGenPipeline.from_pretrained("nextgpt-24gb")
    with pytest.raises(AnyGenError, match="video is cerspense/zeroscope"):
        preset.compose_arguments(sources={"llm": tmp_path})
    found = preset.compose_arguments(sources={"llm": tmp_path, "video": "a/b"})
    assert (found["llm"], found["video"], found["image"]) == (tmp_path, "a/b", preset.generators["image"].pinned_source)


def test_a_pinned_source_is_what_the_composer_takes():
    commit = "0123456789abcdef0123456789abcdef01234567"
    known = {"source": "a/b", "class_name": "X", "licence": "mit", "parameters": {"llm": 1}}
    assert PresetPart(**known).pinned_source == "a/b"
    assert PresetPart(**known, revision=commit).pinned_source == f"a/b@{commit}"


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("colour", 1, r"mine.yaml: unknown keys \['colour'\]"),
        ("llm.colour", "x", r"mine.yaml: llm: unknown keys \['colour'\]"),
        ("generators.image.steps", 4, r"mine.yaml: generators.image: unknown keys \['steps'\]"),
        ("llm.licence", None, r"mine.yaml: llm: the keys \['licence'\] are missing"),
        ("machine_gb", "8", "mine.yaml: machine_gb is '8'; expected int"),
        ("llm.parameters", {"llm": "7B"}, r"mine.yaml: llm: parameters is \{'llm': '7B'\}"),
        ("llm.parameters", {}, "mine.yaml: llm: parameters is empty"),
        ("llm.revision", "v1", "mine.yaml: llm: revision is 'v1'; expected a commit of 40"),
        ("llm.source", "llama", "mine.yaml: llm: source is 'llama'; expected name/repository"),
        ("llm.dtype", "fp8", "mine.yaml: llm: dtype is 'fp8'; expected one of float32"),
        ("llm.weights", "zipped", "mine.yaml: llm: weights is 'zipped'; expected one of safetensors, pickled"),
        ("placement", "cloud", "mine.yaml: placement is 'cloud'; expected one of together, offload"),
        ("generators.smell", GOOD["generators"]["image"], r"unknown modalities \['smell'\]"),
        ("llm", "a/b", "mine.yaml: llm: found 'a/b'; expected keys and values"),
    ],
)
def test_a_wrong_file_names_itself_and_the_key(path, value, named, tmp_path):
    with pytest.raises(AnyGenError, match=named) as raised:
        read(changed(path, value), tmp_path)
    assert raised.value.code == "model_load_error"


@pytest.mark.parametrize("name", ["magic", "../preset", "Qwen/Qwen3-4B", ""])
def test_an_unknown_name_lists_the_known_ones(name):
    with pytest.raises(AnyGenError, match="pocket-8gb"):
        read_preset(name)


def test_a_file_that_is_not_yaml_is_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("a: [")
    with pytest.raises(AnyGenError, match="mine.yaml.*expected a YAML file"):
        read_preset_file(tmp_path / "mine.yaml")
    (tmp_path / "mine.yaml").write_text("words")
    with pytest.raises(AnyGenError, match="found 'words'"):
        read_preset_file(tmp_path / "mine.yaml")


def test_the_files_ship_with_the_package():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(preset_names())
