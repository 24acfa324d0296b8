"""What a run depends on: the model's own files, and those of the folders that it refers to."""

import json

import pytest

from anygen.batch.fingerprint import differences, model_digest, run_fingerprint


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


@pytest.fixture
def model(tmp_path):
    """A composition's folder beside what it refers to; the encoder refers to another folder again."""
    for name in ("llm", "image", "encoder", "tower", "index", "lora", "other"):
        write(tmp_path / name / "weights.safetensors", name)
    write(tmp_path / "encoder/encoder.json", {"source": "../tower"})
    options = {"lora": str(tmp_path / "lora")}
    folder = tmp_path / "model"
    write(folder / "config.json", {"model_type": "anygen", "source": str(tmp_path / "other")})
    write(folder / "llm/reference.json", {"source": str(tmp_path / "llm"), "added_tokens": []})
    write(folder / "encoder/reference.json", {"source": str(tmp_path / "encoder")})
    write(folder / "generators/config.json", {"image": {"source": "../../image", "options": options}, "audio": {"class": "X"}})
    write(folder / "generators/audio/retrieval.json", {"index": str(tmp_path / "index")})
    return folder


@pytest.mark.parametrize("part", ["llm", "image", "encoder", "tower", "index", "lora"])
def test_a_part_that_is_referred_to_counts(model, part):
    before = run_fingerprint(str(model), {})
    assert run_fingerprint(str(model), {}) == before
    write(model.parent / part / "weights.safetensors", "changed")
    after = run_fingerprint(str(model), {})
    assert model_digest(after) != model_digest(before)
    told = [line for line in differences(after, before) if "sha256" not in line]
    assert len(told) == 1 and told[0].startswith(f"model.parts.{model.parent / part}: found")


def test_what_is_not_referred_to_does_not(model):
    before = run_fingerprint(str(model), {})
    write(model.parent / "other/weights.safetensors", "changed")
    write(model.parent / "image/README.md", "for people")
    assert run_fingerprint(str(model), {}) == before
    assert "parts" not in run_fingerprint("nano", {})["model"]
