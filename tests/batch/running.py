"""Batches run as a user runs them, in processes of their own, and what they leave."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time

COMMAND = "import sys; from anygen.cli import main; sys.exit(main(sys.argv[1:]))"


def start(*arguments, **settings) -> subprocess.Popen:
    """`anygen batch` with arguments, not waited for."""
    command = [sys.executable, "-c", COMMAND, "batch", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings)


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    """Exit status, stdout and stderr."""
    printed, said = process.communicate(timeout=300)
    return process.returncode, printed, said


def run(*arguments, **settings) -> tuple[int, str, str]:
    """`anygen batch` with arguments, to its end."""
    return finish(start(*arguments, **settings))


def write_lines(path, items):
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


def records(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def wait_for_records(folder, count: int, process: subprocess.Popen) -> None:
    """Until a run that has just begun has written so many whole records more."""
    path, deadline = folder / "results.jsonl", time.monotonic() + 240
    count += path.read_bytes().count(b"\n") if path.exists() else 0
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.communicate()
        if time.monotonic() > deadline:
            process.kill()
            raise AssertionError(process.communicate())
        time.sleep(0.005)


def children(pid: int) -> dict[int, str]:
    """The processes that a process started, with their command lines (Linux)."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
                with open(f"/proc/{entry}/cmdline") as file:
                    found |= {int(entry): file.read().replace("\0", " ")} if parent == pid else {}
            except OSError:
                continue
    return found


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def snapshot(folder) -> dict[str, str]:
    """Every file of a run that has to be the same bytes, by name; the log and the lock are not among them."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in ("run.log", "run.lock")]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def check_consistent(folder, *, num_items: int) -> None:
    """One record an id; every file that a record names is there with its hash, and no other."""
    found = records(folder)
    assert len({record["id"] for record in found}) == len(found) == num_items
    named = {part["path"]: part["sha256"] for record in found for part in record["parts"] if "path" in part}
    files = {name: digest for name, digest in snapshot(folder).items() if name.startswith("media/")}
    assert named == files
