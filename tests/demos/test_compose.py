"""The tutorial on compositions runs as it is, from the first cell to the last."""

import runpy
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_cell_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = runpy.run_path(str(ROOT / "demos" / "compose.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert names["FOLDER"].parent == tmp_path and (names["FOLDER"] / "bell.png").is_file()
    assert (
        "2 2\n" in printed
        and "GenerationStep" in printed
        and printed.rstrip().splitlines()[-1].startswith("model_load_error")
    )
    assert not list((names["FOLDER"] / "composed" / "generators").rglob("*.safetensors"))
