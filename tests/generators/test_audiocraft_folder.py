"""Folders of audiocraft without audiocraft: which they are, what leave they need, what is told where it is missing."""

import json
import sys

import pytest
import torch

from anygen.errors import AnyGenError
from anygen.generators.audiocraft_folder import Part, is_audiocraft_folder, read_parts, write_parts
from anygen.generators.loading import LoadOptions, load_generator

FILES = ("state_dict.bin", "compression_state_dict.bin")
LEAVE = LoadOptions(allow_pickle=True)


@pytest.fixture
def folder(tmp_path):
    """Two files as audiocraft.utils.export writes them; the codec is one that is published apart."""
    more = {"exported": True, "version": "1.3.0"}
    weights = {"emb.0.weight": torch.arange(6.0).view(2, 3)}
    torch.save({"xp.cfg": "solver: musicgen\n", "best_state": weights} | more, tmp_path / FILES[0])
    torch.save({"pretrained": "facebook/encodec_32khz"} | more, tmp_path / FILES[1])
    return tmp_path


def test_both_files_make_a_folder_of_audiocraft(folder):
    assert is_audiocraft_folder(folder)
    (folder / FILES[1]).unlink()
    assert not is_audiocraft_folder(folder)
    with pytest.raises(AnyGenError, match="or a model of transformers or audiocraft"):
        load_generator(folder, options=LEAVE)


def test_a_missing_audiocraft_is_told_with_what_to_type(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "audiocraft", None)
    with pytest.raises(AnyGenError, match=r"which cannot be imported .*pip install --no-deps audiocraft") as caught:
        load_generator(folder, modality="audio", options=LEAVE)
    assert caught.value.code == "model_load_error"


def test_pickles_are_read_with_leave_alone(folder, monkeypatch):
    """Before audiocraft is looked for; MultiBandDiffusion's too."""
    monkeypatch.setitem(sys.modules, "audiocraft", None)
    with pytest.raises(AnyGenError, match=r"LoadOptions\(allow_pickle=True\), as weights only"):
        load_generator(folder)
    with pytest.raises(AnyGenError, match="mbd.th is pickled"):
        load_generator(folder, options=LoadOptions(multi_band_diffusion="mbd.th"))


def test_a_reference_gives_no_leave():
    assert LEAVE.to_plain() == {}
    with pytest.raises(AnyGenError, match="config.json: options is"):
        LoadOptions.from_plain({"allow_pickle": True}, settings={}, where="config.json")


def test_a_pickle_with_anything_but_weights_is_refused(folder):
    torch.save({"xp.cfg": "", "best_state": {}, "run": print}, folder / FILES[0])
    with pytest.raises(AnyGenError, match="state_dict.bin: found builtins.print in the pickle; expected weights only"):
        read_parts(folder, allow_pickle=True)
    (folder / FILES[0]).write_bytes(b"no pickle at all")
    with pytest.raises(AnyGenError, match="state_dict.bin: found no zip file"):
        read_parts(folder, allow_pickle=True)
    torch.save({"state_dict": {}}, folder / FILES[0])
    with pytest.raises(AnyGenError, match="expected xp.cfg and best_state"):
        read_parts(folder, allow_pickle=True)


def test_our_layout_holds_the_same_parts_and_needs_no_leave(folder, tmp_path_factory, monkeypatch):
    parts, place = read_parts(folder, allow_pickle=True), tmp_path_factory.mktemp("ours")
    write_parts(parts, place)
    assert sorted(path.name for path in place.iterdir()) == ["audiocraft.json", "state_dict.safetensors"]
    again = read_parts(place, allow_pickle=False)
    assert {name: part.config for name, part in again.items()} == {name: part.config for name, part in parts.items()}
    weights = again["state_dict"].weights
    assert list(weights) == ["emb.0.weight"] and torch.equal(weights["emb.0.weight"], torch.arange(6.0).view(2, 3))
    monkeypatch.setitem(sys.modules, "audiocraft", None)
    with pytest.raises(AnyGenError, match="pip install"):
        load_generator(place)
    (place / "audiocraft.json").write_text(json.dumps({"state_dict": "solver: musicgen"}))
    with pytest.raises(AnyGenError, match="compression_state_dict is missing"):
        read_parts(place, allow_pickle=False)


def test_tensors_that_share_memory_are_written(tmp_path):
    weight = torch.ones(2, 2)
    write_parts({"state_dict": Part(config="", weights={"a": weight, "b": weight.t()})}, tmp_path)
    assert (tmp_path / "state_dict.safetensors").is_file()


def test_a_model_for_transformers_beside_it_is_taken_where_nothing_else_is_asked(folder):
    """As in facebook/musicgen-small, which holds both."""
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(AnyGenError, match="found the model_type 'bert'; expected musicgen"):
        load_generator(folder, options=LEAVE)
    with pytest.raises(AnyGenError, match="mbd.th is pickled"):
        load_generator(folder, options=LoadOptions(multi_band_diffusion="mbd.th"))
