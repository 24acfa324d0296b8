"""What anygen costs over diffusers: `python benchmarks/overhead.py [--runs 9] [--clock cpu] [--json]`.

The same captions become media twice: by a generator of anygen (captions to a condition, the condition to media), and by
a call of the very diffusers pipeline that it holds, with the same weights, batch, steps, guidance and seeds. Pipelines
are nano's three and an SDXL of random weights; both ways of each are checked to give the same media.

Time: the two take turns in one process, so that a machine at work on other things slows both; the figure is the median
over pairs of runs of anygen's time over diffusers'. `--clock cpu` counts the seconds of the processor rather than those
of the wall; other work lengthens them less (for pipelines on a CPU alone).
Memory: the largest resident set of a process of each way's own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

CAPTIONS = ("a large red bell on grass", "a small blue car moving left at night")
CASES = ("image", "video", "audio", "sdxl")
WAYS = ("anygen", "diffusers")
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
TIME_BOUND, MEMORY_BOUND = 1.03, 1.05
MEMORY_RUNS = 3
"""Runs before the peak is read: the second may find the first one's memory in pieces."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table: medians in seconds and GB, and anygen's share of diffusers'."""

    case: str
    pipeline: str
    anygen_seconds: float
    diffusers_seconds: float
    time_ratio: float
    anygen_memory: float
    diffusers_memory: float
    memory_ratio: float

    @property
    def holds(self) -> bool:
        """Whether both bounds hold."""
        return self.time_ratio <= TIME_BOUND and self.memory_ratio <= MEMORY_BOUND

    @property
    def line(self) -> str:
        """The row as text."""
        time_columns = f"{self.anygen_seconds:9.3f} {self.diffusers_seconds:9.3f} {self.time_ratio:6.3f}"
        memory_columns = f"{self.anygen_memory:9.3f} {self.diffusers_memory:9.3f} {self.memory_ratio:6.3f}"
        return f"{self.case:6s} {self.pipeline:28s} {time_columns} {memory_columns}  {'ok' if self.holds else 'ABOVE'}"


def load(case: str):
    """The generator of a case."""
    from anygen.generators import load_generators
    from anygen.generators.diffusion import DiffusionGenerator

    if case == "sdxl":
        return DiffusionGenerator.from_pipeline(random_sdxl(), num_inference_steps=8)
    folder = Path(__file__).resolve().parents[1] / "anygen" / "nano" / "weights" / "generators"
    return load_generators(folder)[case]


def random_sdxl():
    """An SDXL pipeline of random weights that makes pictures of 128x128; it reads with nano's tokenizer."""
    import torch
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(0)
    folder = Path(__file__).resolve().parents[1] / "anygen" / "nano" / "weights" / "generators" / "image" / "tokenizer"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=tokenizer.model_max_length, projection_dim=64, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        block_out_channels=(64, 128), layers_per_block=2, sample_size=16, in_channels=4, out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4), use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=8, transformer_layers_per_block=(1, 2),
        projection_class_embeddings_input_dim=64 + 6 * 8, cross_attention_dim=128,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 64, 64), latent_channels=4, down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    return StableDiffusionXLPipeline(
        vae=vae, text_encoder=CLIPTextModel(text), text_encoder_2=CLIPTextModelWithProjection(text),
        tokenizer=tokenizer, tokenizer_2=tokenizer, unet=unet,
        scheduler=EulerDiscreteScheduler(), add_watermarker=False,
    )  # fmt: skip


def through(way: str, generator, *, batch: int) -> Callable[[], list]:
    """A function that makes `batch` media one way, each from its own seed."""
    import torch

    captions = [CAPTIONS[index % len(CAPTIONS)] for index in range(batch)]

    def seeds() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(index) for index in range(batch)]

    def anygen() -> list:
        return generator.generate(generator.encode_text(captions), generators=seeds())

    def diffusers() -> list:
        defaults = generator.default_parameters
        settings = {name: defaults[name] for name in ("num_inference_steps", "guidance_scale")}
        if generator.modality == "video":
            settings["num_frames"] = generator.num_frames
        kind = "pil" if generator.modality == "image" else "np"
        output = generator.pipeline(captions, generator=seeds(), output_type=kind, **settings)
        return list(output[0])

    return {"anygen": anygen, "diffusers": diffusers}[way]


