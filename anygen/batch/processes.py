"""Processes that do one job at a time for this one, and may die without harm.

    Pool.give(key, job) --pipe--> work(job) in a process --pipe--> finished(pools): (pool, key, result)
A process that dies is replaced; its job comes back as `DIED` and whoever gave it decides. A process ends with the one
that started it, also when that one is killed.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from anygen.errors import AnyGenError

MAX_DEATHS_AT_START = 2
GRACE_SECONDS = 5.0
DIED = "died"
"""The result of a job whose process died."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The result of a job that raised."""

    error: AnyGenError


class LogFile(logging.FileHandler):
    """A log that several processes append to. On a full disk it is silent: writing results fails there too, and is told."""

    def __init__(self, path: Path):
        super().__init__(path)
        self.setFormatter(logging.Formatter("%(asctime)s %(process)d %(message)s"))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, the name is logging's
        """Leave out what cannot be written."""


class _Worker:
    """One process and this end of its pipe."""

    def __init__(self, open_work: Callable[[], Callable[[Any], Any]], *, name: str, log_file: Path):
        context = multiprocessing.get_context("spawn")  # a fork would copy the locks of threads
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, open_work, log_file), name=name, daemon=True)
        self.process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self.is_ready = False
        self.key: Hashable | None = None

    def stop(self) -> None:
        """End the process: in good order when it waits for a job, at once when it has one."""
        self.connection.close()
        if self.is_ready and self.key is None:
            self.process.join(timeout=GRACE_SECONDS)
        self.process.kill()
        self.process.join()


class Pool:
    """Processes that do the same kind of work, started when there is something to do.

    Args:
        open_works: one function a process; it runs there, once, and returns what does the jobs. All must be picklable.
        name: of the processes.
        log_file: where what they log goes.
    """

    def __init__(self, open_works: list[Callable[[], Callable[[Any], Any]]], *, name: str, log_file: Path):
        self.open_works, self.name, self.log_file = open_works, name, log_file
        self.workers: list[_Worker | None] = [None] * len(open_works)
        self.num_deaths_at_start = 0

    def start(self) -> None:
        """Start every process that does not run."""
        for index, worker in enumerate(self.workers):
            if worker is None:
                self.workers[index] = _Worker(self.open_works[index], name=f"{self.name}-{index}", log_file=self.log_file)

    @property
    def has_room(self) -> bool:
        """Whether a process waits for a job."""
        return any(worker and worker.is_ready and worker.key is None for worker in self.workers)

    def give(self, key: Hashable, job: Any) -> None:
        """Hand a job to a process that waits for one; `has_room` must hold."""
        worker = next(worker for worker in self.workers if worker and worker.is_ready and worker.key is None)
        worker.key = key
        try:
            worker.connection.send(job)
        except OSError:  # it died while it waited; `finished` will find out
            pass

    def take(self, connection: Connection) -> tuple[Hashable, Any] | None:
        """What came through a pipe: a key and its result, or None where a process became ready.

        Raises what kept a process from starting.
        """
        index = next(i for i, worker in enumerate(self.workers) if worker and worker.connection is connection)
        worker = self.workers[index]
        try:
            kind, value = connection.recv()
        except (EOFError, OSError):
            return self._bury(index)
        if kind == "unfit":
            raise value
        if kind == "ready":
            worker.is_ready, self.num_deaths_at_start = True, 0
            return None
        key, worker.key = worker.key, None
        return key, value

    def _bury(self, index: int) -> tuple[Hashable, Any] | None:
        worker, self.workers[index] = self.workers[index], None
        worker.stop()
        log.warning("%s ended with %s", worker.process.name, worker.process.exitcode)
        if not worker.is_ready:
            self.num_deaths_at_start += 1
            if self.num_deaths_at_start >= MAX_DEATHS_AT_START:
                detail = f"{worker.process.name} ended with {worker.process.exitcode} before it was ready"
                raise AnyGenError("worker_died", f"{detail}; is there enough memory for --workers models?")
        return None if worker.key is None else (worker.key, DIED)

    def stop(self) -> None:
        """End every process."""
        for worker in self.workers:
            if worker is not None:
                worker.stop()
        self.workers = [None] * len(self.workers)


def finished(pools: list[Pool]) -> Iterator[tuple[Pool, Hashable, Any]]:
    """Wait until something comes from a process of any of the pools; yields the jobs that are finished, maybe none."""
    pool_of = {worker.connection: pool for pool in pools for worker in pool.workers if worker is not None}
    for connection in wait(list(pool_of)):
        pool = pool_of[connection]
        if (taken := pool.take(connection)) is not None:
            yield pool, *taken


def _serve(connection: Connection, open_work: Callable[[], Callable[[Any], Any]], log_file: Path) -> None:
    """The life of a process: open the work, then do jobs until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(handlers=[LogFile(log_file)], level=logging.WARNING)
    logging.getLogger("anygen").setLevel(logging.INFO)
    try:
        work = open_work()
    except AnyGenError as error:
        connection.send(("unfit", error))
        return
    connection.send(("ready", None))
    while True:
        try:
            job = connection.recv()
        except EOFError:
            return
        try:
            result = work(job)
        except AnyGenError as error:
            result = Failure(error=error)
        except Exception:  # after a lost device, or a bug, a new process is worth more than this one
            log.exception("the process ends")
            return
        connection.send(("done", result))


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
