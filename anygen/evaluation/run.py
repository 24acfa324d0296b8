"""`evaluate`: asks nano every request of the matrix, scores the replies, writes the table.

Requests (`matrix.py`) -> pipeline, in batches -> observations (`observe.py`) -> one line of JSON per reply -> table
(`report.py`). The folder `out` then holds

    settings.json                                  what was measured: weights, version, pipeline parameters
    records/<cell>/<split>-seed<seed>.jsonl        {"index", "request", "expected", "found", "answer", "seed"} per reply
    results.json, results.md                       the table

and the same call goes on where it was interrupted, reply by reply.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import anygen
from anygen.errors import AnyGenError
from anygen.evaluation.judge_training import SHIPPED_JUDGES, prepare_judges
from anygen.evaluation.judges import Judges
from anygen.evaluation.matrix import Cell, Request, find_cells, make_request, score_edit
from anygen.evaluation.observe import observe
from anygen.evaluation.report import Record, Row, make_rows, to_markdown
from anygen.outputs import AnyGenOutput
from anygen.pipeline import AnyGenPipeline

logger = logging.getLogger(__name__)

Responder = Callable[[Cell, list[Request], list[int]], list[list[AnyGenOutput]]]
"""(cell, requests, one seed each) -> for each, in the same order, the replies to all of the user's turns."""


def evaluate(
    model: str | AnyGenPipeline = "nano",
    *,
    scenes: int = 200,
    seeds: Sequence[int] = (0, 1, 2),
    splits: Sequence[str] = ("test", "held_out"),
    cells: Sequence[str] | None = None,
    batch_size: int = 20,
    out: str | os.PathLike = "eval",
    judges: str | os.PathLike | None = None,
    **parameters: Any,
) -> list[Row]:
    """Measure a model on the any-to-any matrix and print the table.

    Args:
        model: a name, folder or hub id for `AnyGenPipeline.from_pretrained`, or a pipeline.
        scenes: requests of each cell, split and seed.
        seeds: of requests and replies; a figure is the median over them.
        splits: "test" (seen pairs, fresh scenes) and "held_out" (a pair never trained).
        cells: names of `matrix.CELLS`; None for all.
        batch_size: requests that the pipeline answers at once.
        out: folder of records and tables; a finished record is not made again.
        judges: folder of judges, trained there (minutes) where they are missing; None for those of the package.
        parameters: of the pipeline, such as `image={"num_inference_steps": 20}`.

    Raises:
        ValueError: an unknown cell or split.
        AnyGenError: `invalid_parameter` where `out` holds records of other weights or parameters.
    """
    chosen = find_cells(cells)
    pipe = model if isinstance(model, AnyGenPipeline) else AnyGenPipeline.from_pretrained(model)
    _check_settings(Path(out), pipe, parameters)

    def respond(cell: Cell, requests: list[Request], reply_seeds: list[int]) -> list[list[AnyGenOutput]]:
        conversations, replies = [[] for _ in requests], [[] for _ in requests]
        for contents in zip(*(request.turns for request in requests), strict=True):
            for conversation, content in zip(conversations, contents, strict=True):
                conversation.append({"role": "user", "content": list(content)})
            made = pipe(conversations, modalities=cell.modalities, seed=reply_seeds, **(parameters | dict(cell.parameters)))
            for conversation, said, output in zip(conversations, replies, made, strict=True):
                conversation.append(output.message)
                said.append(output)
        return replies

    trusted = prepare_judges(SHIPPED_JUDGES if judges is None else judges)
    rows = []
    for cell in chosen:
        asked = [split for split in splits if split == "test" or cell.pairs]
        records = {
            split: [
                measure(respond, cell, split, seed, scenes=scenes, batch_size=batch_size, out=out, judges=trusted)
                for seed in seeds
            ]
            for split in asked
        }
        rows += make_rows(cell, records) if records else []
        _write_tables(Path(out), rows, trusted)
    print(to_markdown(rows, judges=trusted.accuracy))
    return rows


def measure(
    respond: Responder,
    cell: Cell,
    split: str,
    seed: int,
    *,
    scenes: int,
    batch_size: int,
    out: str | os.PathLike,
    judges: Judges,
) -> list[Record]:
    """The records of one cell, split and seed: those in the file, and after them those still missing."""
    file = Path(out) / "records" / _slug(cell.name) / f"{split}-seed{seed}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    records = _read_records(file)
    while len(records) < scenes:
        started = time.perf_counter()
        indices = range(len(records), min(len(records) + batch_size, scenes))
        requests = [make_request(cell, split, seed, index) for index in indices]
        reply_seeds = [_reply_seed(cell, split, seed, index) for index in indices]
        replies = respond(cell, requests, reply_seeds)
        made = [
            {
                "index": index,
                "request": request.words,
                "expected": expected,
                "found": found,
                "answer": said[-1].text,
                "seed": reply_seed,
            }
            for index, request, (expected, found), said, reply_seed in zip(
                indices, requests, compare(cell, requests, replies, judges), replies, reply_seeds, strict=True
            )
        ]
        with file.open("a", encoding="utf-8") as lines:
            lines.writelines(json.dumps(record) + "\n" for record in made)
        records += made
        seconds = (time.perf_counter() - started) / len(made)
        logger.info("%s, %s, seed %d: %d of %d, %.2f s a reply", cell.name, split, seed, len(records), scenes, seconds)
    return records[:scenes]


def compare(
    cell: Cell, requests: Sequence[Request], replies: Sequence[Sequence[AnyGenOutput]], judges: Judges
) -> list[tuple[dict[str, str], dict[str, str]]]:
    """What is expected of each last reply, and what is found in it."""
    found = observe([said[-1] for said in replies], cell.reply, judges)
    if not cell.edits:
        return [(request.expected, seen) for request, seen in zip(requests, found, strict=True)]
    before = observe([said[0] for said in replies], cell.reply, judges)
    return [score_edit(cell, *each) for each in zip(requests, before, found, strict=True)]


def _read_records(file: Path) -> list[Record]:
    """The whole lines of a file; what an interruption left of one more is cut off."""
    if not file.exists():
        return []
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        file.write_text(whole, encoding="utf-8")
    return [json.loads(line) for line in whole.splitlines()]


def _check_settings(out: Path, pipe: AnyGenPipeline, parameters: dict[str, Any]) -> None:
    """Write what is measured, or refuse a folder in which something else was."""
    settings = {"weights": fingerprint(pipe.model), "version": anygen.__version__, "parameters": parameters}
    file = out / "settings.json"
    if file.exists():
        found = json.loads(file.read_text(encoding="utf-8"))
        if found != settings:
            different = ", ".join(name for name in settings if found.get(name) != settings[name])
            raise AnyGenError(
                "invalid_parameter",
                f"{out} holds replies made with other {different}; choose another folder, or empty this one",
            )
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def fingerprint(model: torch.nn.Module) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of all weights, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]


def _write_tables(out: Path, rows: list[Row], judges: Judges) -> None:
    results = {"rows": [asdict(row) | {"verdict": row.verdict} for row in rows], "judges": judges.accuracy}
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (out / "results.md").write_text(to_markdown(rows, judges=judges.accuracy), encoding="utf-8")


def _reply_seed(cell: Cell, split: str, seed: int, index: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{cell.name} {split} {seed} {index}".encode()).digest()[:4], "big")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z]+", "-", name).strip("-")
