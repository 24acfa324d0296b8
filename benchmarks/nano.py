"""Speed and memory of nano on this machine, as a table: `python benchmarks/nano.py [--runs 5] [--json]`.

Cold figures are whole processes, from the shell's start of Python to its end. Warm figures are calls of one pipeline
after a first call of the same kind. Each is the median of the runs; memory is the largest resident set of any process.
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

PROMPT = "a large red bell on grass"
WARM_CALLS = {
    "text": {"messages": "what colour is the sky?", "modalities": ["text"]},
    "image": {"messages": PROMPT, "modalities": ["image"]},
    "audio": {"messages": PROMPT, "modalities": ["audio"]},
    "video": {"messages": PROMPT, "modalities": ["video"]},
    "image, video and audio": {"messages": PROMPT, "modalities": ["image", "video", "audio"]},
}
BOUNDS = {
    "import anygen": 0.3,
    "anygen --help": 1.0,
    "anygen generate --to image": 12.0,
    "warm text": 0.5,
    "warm image": 1.0,
    "warm audio": 2.0,
    "warm video": 4.0,
    "peak memory": 2.0,
}
"""What is promised for two CPU cores: seconds, and GB of memory."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table."""

    what: str
    value: float
    unit: str
    bound: float | None

    @property
    def line(self) -> str:
        """The figure as text."""
        bound = "" if self.bound is None else f"{self.bound:8.2f}  {'ok' if self.value <= self.bound else 'ABOVE'}"
        return f"{self.what:32s} {self.value:8.2f} {self.unit:3s} {bound}".rstrip()


def figure(what: str, value: float, unit: str = "s") -> Figure:
    """A figure with its bound, where one is promised."""
    return Figure(what=what, value=round(value, 3), unit=unit, bound=BOUNDS.get(what))


def whole_process(arguments: list[str]) -> tuple[float, float]:
    """Run Python with `arguments`; returns (seconds, GB at the peak)."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"python {' '.join(arguments)} ended with {process.returncode}")
    bytes_per_unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - started, usage.ru_maxrss * bytes_per_unit / 1e9


def cold_figures(num_runs: int) -> list[Figure]:
    """Whole processes, and the time that `import anygen` takes inside one."""
    timed_import = "import time; t = time.perf_counter(); import anygen; print(time.perf_counter() - t)"
    imports = [float(subprocess.check_output([sys.executable, "-c", timed_import])) for _ in range(num_runs)]
    figures = [figure("import anygen", statistics.median(imports))]
    run = "import sys; from anygen.cli import main; sys.exit(main(sys.argv[1:]))"
    peak = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for arguments in (["--help"], *(["generate", "--to", to] for to in ("image", "image,video,audio"))):
            command = [*arguments, PROMPT, "--out", folder] if arguments[0] == "generate" else arguments
            seconds, memory = zip(*(whole_process(["-c", run, *command]) for _ in range(num_runs)), strict=True)
            figures.append(figure("anygen " + " ".join(arguments), statistics.median(seconds)))
            peak = max(peak, *memory)
    return [*figures, figure("peak memory", peak, "GB")]


def warm_figures(num_runs: int) -> list[Figure]:
    """Calls of a pipeline that is loaded and has answered once."""
    from anygen import AnyGenPipeline

    pipeline = AnyGenPipeline.from_pretrained("nano")
    figures = []
    for name, call in WARM_CALLS.items():
        seconds = []
        for seed in range(num_runs + 1):
            started = time.perf_counter()
            pipeline(call["messages"], modalities=call["modalities"], seed=seed)
            seconds.append(time.perf_counter() - started)
        figures.append(figure(f"warm {name}", statistics.median(seconds[1:])))
    return figures


def main() -> int:
    """Measure, print, and say by the exit status whether every bound holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="how many runs the median is taken of")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    arguments = parser.parse_args()
    figures = [*cold_figures(arguments.runs), *warm_figures(arguments.runs)]
    if arguments.json:
        print(json.dumps({"runs": arguments.runs, "cores": os.cpu_count(), "figures": [asdict(f) for f in figures]}))
    else:
        print(f"median of {arguments.runs} runs, {os.cpu_count()} cores; the last columns are the bound and whether it holds")
        print(*(each.line for each in figures), sep="\n")
    return int(any(each.bound is not None and each.value > each.bound for each in figures))


if __name__ == "__main__":
    sys.exit(main())
