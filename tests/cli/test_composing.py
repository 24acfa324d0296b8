"""`anygen generate --llm ...`: a composition from the command line, saved, and used again by `--model`."""

import json

import pytest
from PIL import Image

from anygen.cli import main
from anygen.records import read_records


@pytest.fixture(scope="module")
def parts(toy_model_maker, tmp_path_factory):
    model, folder = toy_model_maker(), tmp_path_factory.mktemp("parts")
    model.backbone.llm.config.max_position_embeddings = 4096
    model.backbone.llm.save_pretrained(folder / "llm")
    model.backbone.tokenizer.save_pretrained(folder / "llm")
    for modality in ("image", "video"):
        model.generators[modality].pipeline.save_pretrained(folder / modality)
    return folder


def test_composed_saved_and_used_again(parts, tmp_path, capsys):
    composed = [
        "--llm",
        str(parts / "llm"),
        "--image-model",
        str(parts / "image"),
        "--video-model",
        str(parts / "video"),
    ]
    asked = ["generate", "a bell", "--to", "video,image", "--steps", "1", "--device", "cpu", "--max-loaded", "1"]
    assert main([*asked, *composed, "--out", str(tmp_path / "one"), "--save", str(tmp_path / "model")]) == 0
    (record,) = read_records(tmp_path / "one")
    assert [part["type"] for part in record["parts"]] == ["video", "image"]
    assert record["model"] == f"{parts / 'llm'} + {parts / 'image'} + {parts / 'video'}"
    entries = json.loads((tmp_path / "model/generators/config.json").read_text())
    assert [entry["lazy"]["max_loaded"] for entry in entries.values()] == [1, 1]
    again = ["generate", "a bell", "--to", "video,image", "--steps", "1", "--model", str(tmp_path / "model")]
    assert main([*again, "--out", str(tmp_path / "two")]) == 0
    (other,) = read_records(tmp_path / "two")
    pictures = [tmp_path / place / each["parts"][1]["path"] for place, each in (("one", record), ("two", other))]
    assert Image.open(pictures[0]).tobytes() == Image.open(pictures[1]).tobytes()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--image-model", "x"], "without --llm"),
        (["--save", "x"], "without --llm"),
        (["--max-loaded", "1"], "without --llm"),
        (["--llm", "x"], "found --llm alone"),
        (["--llm", "x", "--image-model", "y", "--model", "nano"], "found --model and --llm"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(arguments, told, tmp_path, capsys):
    assert main(["generate", "a bell", "--out", str(tmp_path), *arguments]) == 2
    assert told in " ".join(capsys.readouterr().err.split()) and not list(tmp_path.iterdir())


def test_parts_that_do_not_load_are_named(parts, tmp_path, capsys):
    arguments = [
        "generate",
        "a bell",
        "--llm",
        str(parts / "llm"),
        "--image-model",
        str(parts / "none"),
        "--out",
        str(tmp_path),
    ]
    assert main(arguments) == 1
    assert str(parts / "none") in capsys.readouterr().err
    arguments = [
        "generate",
        "a bell",
        "--llm",
        "openai:http://127.0.0.1:9/v1",
        "--image-model",
        str(parts / "image"),
        "--out",
        str(tmp_path),
    ]
    assert main(arguments) == 1
    assert "expected what the endpoint calls its model" in capsys.readouterr().err
