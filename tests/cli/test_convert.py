"""`anygen convert` from the command line."""

import json

import pytest
import synthetic_checkpoints as synthetic

from anygen.cli import main
from anygen.convert.layouts import LAYOUTS


@pytest.fixture
def gill(tmp_path):
    """A published folder and the LLM that it was trained over."""
    for name in ("source", "llm"):
        (tmp_path / name).mkdir()
    synthetic.write_gill(tmp_path / "source")
    synthetic.save_llm(tmp_path / "llm")
    return [str(tmp_path / "source"), "--out", str(tmp_path / "out"), "--llm", str(tmp_path / "llm")]


def test_what_was_used_and_ignored_is_told(gill, tmp_path, capsys):
    assert main(["convert", *gill, "--allow-pickle"]) == 0
    output = capsys.readouterr().out
    assert "GILL" in output and "5 ignored" in output and "ignored 5: GILL's retrieval head" in output
    assert "Apache-2.0" in output and (tmp_path / "out" / "config.json").is_file()
    assert main(["convert", *gill, "--allow-pickle"]) == 1
    assert "not an empty folder" in capsys.readouterr().err


def test_json_is_the_record(gill, tmp_path, capsys):
    assert main(["convert", *gill, "--allow-pickle", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["layout"] == "gill" and record == json.loads((tmp_path / "out" / "conversion.json").read_text())


def test_a_pickle_is_not_read_without_leave(gill, tmp_path, capsys):
    assert main(["convert", *gill]) == 1
    assert "is a pickle" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_help_names_the_layouts(capsys):
    assert main(["convert", "--help"]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert all(name in output for name in LAYOUTS)
