"""The folder that a run writes: one record an id, whatever happens, and never two runs at once.

    run.json         what the results depend on (see `fingerprint.py`)
    results.jsonl    one record an id, appended and synced as items end; in the order of the input once the run is done
    media/3f/        3f0c..._1.png: a hash of the id, the place in the reply
    run.log          details of failures and timings, for people
    run.lock         held while a run writes

A record is appended only after its media are in place and synced, so what a record names exists. What a run that was
killed leaves besides whole records (a torn line, a hidden `.part` file, media without a record) is dropped or written
anew by the next one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

from anygen.batch.fingerprint import differences
from anygen.batch.items import BatchItem
from anygen.errors import AnyGenError
from anygen.records import RESULTS, Record

RUN, LOCK, LOG, MEDIA = "run.json", "run.lock", "run.log", "media"


@dataclass(frozen=True, kw_only=True)
class BatchRecord(Record):
    """One line of a run's `results.jsonl`.

    `timings` are empty, so that the same run gives the same bytes; they are in `run.log`. `parts` that are files have
    their `sha256`. `status` may also be "skipped", with the reason as `error`.
    """

    fingerprint: str
    """Of the model: 16 digits of a hash of its files."""
    request: str
    """Digest of what was asked under this id."""


class RunFolder:
    """A folder that is open for one run; made by `open_folder`."""

    def __init__(self, path: Path, results: RawIOBase):
        self.path, self.results = path, results
        self.done: dict[str, tuple[str, str]] = {}
        """name of an id -> (status, digest of the request)"""

    def append(self, record: BatchRecord, name: str) -> None:
        """Add a record and wait until it is on disk. Raises `storage_error`; then the file ends as it did before."""
        end, line = self.results.seek(0, os.SEEK_END), record.to_json().encode() + b"\n"
        try:
            while line:  # a full disk may take a part
                line = line[self.results.write(line) :]
            sync(self.results)
        except OSError as error:
            with suppress(OSError):
                self.results.truncate(end)
            raise _storage_error(self.path / RESULTS, error) from error
        self.done[name] = (record.status, record.request)

    def drop(self, is_dropped: Callable[[str, dict], bool]) -> None:
        """Take out records by (name, record), all at once or, when the run is killed meanwhile, not at all."""
        dropped = {name for name, record, _ in self.lines() if is_dropped(name, record)}
        if dropped:
            self.rewrite(line for name, _, line in self.offsets() if name not in dropped)
            self.done = {name: end for name, end in self.done.items() if name not in dropped}

    def put_in_order(self, order: Mapping[str, int]) -> None:
        """Put the records in the order of the input, those of ids that it no longer holds at the end."""
        places = [(order.get(name, len(order)), start, len(line)) for name, start, line in self.offsets()]
        if any(one[0] > other[0] for one, other in zip(places, places[1:], strict=False)):
            with open(self.path / RESULTS, "rb") as file:
                self.rewrite(_read_block(file, start, start + length) for _, start, length in sorted(places))

    def rewrite(self, lines: Iterator[bytes]) -> None:
        """Put other lines in the place of all."""
        path = self.path / RESULTS
        try:
            with open(path.with_name(".results.part"), "wb") as file:
                file.writelines(lines)
                sync(file)
            self.results.close()
            os.replace(file.name, path)
            sync_folder(self.path)
            self.results = open_results(path)
        except OSError as error:
            raise _storage_error(path, error) from error

    def lines(self) -> Iterator[tuple[str, dict[str, Any], bytes]]:
        """The name, the record and the line of each item that is done."""
        for name, _, line in self.offsets():
            yield name, json.loads(line), line

    def offsets(self) -> Iterator[tuple[str, int, bytes]]:
        """The name, the place in the file and the line of each item that is done. Raises `bad_line`."""
        start = 0
        with open(self.path / RESULTS, "rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    name = BatchItem(id=json.loads(line)["id"]).name
                except (ValueError, TypeError, KeyError) as error:
                    place = f"{self.path / RESULTS}, line {number}"
                    raise AnyGenError("bad_line", f"{place}: {error!r}; mend or move the file") from error
                yield name, start, line
                start += len(line)


@contextmanager
def open_folder(path: Path, fingerprint: Mapping[str, Any], *, is_forced: bool = False) -> Iterator[RunFolder]:
    """Open a folder for a run, new or to go on with.

    Raises `folder_in_use` while another run writes there; `run_mismatch` where it holds a run with another fingerprint,
    which `is_forced` moves to `earlier-1/`, `earlier-2/`, ...; `storage_error`; `bad_line` for records that are damaged.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path / LOCK)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        detail = f"{path}: another run writes there; wait for it, or name another folder with --out"
        raise AnyGenError("folder_in_use", detail) from error
    except (OSError, NotImplementedError) as error:
        raise _storage_error(path / LOCK, error) from error
    try:
        with _as_storage_error(path):
            _admit(path, fingerprint, is_forced=is_forced)
            folder = RunFolder(path, open_results(path / RESULTS))
        try:
            for name, record, _ in folder.lines():
                folder.done[name] = (record["status"], record["request"])
            yield folder
        finally:
            folder.results.close()
    finally:
        lock.release()