def as_floats(medium) -> np.ndarray:
    """A medium of either way as floats in about [0, 1]."""
    if hasattr(medium, "frames"):
        return medium.frames / 255
    if hasattr(medium, "waveform"):
        return medium.waveform
    array = np.asarray(medium)
    return array / 255 if array.dtype == np.uint8 else array


def check_equal(found: list, expected: list) -> None:
    """Raise SystemExit where the two ways did not make the same: then their times are not those of the same work."""
    for index, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        difference = np.abs(as_floats(ours) - as_floats(theirs)).max()
        if difference > 0.01:
            raise SystemExit(f"item {index}: the two ways differ by {difference:.3f}; expected the same medium")


def measure_time(case: str, *, runs: int, batch: int, clock: str) -> tuple[str, float, float, float]:
    """(pipeline class, seconds of anygen, seconds of diffusers, median ratio of the pairs)."""
    now = CLOCKS[clock]
    generator = load(case)
    ways = {way: through(way, generator, batch=batch) for way in WAYS}
    check_equal(ways["anygen"](), ways["diffusers"]())  # the first run of each is not counted
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for run in range(runs):
        for way in WAYS if run % 2 else reversed(WAYS):
            started = now()
            ways[way]()
            seconds[way].append(now() - started)
    ratios = [ours / theirs for ours, theirs in zip(seconds["anygen"], seconds["diffusers"], strict=True)]
    medians = [statistics.median(seconds[way]) for way in WAYS]
    return type(generator.pipeline).__name__, *medians, statistics.median(ratios)


def peak_memory(case: str, way: str, *, batch: int) -> float:
    """GB at the peak of a process that makes media one way and nothing else."""
    command = [sys.executable, __file__, "--batch", str(batch), "--only", case, way]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def measure(case: str, *, runs: int, batch: int, clock: str) -> Row:
    """The row of a case."""
    name, ours, theirs, ratio = measure_time(case, runs=runs, batch=batch, clock=clock)
    memory = {way: peak_memory(case, way, batch=batch) for way in WAYS}
    return Row(
        case=case, pipeline=name, anygen_seconds=ours, diffusers_seconds=theirs, time_ratio=ratio,
        anygen_memory=memory["anygen"], diffusers_memory=memory["diffusers"],
        memory_ratio=memory["anygen"] / memory["diffusers"],
    )  # fmt: skip


def main() -> int:
    """Measure, print, and say by the exit status whether every bound holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="how many pairs of runs the medians are taken of")
    parser.add_argument("--batch", type=int, default=2, help="media made at once")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="which seconds are counted")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--only", nargs=2, metavar=("CASE", "WAY"), help=argparse.SUPPRESS)  # a process of its own
    arguments = parser.parse_args()
    if arguments.only:
        case, way = arguments.only
        make = through(way, load(case), batch=arguments.batch)
        for _ in range(MEMORY_RUNS):
            make()
        return 0
    rows = []
    if not arguments.json:
        print(f"median of {arguments.runs} pairs ({arguments.clock} clock), batch {arguments.batch}")
        print(f"bounds of the ratios: {TIME_BOUND} (time), {MEMORY_BOUND} (memory)")
        names = f"{'anygen s':>9s} {'diffusers':>9s} {'ratio':>6s} {'anygen GB':>9s} {'diffusers':>9s} {'ratio':>6s}"
        print(f"{'case':6s} {'pipeline':28s} {names}")
    for case in arguments.cases:
        rows.append(measure(case, runs=arguments.runs, batch=arguments.batch, clock=arguments.clock))
        if not arguments.json:
            print(rows[-1].line, flush=True)
    if arguments.json:
        print(json.dumps({"runs": arguments.runs, "batch": arguments.batch, "rows": [asdict(row) for row in rows]}))
    return int(not all(row.holds for row in rows))


if __name__ == "__main__":
    sys.exit(main())
