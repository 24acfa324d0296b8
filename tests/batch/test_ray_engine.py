"""The same contract on a local Ray cluster: two actors, one of them killed in the middle."""

import os
import re
import sys

import pytest

from running import check_consistent, finish, kill, records, run, start, wait_for_records, write_lines

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux has them")
SHORT = {"max_new_tokens": 24}


def actors() -> set[int]:
    """The processes of Ray's that hold a pipeline."""
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline") as file:
                    found |= {int(entry)} if re.search(r"ray::.*ChunkActor", file.read()) else set()
            except OSError:
                continue
    return found


def items(num_items: int, *, steps: int) -> list[dict]:
    made = {"modalities": ["image"], "params": SHORT | {"image": {"num_inference_steps": steps}}}
    return [{"id": str(index), "text": f"a cat {index}", **made} for index in range(num_items)]


def test_two_actors_one_killed_and_the_folder_is_the_same(model, tmp_path):
    pytest.importorskip("ray")
    path = write_lines(tmp_path / "in.jsonl", [*items(16, steps=20), {"id": "bad", "text": None}])
    options = ("--model", model, "--batch-size", "2", "--workers", "2")
    before = actors()
    quick = os.environ | {"RAY_worker_niceness": "0"}  # no lower than this process, on a busy machine
    process = start(path, "--out", tmp_path / "ray", *options, "--engine", "ray", env=quick)
    wait_for_records(tmp_path / "ray", 3, process)
    mine = sorted(actors() - before)
    assert len(mine) == 2, mine
    kill(mine[0])
    status, printed, said = finish(process)
    assert status == 3 and "16 ok, 1 failed" in printed, said
    check_consistent(tmp_path / "ray", num_items=17)
    assert records(tmp_path / "ray")[16]["error"]["code"] == "invalid_request"

    status, printed, _ = run(path, "--out", tmp_path / "ray", *options, "--engine", "ray")
    assert status == 3 and "(17 of them done before)" in printed  # and no cluster was started
    assert run(path, "--out", tmp_path / "local", *options)[0] == 3
    for ours, theirs in zip(records(tmp_path / "ray"), records(tmp_path / "local"), strict=True):
        assert {**ours, "parts": None} == {**theirs, "parts": None}
        assert [part.get("path") for part in ours["parts"]] == [part.get("path") for part in theirs["parts"]]
