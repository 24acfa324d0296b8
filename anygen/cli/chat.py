"""`anygen chat`: a conversation in the terminal, or from a pipe.

Lines that begin with a slash are for the program, every other line is a turn of the user's. The model's words appear as
it says them; its media are saved, and each turn leaves a record in `results.jsonl`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from anygen.cli import exit_codes
from anygen.cli.request import Request, answer, load_pipeline, media_lines, parse_modalities
from anygen.cli.terminal import say

COMMANDS = """\
  /image PATH, /video PATH, /audio PATH   show or play a file with the next message
  /to LIST                                answer with these (text, image, video, audio); /to alone: the model decides
  /new                                    forget the conversation
  /help, /quit"""


def chat(
    *,
    out: Annotated[Path, typer.Option(help="The folder for media files and results.jsonl.")] = Path("out/chat"),
    model: Annotated[str, typer.Option(help="'nano', a model folder or a hub id.")] = "nano",
    seed: Annotated[int, typer.Option(help="The seed of the first turn; each turn adds one.")] = 0,
):
    """Talk with a model, turn by turn.

    With standard input from a pipe, each line is a turn. Exit status: 0 all is well, 3 a turn failed, 130 interrupted.
    """
    conversation = Conversation(load_pipeline(model), model=model, folder=out, seed=seed)
    if sys.stdin.isatty():
        print(f"This is {model}. Say something; /help lists the commands, /quit or Ctrl-D ends.")
    for line in _lines():
        if line.split()[0] == "/quit":
            break
        conversation.hear(line)
    raise typer.Exit(exit_codes.ITEMS_FAILED if conversation.num_failed else exit_codes.OK)


def _lines() -> Iterator[str]:
    """Lines of standard input that are not blank, with a prompt where somebody sits at it."""
    is_terminal = sys.stdin.isatty()
    while True:
        if is_terminal:
            print("> ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.strip()


class Conversation:
    """The state of a chat: what was said so far, and what waits to be sent with the next message."""

    def __init__(self, pipeline, *, model: str, folder: Path, seed: int):
        self.pipeline = pipeline
        self.model = model
        self.folder = folder
        self.seed = seed
        self.history: list[dict] = []
        self.after: str | None = None
        self.attached: list[dict] = []
        self.modalities: list[str] | None = None
        self.num_failed = 0

    def hear(self, line: str) -> None:
        """Act on one line of input: a command, or the user's next turn."""
        name, _, argument = line.partition(" ")
        argument = argument.strip().strip("'\"")
        if name in ("/image", "/video", "/audio"):
            self.attach(name[1:], Path(argument).expanduser())
        elif name == "/to":
            self.answer_with(argument)
        elif name == "/new":
            self.history, self.attached, self.after = [], [], None
        elif name.startswith("/"):
            print(COMMANDS if name == "/help" else f"There is no command {name}.\n{COMMANDS}")
        else:
            self.say(line)

    def attach(self, modality: str, path: Path) -> None:
        """Keep a file for the next message."""
        if path.is_file():
            self.attached.append({"type": modality, modality: str(path)})
        else:
            say(f"found no file {path}")

    def answer_with(self, names: str) -> None:
        """Fix what replies are made of, or leave it to the model again."""
        try:
            self.modalities = parse_modalities(names or None)
        except typer.BadParameter as error:
            say(error.message)

    def say(self, text: str) -> None:
        """Send a turn, print and save the reply. A turn that fails leaves the history as it was."""
        request = Request(
            content=[*self.attached, {"type": "text", "text": text}],
            modalities=self.modalities,
            model=self.model,
            seed=self.seed,
            history=self.history,
            after=self.after,
        )
        record, output = answer(self.pipeline, request, folder=self.folder, on_text=partial(print, end="", flush=True))
        print("", *media_lines(record, folder=self.folder), sep="\n", flush=True)
        self.attached = []
        self.seed += 1
        if output is None:
            self.num_failed += 1
        else:
            self.history = [*self.history, {"role": "user", "content": request.content}, output.message]
            self.after = record.id
