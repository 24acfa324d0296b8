"""README.md is true: its commands run, its Python runs, its tree is the tree, and the files it names exist."""

import re
import shlex
from pathlib import Path

import pytest

from anygen.cli import main
from anygen.records import read_records

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def test_the_two_commands_are_there_as_ci_reads_them():
    first, second = blocks("bash")
    assert first.strip() == (
        'pip install -e . && anygen generate "a large red bell on grass" --to image,video,audio --out out'
    )
    assert second.strip() == 'pip install -e ".[test]" && pytest'


def test_the_first_command_makes_a_picture_a_film_and_a_sound(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, command = blocks("bash")[0].split(" && ")
    program, *arguments = shlex.split(command)
    assert program == "anygen" and main(arguments) == 0
    (record,) = read_records(tmp_path / "out")
    assert [part["type"] for part in record["parts"] if part["type"] != "text"] == ["image", "video", "audio"]
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".jsonl", ".mp4", ".png", ".wav"]


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs_as_it_is_printed(code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert "video" in capsys.readouterr().out


def tree_paths() -> set[str]:
    """The paths that the tree lists; a line may list several files of one folder."""
    (tree,) = blocks("text")
    paths, folders = set(), []
    for line in tree.splitlines():
        names = re.split("  +", line.strip())[0].split(", ")
        depth = (len(line) - len(line.lstrip())) // 4
        folders[depth:] = [names[0].rstrip("/")]
        paths |= {"/".join([*folders[:depth], name.rstrip("/")]) for name in names}
    return paths


def test_every_file_is_in_the_tree_and_nothing_else_is():
    listed = tree_paths()
    missing = sorted(path for path in listed if not (ROOT / path).exists())
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "anygen").rglob("*.py") if path.name != "__init__.py"}
    assert not missing and not files - listed, f"listed but not there: {missing}; not listed: {sorted(files - listed)}"


def test_links_and_named_files_exist():
    named = set(re.findall(r"`([\w./]+\.(?:py|md|svg|png|toml))`", README)) | set(re.findall(r"\]\(([^)#:]+)\)", README))
    assert named and not [name for name in named if not (ROOT / name).exists()]