def _admit(path: Path, fingerprint: Mapping[str, Any], *, is_forced: bool) -> None:
    """See that the folder is of this run; make it so where it is new, or forced."""
    for leftover in [*path.glob(".*.part"), *path.glob(f"{MEDIA}/*/.*.part")]:
        leftover.unlink()
    run = path / RUN
    found = json.loads(run.read_text(encoding="utf-8")) if run.exists() else None
    if found is None and (path / RESULTS).exists():
        found = {"run.json": "missing"}
    if found is not None:
        unlike = differences(fingerprint, found)
        if not unlike:
            return
        if not is_forced:
            hint = "name another folder, or keep both with --force, which moves the earlier results aside"
            raise AnyGenError("run_mismatch", f"{path} holds another run: {'; '.join(unlike)}; {hint}")
        set_aside(path)
    part = path / f".{RUN}.part"
    with open(part, "wb") as file:
        file.write(json.dumps(fingerprint, indent=2).encode() + b"\n")
        sync(file)
    os.replace(part, run)
    sync_folder(path)


def set_aside(path: Path) -> Path:
    """Move what a folder holds of a run to the first free `earlier-N/`; `run.json` goes last."""
    number = next(number for number in range(1, 10**6) if not (path / f"earlier-{number}").exists())
    earlier = path / f"earlier-{number}"
    earlier.mkdir()
    for name in (RESULTS, MEDIA, LOG, RUN):
        if (path / name).exists():
            os.rename(path / name, earlier / name)
    return earlier


def open_results(path: Path) -> RawIOBase:
    """The file of records, to be appended to, without what follows its last newline.

    Not buffered: what could not be written must not be tried again when the file is closed.
    """
    file = open(path, "a+b", buffering=0)
    size = file.seek(0, os.SEEK_END)
    end = size
    while end:
        block = _read_block(file, max(0, end - 2**16), end)
        if b"\n" in block:
            end = end - len(block) + block.rindex(b"\n") + 1
            break
        end -= len(block)
    if end < size:
        file.truncate(end)
    return file


def _read_block(file: BinaryIO | RawIOBase, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def sync(file: BinaryIO | RawIOBase) -> None:
    """Wait until what was written is on disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on disk, where the system has that."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _as_storage_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _storage_error(path, error) from error
    except ValueError as error:
        raise AnyGenError("run_mismatch", f"{path / RUN} cannot be read: {error}; mend or move it") from error


def _storage_error(path: Path, error: Exception) -> AnyGenError:
    reason = getattr(error, "strerror", None) or str(error)
    return AnyGenError("storage_error", f"{path}: {reason}; the run can be gone on with once there is room and access")
