"""Heads of weight files: what torch and safetensors wrote is announced right, and no code of a pickle runs."""

import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from anygen.errors import AnyGenError
from anygen.inspection.weight_files import read_tensor_headers

TENSORS = {
    "a.weight": torch.zeros(3, 4),
    "b": torch.zeros(5, dtype=torch.bfloat16),
    "c": torch.zeros((), dtype=torch.int64),
    "d": torch.zeros(6, 8, dtype=torch.float16).T,
}


def check(headers):
    assert headers.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        header = headers[name]
        assert header.shape == tuple(tensor.shape) and f"torch.{header.dtype}" == str(tensor.dtype)
        assert header.num_bytes == tensor.numel() * tensor.element_size() and header.num_values == tensor.numel()


def test_safetensors(tmp_path):
    save_file({name: tensor.contiguous() for name, tensor in TENSORS.items()}, tmp_path / "m.safetensors", metadata={"a": "b"})
    check(read_tensor_headers(tmp_path / "m.safetensors"))


@pytest.mark.parametrize("wrap", [dict, lambda tensors: {"state_dict": tensors, "epoch": 3}])
def test_torch_files_with_tensors_and_parameters(wrap, tmp_path):
    tensors = {n: torch.nn.Parameter(t) if t.is_floating_point() else t for n, t in TENSORS.items()}
    torch.save(wrap(tensors), tmp_path / "m.pth.tar")
    check(read_tensor_headers(tmp_path / "m.pth.tar"))


class Command:
    def __reduce__(self):
        return os.system, ("echo ran > ran.txt",)


def test_no_code_of_a_pickle_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": torch.zeros(1), "b": Command()}, "m.pt")
    with pytest.raises(AnyGenError, match="system in the pickle; expected tensors only") as raised:
        read_tensor_headers(tmp_path / "m.pt")
    assert raised.value.code == "model_load_error" and not (tmp_path / "ran.txt").exists()


@pytest.mark.parametrize("content", [b"", b"words", pickle.dumps({"a": 1})])
def test_what_is_no_weight_file_is_named(content, tmp_path):
    for name in ("m.pt", "m.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AnyGenError, match=f"{name}.*expected a"):
            read_tensor_headers(tmp_path / name)


def test_a_zip_file_without_tensors_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps(["words"]))
    with pytest.raises(AnyGenError, match="found no dict of tensors"):
        read_tensor_headers(tmp_path / "m.pt")
