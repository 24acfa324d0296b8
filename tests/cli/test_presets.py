"""`anygen presets`: what is listed, and that it says that nothing was run."""

import json

from anygen.cli import main
from anygen.presets import preset_names, read_preset


def test_the_list_names_every_preset_and_says_that_none_was_run(capsys):
    assert main(["presets"]) == 0
    output = capsys.readouterr().out
    assert all(name in output for name in preset_names()) and "not run here" in output


def test_one_preset_shows_hub_ids_revisions_licences_and_memory(capsys):
    assert main(["presets", "qwen3-24gb"]) == 0
    output = capsys.readouterr().out
    for expected in ("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "0fad780a534b", "main, unpinned", "sai-nc-community", "gated"):
        assert expected in output
    preset = read_preset("qwen3-24gb")
    assert f"{preset.memory_gb:.1f} GB" in output and f"float32 {preset.total_gb('float32'):.1f} GB" in output
    assert "not run here" in output


def test_json_holds_the_same(capsys):
    assert main(["presets", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)["presets"]
    assert [record["name"] for record in records] == preset_names()
    assert main(["presets", "pocket-8gb", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == next(each for each in records if each["name"] == "pocket-8gb")
    assert record["llm"]["source"] == "Qwen/Qwen3-0.6B" and "not run here" in record["status"]
    assert record["memory_gb"] == round(read_preset("pocket-8gb").memory_gb, 2)


def test_an_unknown_preset_is_status_1_and_names_the_known_ones(capsys):
    assert main(["presets", "magic"]) == 1
    assert "pocket-8gb" in capsys.readouterr().err
