"""The memory of `anygen batch` over few and over many items.

    python benchmarks/batch_memory.py [--items 200 2000] [--workers 2] [--batch-size 16] [--json]

Requests are words, pictures, sounds and films in turn, with one denoising step each: what is held does not depend on
the number of steps. Memory is that of all processes of a run together, shared pages counted once (Linux's Pss), looked at
twice a second; the largest counts. It is bounded where many items take no more than a tenth above what few take.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from batch import BATCH, Way, write_requests

ALLOWED_GROWTH = 1.1
"""How many times the peak over the fewest items the peak over the most may be."""
PARAMS = {"max_new_tokens": 24} | {modality: {"num_inference_steps": 1} for modality in ("image", "video", "audio")}
SECONDS_BETWEEN_LOOKS = 0.5


def processes_of(pid: int) -> list[int]:
    """A process and all that it started, and they."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:  # it has ended
                continue
    found = [pid]
    for known in found:  # grows as it goes
        found += [child for child, parent in parents.items() if parent == known]
    return found


def memory_of(pids: list[int]) -> float:
    """GB that processes hold together, pages that they share counted once."""
    kilobytes = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return kilobytes * 1024 / 1e9


def measure(count: int, options: tuple[str, ...]) -> dict[str, float]:
    """The peak and the time of a run over `count` items."""
    way = Way(name=f"{count} items", code=BATCH, options=options)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        started, peak = time.perf_counter(), 0.0
        process = way.start(write_requests(Path(folder) / "in.jsonl", count, params=PARAMS), out)
        while process.poll() is None:
            peak = max(peak, memory_of(processes_of(process.pid)))
            time.sleep(SECONDS_BETWEEN_LOOKS)
        if process.returncode:
            raise SystemExit(f"{way.name}: the run ended with {process.returncode}")
        num_records = (out / "results.jsonl").read_bytes().count(b"\n")
        if num_records != count:
            raise SystemExit(f"{way.name}: found {num_records} records")
    return {"items": count, "peak_gb": peak, "seconds": time.perf_counter() - started}


def main() -> int:
    """Measure, print, and say by the exit status whether memory is bounded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=[200, 2000], help="numbers of items")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")
    arguments = parser.parse_args()
    options = ("--workers", str(arguments.workers), "--batch-size", str(arguments.batch_size))
    found = []
    for count in sorted(arguments.items):
        found.append(measure(count, options))
        print("{items} items: {peak_gb:.3f} GB at the peak, {seconds:.0f} s".format(**found[-1]), flush=True)
    growth = found[-1]["peak_gb"] / found[0]["peak_gb"]
    print(f"most over fewest: {growth:.3f}; promised {ALLOWED_GROWTH}")
    if arguments.json:
        print(json.dumps({"runs": found, "growth": growth}))
    return int(growth > ALLOWED_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
