"""A batch from beginning to end: what is asked, what is missing, who answers it, and where the records go.

    1 the input is read once: every id known, duplicates refused    before anything is loaded
    2 the folder is opened: locked, the same run as before          or refused with the difference
    3 the input is read again, in chunks; those that miss an item go to the engine
    4 each item that ends becomes a record at once
    5 the records are put in the order of the input
Killed at any moment, the same command goes on from there, and ends with the same bytes.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

from anygen.batch.fingerprint import model_digest, run_fingerprint
from anygen.batch.folder import LOG, BatchRecord, RunFolder, open_folder
from anygen.batch.inputs import BatchInput
from anygen.batch.items import BatchItem
from anygen.batch.processes import LogFile
from anygen.batch.work import Answered, Chunk, EngineSettings
from anygen.errors import AnyGenError
from anygen.parameters import MAX_ENLARGEMENT

ENGINES = ("local", "ray")

log = logging.getLogger(__name__)

OnProgress = Callable[[str, int, int], None]
"""Called with (status of an item that ended, items that are done, items in all)."""


@dataclass(frozen=True, kw_only=True)
class BatchRun:
    """Everything that one run is told."""

    input: BatchInput
    out: Path
    model: str = "nano"
    seed: int = 0
    batch_size: int = 8
    """Items that go through the model together; part of the fingerprint, for the last bits depend on it."""
    workers: int = 1
    """Processes, or actors, that hold the model. They share the cores, and the number of torch's threads moves the last
    bits of a result: going on with another number ends with results that are as good, but not with the same bytes."""
    engine: Literal["local", "ray"] = "local"
    limit: int | None = None
    """Only the first items of the input."""
    has_provenance: bool = True
    max_enlargement: float = MAX_ENLARGEMENT
    """How many times as large as the model's own a medium may be that an item asks for; items beyond it fail."""
    retries_failed: bool = False
    """Do again what failed before."""
    is_forced: bool = False
    """Move the results of another run aside, where the folder holds some."""

    def __post_init__(self):
        for name in ("batch_size", "workers", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise AnyGenError("invalid_parameter", f"{name}: found {value}; expected at least 1")
        if not self.max_enlargement > 0:
            detail = f"max_enlargement: found {self.max_enlargement}; expected more than 0"
            raise AnyGenError("invalid_parameter", detail)
        if self.engine not in ENGINES:
            raise AnyGenError("invalid_parameter", f"engine: found {self.engine!r}; expected {' or '.join(ENGINES)}")

    @property
    def settings(self) -> EngineSettings:
        """What the engine is told."""
        return EngineSettings(
            model=self.model,
            seed=self.seed,
            batch_size=self.batch_size,
            workers=self.workers,
            folder=self.out,
            has_provenance=self.has_provenance,
            max_enlargement=self.max_enlargement,
        )

    @property
    def parameters(self) -> dict:
        """The part of the fingerprint that the user sets."""
        given = self.input
        return {
            "seed": self.seed,
            "batch_size": self.batch_size,
            "modalities": given.modalities,
            "params": given.params,
            "instruction": given.instruction,
            "provenance": self.has_provenance,
        }

    def items(self) -> Iterator[tuple[str, BatchItem]]:
        """The items of the run with their places."""
        return islice(self.input.items(), self.limit)


@dataclass(kw_only=True)
class Summary:
    """What a run did."""

    num_items: int
    num_before: int = 0
    """Done by earlier runs."""
    counts: Counter[str] = field(default_factory=Counter)
    """Records in the folder by status."""


def run_batch(run: BatchRun, *, on_progress: OnProgress | None = None) -> Summary:
    """Answer all that is missing.

    Raises `duplicate_id`, `invalid_request` and `invalid_parameter` before anything is written; `folder_in_use`,
    `run_mismatch`, `storage_error`, `bad_line`, `worker_died` and the errors of loading a model.
    """
    order, asked = read_ids(run)
    fingerprint = run_fingerprint(run.model, run.parameters)
    with open_folder(run.out, fingerprint, is_forced=run.is_forced) as folder, logging_to(run.out / LOG):
        if run.retries_failed:
            folder.drop(lambda name, record: record["status"] == "failed" and name in order)
        check_requests(folder, asked)
        summary = Summary(num_items=len(order), num_before=sum(name in folder.done for name in order))
        with closing(answers(run, folder)) as ended:
            for num_done, answered in enumerate(ended, start=summary.num_before + 1):
                record = record_of(answered, run, model_digest(fingerprint))
                folder.append(record, answered.item.name)
                if on_progress:
                    on_progress(record.status, num_done, len(order))
        folder.put_in_order(order)
        summary.counts = Counter(folder.done[name][0] for name in order)
    return summary


def read_ids(run: BatchRun) -> tuple[dict[str, int], dict[str, str]]:
    """The name of each id -> its place in the input, and -> the digest of what is asked.

    Raises `duplicate_id`, naming both places: names are hashes, so ids that differ in case are different.
    """
    places: dict[str, str] = {}
    asked: dict[str, str] = {}
    for where, item in run.items():
        if item.name in places:
            detail = f"{where}: the id {item.id[:80]!r} was that of {places[item.name]}; give every item an id of its own"
            raise AnyGenError("duplicate_id", detail, where=where)
        places[item.name], asked[item.name] = where, item.request
    if not places:
        raise AnyGenError("invalid_request", f"INPUT: {run.input.source} holds no item")
    return {name: index for index, name in enumerate(places)}, asked


def check_requests(folder: RunFolder, asked: dict[str, str]) -> None:
    """Refuse to go on where what is asked under an id is no longer what was answered."""
    changed = [name for name, (_, request) in folder.done.items() if asked.get(name, request) != request]
    if changed:
        detail = f"{len(changed)} items that are done ask for something else now, the first one's files begin with"
        hint = "name another folder, or keep both with --force, or give changed items new ids"
        raise AnyGenError("run_mismatch", f"{detail} {changed[0]}; {hint}")


def answers(run: BatchRun, folder: RunFolder) -> Iterator[Answered]:
    """What becomes of every item that has no record: those that cannot be asked first, then as the engine ends them."""
    for _, item in run.items():
        if item.problem is not None and item.name not in folder.done:
            yield Answered(item=item, outcome=item.problem)
    if next(chunks(run, folder), None) is None:
        return
    if run.engine == "ray":
        from anygen.batch.ray_engine import RayEngine as Engine
    else:
        from anygen.batch.local import LocalEngine as Engine
    with closing(Engine(run.settings).run(chunks(run, folder))) as ended:
        yield from ended


def chunks(run: BatchRun, folder: RunFolder) -> Iterator[Chunk]:
    """The input in chunks of `batch_size`, those left out of which nothing is missing.

    What is missing is decided when a chunk is asked for, and no item is in two chunks.
    """
    items = (item for _, item in run.items())
    while chunk := list(islice(items, run.batch_size)):
        good = [item for item in chunk if item.problem is None]
        wanted = frozenset(item.name for item in good if item.name not in folder.done)
        if wanted:
            yield Chunk(items=good, wanted=wanted)


def record_of(answered: Answered, run: BatchRun, fingerprint: str) -> BatchRecord:
    """The record of an item that ended."""
    item, outcome = answered.item, answered.outcome
    known = {"id": item.id, "model": run.model, "fingerprint": fingerprint, "request": item.request}
    try:
        known["seed"] = int(item.seed(run.seed))
    except (TypeError, ValueError):  # no number; the item has failed for that
        known["seed"] = run.seed
    if isinstance(outcome, AnyGenError):
        log.info("%s (%s): %s", item.name, ascii(item.id[:80]), outcome)
        return BatchRecord(**known, status="skipped" if item.is_skipped else "failed", error=outcome.public())
    return BatchRecord(**known, status="ok", **asdict(outcome))


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Add what this package logs to a file while the block runs."""
    try:
        handler = LogFile(path)
    except OSError as error:
        raise AnyGenError("storage_error", f"{path}: {error.strerror}") from error
    logger = logging.getLogger("anygen")
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()
