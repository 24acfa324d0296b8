"""The command line: `anygen generate | chat | train | eval | info`, one file each.

Results go to stdout, everything else (progress bars, warnings, errors) to stderr. This file and what it imports load
nothing heavy, so that `anygen --help` answers at once; each command imports what it needs when it runs.
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from anygen.cli import exit_codes
from anygen.cli.batch import batch
from anygen.cli.chat import chat
from anygen.cli.convert import convert
from anygen.cli.demo import demo
from anygen.cli.evaluate import evaluate
from anygen.cli.generate import generate
from anygen.cli.index import index
from anygen.cli.info import info
from anygen.cli.presets import presets
from anygen.cli.serve import serve
from anygen.cli.train import train
from anygen.errors import AnyGenError

COMMANDS = {
    "generate": generate, "batch": batch, "chat": chat, "demo": demo, "train": train, "eval": evaluate, "info": info,
    "presets": presets, "convert": convert, "index": index, "serve": serve,
}


def command_line() -> typer.Typer:
    """The command line as a typer application."""
    application = typer.Typer(
        help="Any mix of text, images, video and audio in; any mix of them out.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name, command in COMMANDS.items():
        application.command(name)(command)
    return application


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status (see `anygen.cli.exit_codes`).

    Args:
        arguments: what follows the program's name; `sys.argv[1:]` by default.
    """
    try:
        with _clean_interrupts():
            command_line()(args=arguments, prog_name="anygen")
    except SystemExit as end:
        return exit_codes.OK if end.code is None else end.code
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except AnyGenError as error:
        print(f"anygen: {error}", file=sys.stderr)
    except BrokenPipeError:
        sys.stdout = None  # whoever read our output has left; there is nobody to tell
    except Exception:
        traceback.print_exc()
        print("anygen: this is a bug; please report it with the lines above", file=sys.stderr)
    return exit_codes.UNEXPECTED


@contextmanager
def _clean_interrupts() -> Iterator[None]:
    """The first SIGINT or SIGTERM ends the command in good order (`KeyboardInterrupt`); the next one, at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number, frame):
        for each in previous:
            signal.signal(each, signal.SIG_DFL)
        raise KeyboardInterrupt

    previous = {each: signal.signal(each, interrupt) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)
