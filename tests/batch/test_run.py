"""`anygen batch` whole, over a toy model: what every stop leaves, and that going on ends with the same bytes."""

import json
import random
import re
import resource
import signal
import subprocess
import sys

import pytest
from PIL import Image

from anygen.cli import main
from anygen.media.save import read_provenance
from running import (
    check_consistent,
    children,
    finish,
    kill,
    records,
    run,
    snapshot,
    start,
    wait_for_records,
    write_lines,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes and sets limits as Linux has them")

SHORT = {"max_new_tokens": 24}
NUM_ITEMS = 21


def request(index: int) -> dict:
    """One of a mix of requests, some of which cannot be answered."""
    id, kind = f"item {index}", index % 7
    if kind == 0:
        return {"id": id, "text": f"a bell {index}", "modalities": ["text"], "params": SHORT}
    if kind == 5:
        shown = [{"type": "image", "image": "p.png"}, {"type": "text", "text": "and now?"}]
        return {"id": id, "messages": [{"role": "user", "content": shown}], "modalities": ["image"], "params": SHORT}
    if kind == 6:
        broken = {"image": {"num_inference_steps": -1}} if index % 2 else {}
        shown = [{"type": "image", "image": "nowhere.png"}]
        return {"id": id, "messages": [{"role": "user", "content": shown}], "params": broken}
    modality = ["image", "audio", "video"][kind % 3]
    params = SHORT | {modality: {"num_inference_steps": 10}}
    return {"id": id, "text": f"a cat {index}", "modalities": [modality], "params": params}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("input")
    Image.new("RGB", (20, 30), "blue").save(folder / "p.png")
    path = write_lines(folder / "in.jsonl", [request(index) for index in range(NUM_ITEMS)])
    with open(path, "a") as file:
        file.write('{"id": "cut')
    return path


@pytest.fixture(scope="module")
def options(model) -> tuple:
    return ("--model", model, "--batch-size", "3", "--seed", "7")


@pytest.fixture(scope="module")
def unbroken(source, options, tmp_path_factory):
    """A run that nothing stops."""
    out = tmp_path_factory.mktemp("unbroken") / "out"
    status, printed, said = run(source, "--out", out, *options)
    assert status == 3 and said == "" and f"{NUM_ITEMS + 1} items: 18 ok, 4 failed, 0 skipped" in printed
    return out


def test_records_are_in_order_and_say_everything(unbroken, source):
    check_consistent(unbroken, num_items=NUM_ITEMS + 1)
    found = records(unbroken)
    assert [record["id"] for record in found] == [f"item {index}" for index in range(NUM_ITEMS)] + [f"line-{NUM_ITEMS + 1}"]
    codes = {record["id"]: record["error"]["code"] for record in found if record["error"]}
    unreadable = {f"item {index}": "path_not_allowed" for index in (6, 13, 20)}
    assert codes == unreadable | {f"line-{NUM_ITEMS + 1}": "bad_line"}
    assert len({record["fingerprint"] for record in found}) == 1 and len({record["seed"] for record in found}) == len(found)
    for record in found:
        kinds = [part["type"] for part in record["parts"] if part["type"] != "text"]
        asked = next((request(i).get("modalities") for i in range(NUM_ITEMS) if f"item {i}" == record["id"]), None)
        assert record["error"] or kinds == [kind for kind in asked if kind != "text"]
        assert str(source.parent) not in json.dumps(record)


def test_files_say_how_they_were_made(unbroken):
    for record in records(unbroken):
        for part in record["parts"]:
            if "path" in part:
                told = read_provenance(unbroken / part["path"])
                assert told["seed"] == record["seed"] and told["version"] == record["version"]
                assert told["prompt"] in ("and now?", record["id"].replace("item", "a cat")) and told["model"] == record["model"]


def disk_of(num_bytes: int):
    """For `preexec_fn`: no file may grow beyond this, as on a disk that is full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))


def test_whatever_stops_a_run_the_same_command_ends_with_the_same_bytes(unbroken, source, options, tmp_path):
    out = tmp_path / "out"
    command = (source, "--out", out, *options)

    status, _, said = run(*command, preexec_fn=disk_of(1500))
    assert status == 1 and "storage_error" in said and "Traceback" not in said
    assert all(json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()[:-1])

    process = start(*command)
    wait_for_records(out, 1, process)
    process.send_signal(signal.SIGTERM)
    status, _, said = finish(process)
    assert status == 130 and said == ""

    process = start(*command)
    wait_for_records(out, 1, process)
    kill(process.pid)
    finish(process)
    with open(out / "results.jsonl", "ab") as file:
        file.write(b'{"id": "item 9", "sta')

    process = start(*command)
    wait_for_records(out, 1, process)
    workers = [pid for pid, line in children(process.pid).items() if "spawn_main" in line]
    kill(min(workers))  # the model's is the first
    status, printed, said = finish(process)
    assert status == 3 and said == "" and "18 ok, 4 failed" in printed
    assert "anygen-model-0 ended with -9" in (out / "run.log").read_text()
    check_consistent(out, num_items=NUM_ITEMS + 1)
    assert snapshot(out) == snapshot(unbroken)


def test_nothing_is_done_twice_and_another_run_is_refused(unbroken, source, options, tmp_path, capsys):
    before = snapshot(unbroken)
    assert main(["batch", str(source), "--out", str(unbroken), *options]) == 3
    assert f"({NUM_ITEMS + 1} of them done before)" in capsys.readouterr().out
    assert main(["batch", str(source), "--out", str(unbroken), *options, "--steps", "3"]) == 2
    said = capsys.readouterr().err
    assert "run_mismatch" in said and "num_inference_steps" in said and "--force" in said
    changed = write_lines(tmp_path / "in.jsonl", [request(0) | {"text": "something else"}])
    assert main(["batch", str(changed), "--out", str(unbroken), *options]) == 2
    assert "ask for something else" in capsys.readouterr().err
    assert snapshot(unbroken) == before


def test_failed_items_are_done_again_when_asked_and_a_limit_is_gone_on_from(source, options, tmp_path):
    first = {"id": "a", "text": "a bell", "modalities": ["text"], "params": SHORT}
    shown = [{"role": "user", "content": [{"type": "image", "image": "late.png"}]}]
    items = [{"id": "late", "messages": shown, "modalities": ["image"], "params": SHORT}, first]
    path, out = write_lines(tmp_path / "in.jsonl", items), tmp_path / "out"
    command = (path, "--out", out, *options)
    assert run(*command, "--limit", "1", "--no-provenance")[0] == 3
    assert [record["id"] for record in records(out)] == ["late"]
    Image.new("RGB", (9, 9), "red").save(tmp_path / "late.png")
    status, printed, _ = run(*command, "--retry-failed", "--no-provenance")
    assert status == 0 and "2 items: 2 ok" in printed
    assert [record["id"] for record in records(out)] == ["late", "a"]
    check_consistent(out, num_items=2)
    (picture,) = (out / "media").rglob("*.png")
    assert read_provenance(picture) is None


@pytest.mark.parametrize(
    ("lines", "arguments", "expected"),
    [
        (['{"id": "a", "text": "x"}', '{"id": "a", "text": "y"}'], (), "duplicate_id: line 2.*'a'.*line 1"),
        (['{"id": "row"}', '{"id": "line-1", "text": "y"}'], ("--limit", "0"), "limit: found 0"),
        ([], (), "holds no item"),
        (['{"text": "x"}'], ("--batch-size", "0"), "batch_size"),
        (['{"text": "x"}'], ("--engine", "spark"), "local or ray"),
        (['{"text": "x"}'], ("--to", "smell"), "smell"),
    ],
)
def test_wrong_usage_is_status_2_before_anything_is_loaded(lines, arguments, expected, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    assert main(["batch", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out"), "--model", "none", *arguments]) == 2
    printed, said = capsys.readouterr()
    assert re.search(expected, said) and printed == "" and not (tmp_path / "out").exists()


def test_standard_input_and_a_model_that_is_not_there(tmp_path):
    process = start("-", "--out", tmp_path / "out", "--model", tmp_path / "none", stdin=subprocess.PIPE)
    printed, said = process.communicate('{"id": "a", "text": "x"}\n', timeout=60)
    assert process.returncode == 1 and "found no folder" in said and "Traceback" not in said and not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def unbroken_by_two(source, options, tmp_path_factory):
    """The same by two workers, which take fewer threads each, so that sums may differ in their last bits."""
    out = tmp_path_factory.mktemp("unbroken_by_two") / "out"
    assert run(source, "--out", out, *options, "--workers", "2")[0] == 3
    return out


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kills_at_random_moments(unbroken_by_two, source, options, tmp_path, seed):
    """Run after run is killed after a random time, until one gets to the end; with two workers."""
    rng = random.Random(seed)
    out, status, number = tmp_path / "out", None, 0
    while status is None:
        process = start(source, "--out", out, *options, "--workers", "2")
        try:
            status = process.wait(timeout=rng.uniform(3, 9) + 3 * number)
        except subprocess.TimeoutExpired:
            number += 1
            kill(process.pid)
        finish(process)
    assert status == 3 and number > 0
    check_consistent(out, num_items=NUM_ITEMS + 1)
    assert [r["id"] for r in records(out)] == [r["id"] for r in records(unbroken_by_two)]
    assert snapshot(out) == snapshot(unbroken_by_two)


def test_an_item_that_asks_for_far_more_than_the_model_makes_fails_alone(model, tmp_path):
    few = {"num_inference_steps": 1}
    sizes = {"small": {}, "large": {"height": 128, "width": 128}}
    path = write_lines(
        tmp_path / "in.jsonl",
        [{"id": id, "text": "a cat", "modalities": ["image"], "params": SHORT | {"image": few | size}} for id, size in sizes.items()],
    )
    options = [str(path), "--out", str(tmp_path / "out"), "--model", model]
    assert main(["batch", *options]) == 3
    small, large = records(tmp_path / "out")
    assert small["status"] == "ok" and large["error"]["code"] == "invalid_parameter"
    assert large["error"]["expected"] == "at most 16 times as much as height 16, width 16"
    assert main(["batch", *options, "--retry-failed", "--max-enlargement", "64"]) == 0
    assert [record["status"] for record in records(tmp_path / "out")] == ["ok", "ok"]
