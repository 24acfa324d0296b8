"""What a run leaves behind: media files and `results.jsonl`, one record an item.

Last station of the data flow for the command line: `AnyGenOutput` -> files named by the item's id -> one JSON line.
Media appear whole under their names (see `media/save.py`), and a record is appended, with fsync, only after its files
are in place: what a record names exists. Nothing is named after the user's words.

    {"id": "3f0c...", "status": "ok", "text": "Here is ...", "parts": [{"type": "text", "text": "Here is ..."},
     {"type": "image", "path": "3f0c..._1.png"}], "seed": 0, "timings": {"image": 0.9}, "model": "nano",
     "version": "0.1.0", "error": null}
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from anygen.errors import AnyGenError

if TYPE_CHECKING:
    from anygen.outputs import AnyGenOutput

RESULTS = "results.jsonl"
SUFFIXES = {"image": ".png", "video": ".mp4", "audio": ".wav"}
"""The format that each medium is written in: PNG, MP4 (H.264) and WAV."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One line of `results.jsonl`: what became of one item."""

    id: str
    """Digest of the request; unique in its file."""
    status: Literal["ok", "failed"]
    model: str
    """The model's name, folder or hub id, as it was asked for."""
    seed: int
    text: str = ""
    """All that the reply says in words."""
    parts: list[dict[str, str]] = field(default_factory=list)
    """The reply in the order it was said: `{"type": "text", "text"}` or `{"type", "path"}`, paths relative to the file."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by stage."""
    version: str = field(default_factory=lambda: version("anygen"))
    error: dict[str, Any] | None = None
    """`{"code", "message"}` of a failed item."""

    def to_json(self) -> str:
        """The record as one line of JSON in ASCII, without the newline."""
        return json.dumps(asdict(self))


def failure(error: AnyGenError, *, id: str, model: str, seed: int) -> Record:
    """The record of an item that ended with `error`: its code and its fixed public sentence, no details."""
    return Record(id=id, status="failed", model=model, seed=seed, error=error.public())


def request_id(request: dict[str, Any], *, folder: Path) -> str:
    """A name for a request that is safe in a file name: 16 hexadecimal digits, "-2", "-3", ... for its repetitions.

    Args:
        request: what was asked, as JSON; media by their paths.
        folder: where the results go; an id that its `results.jsonl` already holds is not given again.
    """
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]
    taken = {record["id"] for record in read_records(folder)}
    candidates = (digest if number == 1 else f"{digest}-{number}" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in candidates if candidate not in taken)


def read_records(folder: Path) -> list[dict[str, Any]]:
    """The records of a folder, oldest first; a last line that was cut short by a crash is left out.

    Raises `bad_line` for a whole line that is not JSON.
    """
    path = folder / RESULTS
    if not path.exists():
        return []
    records = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
        try:
            records.append(json.loads(line))
        except ValueError as error:
            raise AnyGenError("bad_line", f"{path}, line {number}: {error}; mend or move the file") from error
    return records


def append_record(record: Record, *, folder: Path) -> None:
    """Adds a line to `folder/results.jsonl` and waits until it is on disk. Raises `storage_error`."""
    _make_folder(folder)
    try:
        with open(folder / RESULTS, "a+b") as file:
            _drop_torn_line(file)
            file.write(record.to_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise AnyGenError("storage_error", f"{folder / RESULTS}: {error.strerror}") from error


def _drop_torn_line(file) -> None:
    """Cuts what follows the last newline: half a record of a run that was killed while it wrote."""
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)


def save_output(output: AnyGenOutput, *, id: str, folder: Path) -> list[dict[str, str]]:
    """Writes a reply's media as `folder/{id}_{position}.{png, mp4, wav}` and returns the parts of its record.

    Each file appears whole or not at all. Raises `storage_error`, and `generation_not_finite` from the writers.
    """
    from anygen.media.save import save_media

    _make_folder(folder)
    parts = []
    for position, part in enumerate(output.parts):
        if part.type == "text":
            parts.append({"type": "text", "text": part.text})
        else:
            path = folder / f"{id}_{position}{SUFFIXES[part.type]}"
            save_media(part.media, path)
            parts.append({"type": part.type, "path": path.name})
    return parts


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnyGenError("storage_error", f"the folder {folder} cannot be made: {error.strerror}") from error
