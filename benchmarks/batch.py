"""Items per second of `anygen batch` against a plain loop over the pipeline, one item at a time.

    python benchmarks/batch.py [--items 32] [--budget 480] [--ways NAME ...] [--json]

Requests are words, pictures, sounds and films in turn, each with a prompt of its own. Every way of answering them is a
whole process. It is run over one request first, and that time is taken off, so that starting and loading cost nothing.
The ways take turns, round after round while the budget of seconds lasts, and each is known by its median: what else
the machine does then hurts them alike. Only an idle machine tells the ratio, for the plain loop's two threads wait for
each other and lose far more to a neighbour than processes of one thread do.
Memory is measured by `batch_memory.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

BOUND = 2.5
"""How many times the plain loop's rate the best local run is promised to reach on two cores."""
COLOURS = ("red", "green", "blue", "yellow", "pink", "brown", "white")
THINGS = ("bell", "drum", "car", "train", "cat", "dog", "boat", "clock", "star", "ring", "bird")
KINDS = {
    "text": "what can you draw? say it in a {colour} way about a {thing}",
    "image": "a {colour} {thing}",
    "audio": "the sound of a {thing}",
    "video": "a {colour} {thing} moves left",
}
PLAIN_LOOP = """
import json, sys
from pathlib import Path
from anygen import AnyGenPipeline
from anygen.records import save_output
pipeline = AnyGenPipeline.from_pretrained("nano")
for line in open(sys.argv[1]):
    item = json.loads(line)
    output = pipeline(item["text"], modalities=item["modalities"], seed=0)
    save_output(output, id=item["id"], folder=Path(sys.argv[2]))
"""
BATCH = "import sys; from anygen.cli import main; sys.exit(main(sys.argv[1:]))"
THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables that would tell torch how many threads to take."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way of answering a file of requests."""

    name: str
    code: str
    options: tuple[str, ...] = ()

    def start(self, source: Path, out: Path) -> subprocess.Popen:
        """Begin to answer all of `source`, with as many threads as torch takes by itself."""
        places = ["batch", str(source), "--out", str(out)] if self.code == BATCH else [str(source), str(out)]
        free = {name: value for name, value in os.environ.items() if name not in THREAD_LIMITS}
        command = [sys.executable, "-c", self.code, *places, *self.options]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, env=free)

    def run(self, count: int) -> tuple[float, float]:
        """Answer `count` requests; returns (seconds, seconds of processor time)."""
        with tempfile.TemporaryDirectory() as folder:
            source = write_requests(Path(folder) / "in.jsonl", count)
            started = time.perf_counter()
            process = self.start(source, Path(folder) / "out")
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{self.name} ended with {process.returncode}")
        return seconds, usage.ru_utime + usage.ru_stime  # of its children too, but not of Ray's, which are nobody's


@dataclass(frozen=True, kw_only=True)
class Rate:
    """One line of the table, over the rounds that there were."""

    name: str
    rounds: int
    items_per_second: float
    """The median."""
    processor_seconds: float
    """An item, the median; says something on a busy machine too."""
    times_the_loop: float


def ways() -> list[Way]:
    """The plain loop first, then what it is compared with, the fastest first in case the budget does not last."""
    grid = [("local", workers, size) for workers in (2, 1) for size in (16, 8, 4, 1)]
    grid[2:2] = [("ray", 2, 16), ("ray", 1, 16)]
    return [Way(name="plain loop", code=PLAIN_LOOP)] + [
        Way(
            name=f"{engine}, {workers} workers, batches of {size}",
            code=BATCH,
            options=("--engine", engine, "--workers", str(workers), "--batch-size", str(size)),
        )
        for engine, workers, size in grid
    ]


def write_requests(path: Path, count: int, *, params: dict | None = None) -> Path:
    """`count` requests of the kinds in turn, as a file."""
    with open(path, "w") as file:
        for index in range(count):
            kind = list(KINDS)[index % len(KINDS)]
            words = {"colour": COLOURS[index % len(COLOURS)], "thing": THINGS[index % len(THINGS)]}
            item = {"id": str(index), "text": KINDS[kind].format(**words), "modalities": [kind], "params": params or {}}
            file.write(json.dumps(item) + "\n")
    return path


def measure(compared: list[Way], *, num_items: int, budget: float) -> dict[str, list[tuple[float, float]]]:
    """(Seconds, processor seconds) of `num_items` beyond the start, a way and round.

    The first round goes as far as the budget does; a later one begins only where it can be ended.
    """
    begun = time.perf_counter()
    starts: dict[str, tuple[float, float]] = {}
    found: dict[str, list[tuple[float, float]]] = {}
    round_seconds = 0.0
    while not found or time.perf_counter() - begun + round_seconds < budget:
        round_begun = time.perf_counter()
        for way in compared:
            if time.perf_counter() - begun > budget:
                break
            if way.name not in starts:
                starts[way.name] = way.run(1)
            whole, start = way.run(num_items), starts[way.name]
            found.setdefault(way.name, []).append((whole[0] - start[0], whole[1] - start[1]))
            print(f"{way.name}: {whole[0]:.1f} s, {start[0]:.1f} s of them to start", flush=True)
        round_seconds = time.perf_counter() - round_begun
    return found


def rates_of(found: dict[str, list[tuple[float, float]]], num_items: int) -> list[Rate]:
    """The table."""
    rates: list[Rate] = []
    for name, rounds in found.items():
        rate = num_items / statistics.median(seconds for seconds, _ in rounds)
        times = rate / rates[0].items_per_second if rates else 1.0
        processor = statistics.median(seconds for _, seconds in rounds) / num_items
        known = {"name": name, "rounds": len(rounds), "items_per_second": rate}
        rates.append(Rate(**known, processor_seconds=processor, times_the_loop=times))
    return rates


def main() -> int:
    """Measure, print, and say by the exit status whether the bound holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=32, help="requests that each way answers in a round")
    parser.add_argument("--budget", type=float, default=480, help="seconds after which no way and no round is begun")
    parser.add_argument("--ways", nargs="*", help="only those whose names begin so, and the plain loop")
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0]
    print(f"{cores} cores, load {load:.1f} before the start")
    compared = [way for way in ways() if way.name.startswith(("plain", *(arguments.ways or [""])))]
    found = measure(compared, num_items=arguments.items, budget=arguments.budget)
    rates = rates_of(found, arguments.items)
    for rate in rates:
        cost = f"{rate.items_per_second:8.2f} items/s {rate.processor_seconds:7.3f} s of a core each"
        print(f"{rate.name:36s} {cost} {rate.times_the_loop:6.2f} x  {rate.rounds} rounds")
    left_out = [way.name for way in compared if way.name not in found]
    if left_out:
        print(f"not measured, for the budget was spent: {'; '.join(left_out)}")
    best = max((rate.times_the_loop for rate in rates if rate.name.startswith("local")), default=0.0)
    print(f"best local run: {best:.2f} times the plain loop; promised {BOUND}")
    if arguments.json:
        told = {"cores": cores, "load": load, "items": arguments.items}
        print(json.dumps(told | {"rates": [asdict(rate) for rate in rates]}))
    return int(best < BOUND)


if __name__ == "__main__":
    sys.exit(main())
