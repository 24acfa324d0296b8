"""Items per second of `anygen batch` against a plain loop over the pipeline, and its memory over 2,000 items.

    python benchmarks/batch.py [--items 32] [--quick] [--ways NAME ...] [--memory-items 200 2000] [--json]

Every way of doing it is a whole process that is run over n and over 2 n mixed requests; the rate is n over the
difference, so that starting and loading cost nothing. Requests are words, pictures, sounds and films in turn, each with
a prompt of its own. Memory is the largest resident set of any process.
"""

from __future__ import annotations

import argparse
import json
import os
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


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way of answering a file of requests."""

    name: str
    code: str
    options: tuple[str, ...] = ()

    def run(self, source: Path, out: Path) -> tuple[float, float, float]:
        """Answer all of `source`; returns (seconds, seconds of processor time, GB at the peak)."""
        arguments = ["batch", str(source), "--out", str(out), *self.options] if self.code == BATCH else [str(source), str(out)]
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", self.code, *arguments], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{self.name} ended with {process.returncode}")
        bytes_per_unit = 1 if sys.platform == "darwin" else 1024
        processor = usage.ru_utime + usage.ru_stime  # of its children too, but not of Ray's, which are nobody's
        return time.perf_counter() - started, processor, usage.ru_maxrss * bytes_per_unit / 1e9


@dataclass(frozen=True, kw_only=True)
class Rate:
    """One line of the table."""

    name: str
    items_per_second: float
    processor_seconds: float
    """An item; says something on a busy machine too."""
    times_the_loop: float


def ways(*, is_quick: bool) -> list[Way]:
    """The plain loop first, then what it is compared with."""
    grid = [("local", workers, size) for workers in (1, 2) for size in (1, 4, 8, 16)] + [("ray", 2, size) for size in (1, 16)]
    if is_quick:
        grid = [("local", 1, 16), ("local", 2, 16), ("ray", 2, 16)]
    return [Way(name="plain loop", code=PLAIN_LOOP)] + [
        Way(
            name=f"{engine}, {workers} workers, batches of {size}",
            code=BATCH,
            options=("--engine", engine, "--workers", str(workers), "--batch-size", str(size)),
        )
        for engine, workers, size in grid
    ]


def write_requests(path: Path, count: int, *, kinds: tuple[str, ...] = tuple(KINDS)) -> Path:
    """`count` requests of the kinds in turn, as a file."""
    with open(path, "w") as file:
        for index in range(count):
            kind = kinds[index % len(kinds)]
            words = {"colour": COLOURS[index % len(COLOURS)], "thing": THINGS[index % len(THINGS)]}
            item = {"id": str(index), "text": KINDS[kind].format(**words), "modalities": [kind]}
            file.write(json.dumps(item) + "\n")
    return path


def measure_rates(compared: list[Way], num_items: int) -> list[Rate]:
    """Every way over n and 2 n items."""
    rates: list[Rate] = []
    for way in compared:
        with tempfile.TemporaryDirectory() as folder:
            one, two = (
                way.run(write_requests(Path(folder) / f"{count}.jsonl", count), Path(folder) / f"out{count}")
                for count in (num_items, 2 * num_items)
            )
        rate, processor = num_items / (two[0] - one[0]), (two[1] - one[1]) / num_items
        times = rate / rates[0].items_per_second if rates else 1.0
        rates.append(Rate(name=way.name, items_per_second=rate, processor_seconds=processor, times_the_loop=times))
        print(f"{way.name:36s} {rate:8.2f} items/s {processor:7.3f} s of a core each {times:6.2f} x", flush=True)
    return rates


def measure_memory(counts: list[int]) -> dict[int, float]:
    """GB at the peak over numbers of items: words, and one picture in ten."""
    way = Way(name="memory", code=BATCH, options=("--batch-size", "16"))
    peaks = {}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            source = write_requests(Path(folder) / "in.jsonl", count, kinds=("text",) * 9 + ("image",))
            seconds, _, peaks[count] = way.run(source, Path(folder) / "out")
        print(f"{count} items: {peaks[count]:.3f} GB at the peak, {seconds:.0f} s", flush=True)
    return peaks


def main() -> int:
    """Measure, print, and say by the exit status whether the bound holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=32, help="n; each way answers 3 n items in all")
    parser.add_argument("--quick", action="store_true", help="batches of 16 alone")
    parser.add_argument("--ways", nargs="*", help="only those whose names begin so, and the plain loop")
    parser.add_argument("--memory-items", type=int, nargs="*", default=[200, 2000], help="over how many items memory is measured")
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f} before the start")
    compared = [way for way in ways(is_quick=arguments.quick) if way.name.startswith(("plain", *(arguments.ways or [""])))]
    rates = measure_rates(compared, arguments.items) if arguments.items else []
    peaks = measure_memory(arguments.memory_items or [])
    best = max((rate.times_the_loop for rate in rates if rate.name.startswith("local")), default=BOUND)
    print(f"best local run: {best:.2f} times the plain loop; promised {BOUND}")
    if arguments.json:
        print(json.dumps({"cores": cores, "rates": [asdict(rate) for rate in rates], "peak_gb": peaks}))
    return int(best < BOUND)


if __name__ == "__main__":
    sys.exit(main())
