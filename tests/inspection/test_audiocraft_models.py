"""What a folder of audiocraft holds, told without audiocraft and without torch."""

import json

import pytest
import torch

from anygen.errors import AnyGenError
from anygen.generators.audiocraft_folder import read_parts, write_parts
from anygen.inspection.inventory import read_inventory

CONFIG = "solver: sound_lm\nconditioners:\n  args: {}\n  description:\n    model: t5\n    t5:\n      name: t5-base\n"


@pytest.fixture
def folder(tmp_path):
    """As audiocraft.utils.export writes it: tensors of few names in the published shapes, the codec published apart."""
    place = "condition_provider.conditioners.description.output_proj"
    weights = {
        f"{place}.weight": torch.zeros(32, 768),
        f"{place}.bias": torch.zeros(32),
        "emb.0.weight": torch.zeros(9, 32),
    }
    torch.save(
        {"xp.cfg": CONFIG, "best_state": weights, "version": "1.3.0", "exported": True}, tmp_path / "state_dict.bin"
    )
    torch.save({"pretrained": "facebook/encodec_32khz", "exported": True}, tmp_path / "compression_state_dict.bin")
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    return tmp_path


def test_parts_and_widths_in_both_layouts(folder, tmp_path_factory):
    ours = tmp_path_factory.mktemp("ours")
    write_parts(read_parts(folder, allow_pickle=True), ours)
    for place in (folder, ours):
        found = read_inventory(place)
        assert found.kind == "audiocraft"
        assert {part.name: (part.class_name, part.num_parameters, part.source) for part in found.parts} == {
            "conditioner": ("text", 32 * 769, ""),
            "language_model": ("AudioGen", 9 * 32, ""),
            "text_encoder": ("T5EncoderModel", 0, "t5-base"),
            "codec": ("EncodecModel", 0, "facebook/encodec_32khz"),
        }
        assert [joint.sentence for joint in found.joints] == [
            "t5-base gives 768; conditioner takes 768",
            "conditioner gives 32; language_model takes 32",
        ]
    assert read_inventory(folder).parts[0].licence == "cc-by-nc-4.0"


def test_a_text_encoder_of_another_width_is_a_mismatch(folder):
    package = torch.load(folder / "state_dict.bin")
    torch.save(package | {"xp.cfg": CONFIG.replace("t5-base", "t5-large")}, folder / "state_dict.bin")
    (joint,) = read_inventory(folder).mismatches
    assert joint.sentence == "t5-large gives 1024; conditioner takes 768"


@pytest.mark.parametrize(
    ("package", "told"),
    [
        ({"state": 1}, "expected xp.cfg and best_state"),
        ({"xp.cfg": "a: [", "best_state": {}}, "expected a configuration as YAML"),
        ({"xp.cfg": "text", "best_state": {}}, "found str as a configuration"),
    ],
)
def test_other_files_are_refused_by_name(folder, package, told):
    torch.save(package, folder / "state_dict.bin")
    with pytest.raises(AnyGenError, match=rf"state_dict.bin: .*{told}"):
        read_inventory(folder)


def test_a_generator_of_a_model_is_listed_by_its_parts(folder, tmp_path_factory):
    """One that a model folder has, and one that it refers to."""
    model = tmp_path_factory.mktemp("model")
    (model / "config.json").write_text(json.dumps({"model_type": "anygen", "signals": {}}))
    write_parts(read_parts(folder, allow_pickle=True), _made(model / "generators" / "audio"))
    entries = {"audio": {"class": "AudiocraftGenerator", "shared": {}}}
    (model / "generators" / "config.json").write_text(json.dumps(entries))
    own = {part.name: part for part in read_inventory(model).parts}
    assert own["generators/audio/language_model"].num_parameters == 9 * 32
    assert own["generators/audio/text_encoder"].source == "t5-base"
    refers = _made(model.parent / "refers" / "generators")
    (refers.parent / "config.json").write_text(json.dumps({"model_type": "anygen", "signals": {}}))
    (refers / "config.json").write_text(json.dumps({"audio": {"source": str(folder), "settings": {}}}))
    found = {part.name: part for part in read_inventory(refers.parent).parts}
    assert found["generators/audio/language_model"].source == str(folder)
    assert found["generators/audio/language_model"].num_parameters == 9 * 32


def _made(folder):
    folder.mkdir(parents=True)
    return folder
