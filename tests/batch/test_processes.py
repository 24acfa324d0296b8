"""Processes that die: replaced, their job handed back, nobody else harmed; none outlives its parent."""

import os
import signal
import subprocess
import sys
import time

import pytest

from anygen.batch.processes import DIED, Failure, Pool, finished
from anygen.errors import AnyGenError


class Doubler:
    """Work that is well, or as unwell as a job says."""

    def __call__(self, job):
        if job == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if job == "bug":
            raise KeyError("a bug")
        if job == "fail":
            raise AnyGenError("media_empty", "found nothing")
        return 2 * job


def unfit():
    raise AnyGenError("model_load_error", "found no model")


def dead():
    os._exit(9)


@pytest.fixture
def pool(tmp_path):
    pool = Pool([Doubler, Doubler], name="test", log_file=tmp_path / "log")
    pool.start()
    yield pool
    pool.stop()


def outcomes(pool: Pool, jobs: list) -> dict:
    """What becomes of all jobs, by their place."""
    waiting, results = list(enumerate(jobs)), {}
    while len(results) < len(jobs):
        pool.start()
        while pool.has_room and waiting:
            pool.give(*waiting.pop(0))
        results |= {key: result for _, key, result in finished([pool])}
    return results


def test_a_death_costs_its_own_job_only(pool, tmp_path):
    results = outcomes(pool, [1, "die", 3, "fail", 5, "bug", "die", 8])
    assert [results[i] for i in (0, 2, 4, 7)] == [2, 6, 10, 16]
    assert results[1] == results[5] == results[6] == DIED
    assert isinstance(results[3], Failure) and results[3].error.code == "media_empty"
    assert "a bug" in (tmp_path / "log").read_text()


def test_what_keeps_a_process_from_starting_is_raised(tmp_path):
    for open_work, code in ((unfit, "model_load_error"), (dead, "worker_died")):
        pool = Pool([open_work], name="test", log_file=tmp_path / "log")
        with pytest.raises(AnyGenError) as raised:
            outcomes(pool, [1])
        assert raised.value.code == code
        pool.stop()


PARENT = """
import sys, time
from pathlib import Path
from anygen.batch.processes import Pool, finished
from time import sleep
def open_work():
    return sleep
if __name__ == "__main__":
    pool = Pool([open_work], name="test", log_file=Path(sys.argv[1]))
    pool.start()
    while not pool.has_room:
        list(finished([pool]))
    pool.give("key", 600)
    print(pool.workers[0].process.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_none_outlives_a_parent_that_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py", tmp_path / "log"], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the child is still there")
