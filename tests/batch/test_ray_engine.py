"""The same contract on a local Ray cluster: two actors, one of them killed in the middle."""

import os
import re
import sys

import pytest

from running import check_consistent, finish, kill, records, run, start, wait_for_records, write_lines

pytest.importorskip("ray")
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


def quick_ray(*arguments):
    """A run whose actors are no less urgent than this process: Ray would have them wait on a busy machine."""
    return start(*arguments, "--engine", "ray", env=os.environ | {"RAY_worker_niceness": "0"})


def test_two_actors_keep_the_contract(model, tmp_path):
    path = write_lines(tmp_path / "in.jsonl", [*items(3, steps=2), {"id": "bad", "text": None}])
    command = (path, "--out", tmp_path / "out", "--model", model, "--batch-size", "2", "--workers", "2")
    status, printed, said = finish(quick_ray(*command))
    assert status == 3 and "3 ok, 1 failed" in printed, said
    check_consistent(tmp_path / "out", num_items=4)
    assert [record["id"] for record in records(tmp_path / "out")] == ["0", "1", "2", "bad"]
    assert records(tmp_path / "out")[3]["error"]["code"] == "invalid_request"
    status, printed, _ = finish(quick_ray(*command))
    assert status == 3 and "(4 of them done before)" in printed  # and no cluster was started


@pytest.mark.slow
def test_one_of_two_actors_is_killed_and_nothing_is_lost(model, tmp_path):
    path = write_lines(tmp_path / "in.jsonl", items(16, steps=20))
    options = ("--model", model, "--batch-size", "2", "--workers", "2")
    before = actors()
    process = quick_ray(path, "--out", tmp_path / "ray", *options)
    wait_for_records(tmp_path / "ray", 3, process)
    mine = sorted(actors() - before)
    assert len(mine) == 2, mine
    kill(mine[0])
    status, printed, said = finish(process)
    assert status == 0 and "16 ok, 0 failed" in printed, said
    check_consistent(tmp_path / "ray", num_items=16)
    assert run(path, "--out", tmp_path / "local", *options)[0] == 0
    for ours, theirs in zip(records(tmp_path / "ray"), records(tmp_path / "local"), strict=True):
        assert {**ours, "parts": None} == {**theirs, "parts": None}
        assert [part.get("path") for part in ours["parts"]] == [part.get("path") for part in theirs["parts"]]
