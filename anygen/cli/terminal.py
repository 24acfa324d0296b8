"""What the commands share of the terminal: messages, quiet libraries, and progress on stderr."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def say(message: str) -> None:
    """A line for the person at the terminal, on stderr, so that stdout holds nothing but results."""
    print(f"anygen: {message}", file=sys.stderr)


def log_to_stderr() -> None:
    """Show what this package logs while a long command runs."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("anygen").setLevel(logging.INFO)


def quiet_libraries() -> None:
    """Keep the notices and progress bars of transformers and diffusers off stderr; imports both."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # read while they are imported
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    warnings.filterwarnings("ignore", category=FutureWarning, module="diffusers|transformers")
    import diffusers.utils.logging
    import transformers.utils.logging

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def waiting(message: str) -> AbstractContextManager:
    """A spinner with a message on stderr while the block runs; nothing where stderr is no terminal."""
    console = Console(stderr=True)
    return console.status(message) if console.is_terminal else nullcontext()


def _bars() -> Progress:
    """Bars on stderr that are gone when they are done; nothing where stderr is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(
        *columns,
        console=console,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not console.is_terminal,
    )


class StepBars(AbstractContextManager):
    """A bar a modality on stderr, from its first denoising step to the end of the block; no bars without a terminal."""

    def __init__(self):
        self.progress = _bars()
        self.tasks: dict[str, int] = {}

    def show(self, modality: str, step: int, num_steps: int) -> None:
        """Show that `step` of `num_steps` denoising steps of `modality` are done."""
        if modality not in self.tasks:
            self.tasks[modality] = self.progress.add_task(modality, total=num_steps)
            self.progress.start()
        self.progress.update(self.tasks[modality], completed=step)

    def __exit__(self, *exception) -> None:
        self.progress.stop()


class CountBar(AbstractContextManager):
    """A bar over the items of a batch on stderr, with how many failed; no bar without a terminal."""

    def __init__(self):
        self.progress = _bars()
        self.task = self.progress.add_task("starting", total=None)
        self.num_failed = 0

    def __enter__(self) -> CountBar:
        self.progress.start()
        return self

    def show(self, status: str, num_done: int, num_items: int) -> None:
        """Show that an item ended."""
        self.num_failed += status == "failed"
        failed = f", {self.num_failed} failed" if self.num_failed else ""
        self.progress.update(self.task, description=f"items{failed}", completed=num_done, total=num_items)

    def __exit__(self, *exception) -> None:
        self.progress.stop()
