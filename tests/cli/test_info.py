"""`anygen info`: the table, the record, and that neither loads a library."""

import json
import subprocess
import sys

import synthetic_checkpoints as synthetic

from anygen.cli import main

LIGHT = """
import sys
from anygen.cli import main
status = main(["info", "nano"])
heavy = {"torch", "transformers", "diffusers", "numpy", "safetensors", "yaml"} & set(sys.modules)
sys.exit(f"status {status}, loaded {heavy}" if status or heavy - {"yaml"} else 0)
"""


def test_nano_is_told_without_loading_a_library():
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "memory of the weights: float32 0.11 GB" in done.stdout and "int4" in done.stdout
    assert "encoder 128 -> input_projectors/image 128" in done.stdout and "MISMATCH" not in done.stdout


def test_a_published_checkpoint_with_a_mismatch_and_licences(tmp_path, capsys):
    synthetic.write_legacy(tmp_path)
    assert main(["info", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert "CC-BY-NC-SA 4.0" in output and "frozen, not in the files" in output
    source = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    assert f"MISMATCH: output_projector.image gives 10; {source} takes 768" in output
    assert main(["info", str(tmp_path), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["kind"] == "nextgpt-legacy"
    joint = next(j for j in record["joints"] if j["right"] == source)
    assert joint == {
        "left": "output_projector.image", "left_width": 10, "right": source, "right_width": 768, "fits": False
    }  # fmt: skip
    assert record["memory_gb"]["float32"] == round(4 * record["num_parameters"] / 1e9, 3)


def test_a_presets_name_shows_the_preset(capsys):
    assert main(["info", "pocket-8gb"]) == 0
    output = capsys.readouterr().out
    assert "Qwen/Qwen3-0.6B" in output and "not run here" in output
