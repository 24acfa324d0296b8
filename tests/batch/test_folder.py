"""The results folder: one writer, whole records, order, and what crashes, full disks and other runs leave."""

import json
import subprocess
import sys

import pytest

from anygen.batch.folder import BatchRecord, RunFolder, open_folder
from anygen.batch.items import BatchItem
from anygen.errors import AnyGenError

RUN = {"model": {"name": "nano", "sha256": "aa"}, "parameters": {"seed": 0}}


def record(id: str, **given) -> BatchRecord:
    return BatchRecord(**{"id": id, "status": "ok", "model": "nano", "seed": 0, "fingerprint": "f", "request": "r"} | given)


def name(id: str) -> str:
    return BatchItem(id=id).name


def fill(path, ids, **settings) -> None:
    with open_folder(path, RUN, **settings) as folder:
        for id in ids:
            folder.append(record(id), name(id))


def ids(path) -> list[str]:
    return [json.loads(line)["id"] for line in (path / "results.jsonl").read_text().splitlines()]


def test_records_survive_and_are_known_again(tmp_path):
    fill(tmp_path / "new" / "folder", ["a", "\ud800 \0"])
    with open_folder(tmp_path / "new" / "folder", RUN) as folder:
        assert folder.done == {name("a"): ("ok", "r"), name("\ud800 \0"): ("ok", "r")}


@pytest.mark.parametrize("torn", [b'{"id": "b", "status": "o', b'{"id": "b"}', b"\0" * 200_000, b"x" * 200_000])
def test_a_torn_line_is_dropped(tmp_path, torn):
    fill(tmp_path, ["a"])
    with open(tmp_path / "results.jsonl", "ab") as file:
        file.write(torn)
    fill(tmp_path, ["c"])
    assert ids(tmp_path) == ["a", "c"]
    (tmp_path / "results.jsonl").write_bytes(torn)
    fill(tmp_path, ["d"])
    assert ids(tmp_path) == ["d"]


def test_a_whole_line_that_is_damaged_is_named(tmp_path):
    fill(tmp_path, ["a"])
    with open(tmp_path / "results.jsonl", "ab") as file:
        file.write(b"[]\n")
    with pytest.raises(AnyGenError, match="results.jsonl, line 2") as raised:
        fill(tmp_path, [])
    assert raised.value.code == "bad_line"


def test_half_written_files_are_removed(tmp_path):
    fill(tmp_path, ["a"])
    leftover = tmp_path / "media" / "3f" / ".0123.part"
    leftover.parent.mkdir(parents=True)
    for path in (leftover, tmp_path / ".results.part"):
        path.write_text("half")
    fill(tmp_path, [])
    assert not leftover.exists() and not (tmp_path / ".results.part").exists()


def test_two_runs_at_once_are_refused(tmp_path):
    code = f"""
import sys
from pathlib import Path
from anygen.batch.folder import open_folder
with open_folder(Path({str(tmp_path)!r}), {RUN!r}):
    print("open", flush=True)
    sys.stdin.read()
"""
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "open\n"
    with pytest.raises(AnyGenError) as raised:
        fill(tmp_path, ["a"])
    assert raised.value.code == "folder_in_use"
    other.kill()  # which frees the lock
    other.communicate()
    fill(tmp_path, ["a"])


def test_another_run_is_refused_with_the_difference_and_kept_by_force(tmp_path):
    fill(tmp_path, ["a"])
    (tmp_path / "media").mkdir()
    other = {"model": {"name": "nano", "sha256": "bb"}, "parameters": {"seed": 0}}
    expected = "model.sha256: found 'bb', expected 'aa'.*--force"
    with pytest.raises(AnyGenError, match=expected) as raised, open_folder(tmp_path, other):
        pass
    assert raised.value.code == "run_mismatch" and ids(tmp_path) == ["a"]
    for number in (1, 2):
        with open_folder(tmp_path, other, is_forced=True) as folder:
            assert folder.done == {}
            folder.append(record("b"), name("b"))
        assert ids(tmp_path / f"earlier-{number}") == [["a"], ["b"]][number - 1] and ids(tmp_path) == ["b"]
        other = RUN | {"parameters": {"seed": number}}
    with open_folder(tmp_path, RUN | {"parameters": {"seed": 1}}, is_forced=True) as folder:
        assert list(folder.done) == [name("b")]  # the same run: nothing to move


def test_results_without_a_run_are_not_added_to(tmp_path):
    (tmp_path / "results.jsonl").write_text('{"id": "of generate", "status": "ok"}\n')
    with pytest.raises(AnyGenError, match="run_mismatch"):
        fill(tmp_path, ["a"])
    fill(tmp_path, ["a"], is_forced=True)
    assert ids(tmp_path / "earlier-1") == ["of generate"]


def test_order_and_dropping(tmp_path):
    with open_folder(tmp_path, RUN) as folder:
        for id in "dbac":
            folder.append(record(id, status="failed" if id == "b" else "ok"), name(id))
        folder.put_in_order({name(id): place for place, id in enumerate("abc")})
        assert ids(tmp_path) == ["a", "b", "c", "d"]
        before = (tmp_path / "results.jsonl").stat().st_ino
        folder.put_in_order({name(id): place for place, id in enumerate("abc")})
        assert (tmp_path / "results.jsonl").stat().st_ino == before  # nothing to do, nothing done
        folder.drop(lambda _, record: record["status"] == "failed")
        folder.append(record("e"), name("e"))
    assert ids(tmp_path) == ["a", "c", "d", "e"]


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a full disk")
def test_a_full_disk_is_a_storage_error(tmp_path):
    with open("/dev/full", "r+b", buffering=0) as full:
        folder = RunFolder(tmp_path, full)
        with pytest.raises(AnyGenError, match="No space left") as raised:
            folder.append(record("a"), name("a"))
    assert raised.value.code == "storage_error" and folder.done == {}


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AnyGenError) as raised:
        fill(tmp_path / "file", ["a"])
    assert raised.value.code == "storage_error"


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit on the size of files")
def test_a_disk_that_fills_up_within_a_record_leaves_whole_records(tmp_path):
    code = f"""
import resource
from pathlib import Path
from anygen.batch.folder import BatchRecord, open_folder
from anygen.batch.items import BatchItem
from anygen.errors import AnyGenError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with open_folder(Path({str(tmp_path)!r}), {RUN!r}) as folder:
        for id in "abcdefgh":
            record = BatchRecord(id=id, status="ok", model="nano", seed=0, fingerprint="f", request="r")
            folder.append(record, BatchItem(id=id).name)
except AnyGenError as error:
    print(error.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("storage_error\n", "")
    assert (tmp_path / "results.jsonl").read_bytes().endswith(b"\n") and len(ids(tmp_path)) > 1
    found = len(ids(tmp_path))
    fill(tmp_path, "abcdefgh"[found:])
    assert ids(tmp_path) == list("abcdefgh")
