"""A run goes on where it was interrupted, refuses other weights' records, and reports what it counted."""

import json

import pytest
import torch

from anygen.errors import AnyGenError
from anygen.evaluation.matrix import find_cells
from anygen.evaluation.report import make_rows, score, to_markdown
from anygen.evaluation.run import evaluate, fingerprint, measure
from anygen.pipeline import AnyGenPipeline


def test_an_interrupted_run_goes_on(tmp_path, oracle, judges):
    (cell,) = find_cells(["text -> audio, tones"])
    settings = {"scenes": 7, "batch_size": 3, "judges": judges}
    unbroken = measure(oracle, cell, "test", 0, out=tmp_path / "unbroken", **settings)
    asked = []

    def stops_in_the_second_batch(cell, requests, seeds):
        asked.append(len(requests))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return oracle(cell, requests, seeds)

    with pytest.raises(KeyboardInterrupt):
        measure(stops_in_the_second_batch, cell, "test", 0, out=tmp_path / "broken", **settings)
    (file,) = (tmp_path / "broken").rglob("*.jsonl")
    file.write_text(file.read_text() + '{"index": 3, "requ')  # a line that the interruption cut short
    assert measure(stops_in_the_second_batch, cell, "test", 0, out=tmp_path / "broken", **settings) == unbroken
    assert asked == [3, 3, 3, 1]
    assert [record["index"] for record in map(json.loads, file.read_text().splitlines())] == list(range(7))
    assert measure(stops_in_the_second_batch, cell, "test", 0, out=tmp_path / "broken", **settings) == unbroken
    assert len(asked) == 4, "a finished run asks nothing"


def test_replies_are_the_same_in_batches_of_any_size(tmp_path, oracle, judges):
    (cell,) = find_cells(["image -> text"])
    runs = [
        measure(oracle, cell, "held_out", 1, scenes=5, batch_size=size, out=tmp_path / str(size), judges=judges)
        for size in (1, 5)
    ]
    assert runs[0] == runs[1]


def test_rows_and_verdicts():
    (cell,) = find_cells(["audio -> image"])

    def records(*found):
        pairs = zip(("bell", "dog", "cat", "bee"), found, strict=True)
        return [{"expected": {"thing": name}, "found": {"thing": each}} for name, each in pairs]

    right, half = records("bell", "dog", "cat", "bee"), records("bell", "dog", "bee", "bird")
    none = records("", "", "", "")
    assert (score(right, "thing"), score(half, "thing"), score(none, "thing")) == (100, 50, 0)
    assert score(right, "thing", shift=1) == 0
    assert score(records("dog", "cat", "bee", "bell"), "thing", shift=1) == 100
    (row,) = make_rows(cell, {"test": [right, half, right], "held_out": [right]})
    assert row.scores == {"test": 100, "held_out": 100} and row.num_replies == 12 and row.verdict == "reached"
    assert make_rows(cell, {"test": [half]})[0].verdict == "missed"
    assert make_rows(cell, {"test": [right], "held_out": [half]})[0].verdict == "missed"  # too far behind test
    table = to_markdown([row], judges={"image": {"thing": 0.995}})
    assert "| audio -> image | thing | 92 / -8 | 100.0 | 100.0" in table and "thing 99.5" in table


def test_a_model_of_random_weights_scores_chance(tmp_path, toy_model, judges_folder, capsys):
    pipe = AnyGenPipeline(toy_model, name="toy")
    settings = {"scenes": 4, "seeds": (0,), "batch_size": 4, "out": tmp_path, "judges": judges_folder}
    rows = evaluate(pipe, cells=["text -> image", "image -> text"], image={"num_inference_steps": 1}, **settings)
    assert {(row.cell, row.attribute) for row in rows if row.bar} == {
        ("text -> image", attribute) for attribute in ("thing", "color", "background", "place")
    } | {("image -> text", attribute) for attribute in ("thing", "color", "background", "place")}
    assert sum(row.scores["test"] for row in rows) / len(rows) < 50
    assert (tmp_path / "results.md").read_text() in capsys.readouterr().out
    assert len(json.loads((tmp_path / "results.json").read_text())["rows"]) == len(rows)
    with pytest.raises(AnyGenError, match="other parameters"):
        evaluate(pipe, cells=["text -> image"], image={"num_inference_steps": 2}, **settings)


def test_a_fingerprint_is_of_the_weights():
    torch.manual_seed(0)
    first, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    assert fingerprint(first) != fingerprint(other)
    other.load_state_dict(first.state_dict())
    assert fingerprint(first) == fingerprint(other)
    assert fingerprint(first) != fingerprint(first.to(torch.float64))


def test_nano_edits_what_it_made_itself(tmp_path, judges_folder):
    """The second turn follows nano's own first reply: one attribute becomes what was asked for, both pictures are looked at."""
    cells = ["text -> image, edited"]
    rows = evaluate("nano", cells=cells, scenes=3, seeds=(0,), splits=("test",), out=tmp_path, judges=judges_folder)
    assert {row.attribute for row in rows} == {"edited", "kept"}
    (file,) = tmp_path.rglob("*.jsonl")
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert all(record["found"]["color"] and record["answer"].startswith("Here is") for record in records)
    assert not any("nothing was made" in record["expected"]["kept"] for record in records)
