"""Where a batch comes from: JSONL (ours and OpenAI's), CSV, Parquet, a folder of media, or standard input.

A `BatchInput` can be read several times and is never held in memory. A line that cannot be read becomes an item with a
problem, so it has its record and the others have theirs; only a file that is no table at all ends the run.
"""

from __future__ import annotations

import csv
import json
import mimetypes
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from anygen.batch.items import BatchItem, with_folder
from anygen.batch.openai_lines import read_openai_line
from anygen.errors import AnyGenError
from anygen.media.formats import HEAD_BYTES, READABLE, sniff_format
from anygen.media.types import MEDIA

MAX_LINE_BYTES = 64 * 2**20
"""A longer line of JSONL is not read."""
KEYS = ("id", "messages", "text", "modalities", "params")
TABLES = (".csv", ".tsv", ".parquet")
LINES = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True, kw_only=True)
class BatchInput:
    """A source of items and what is asked where an item does not say it."""

    source: str
    """A path, or "-" once `spooled` has put standard input into a file."""
    modalities: list[str] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    instruction: str | None = None
    """What to do with each medium of a folder."""
    text_column: str = "text"
    """The column of a table that holds the request."""
    without: Path | None = None
    """A folder that is left out of a folder: that of the results."""

    def items(self) -> Iterator[tuple[str, BatchItem]]:
        """Each item with where it stands ("line 3"), in the order of the input.

        Raises `invalid_request` for a source of no known kind.
        """
        path = Path(self.source)
        if path.is_dir():
            found = self._folder(path)
        elif path.suffix.lower() in TABLES:
            found = self._table(path)
        elif path.suffix.lower() in LINES:
            found = self._lines(path)
        else:
            expected = f"a folder or a file that ends in {', '.join((*LINES, *TABLES))}"
            raise AnyGenError("invalid_request", f"INPUT: found {self.source!r}; expected {expected}")
        for where, item in found:
            modalities = self.modalities if item.modalities is None else item.modalities
            yield where, replace(item, modalities=modalities, params=_merged(self.params, item.params))

    def _lines(self, path: Path) -> Iterator[tuple[str, BatchItem]]:
        with open(path, "rb") as file:
            for number, line in enumerate(bounded_lines(file), start=1):
                if number == 1 and line:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if line is None or line.strip():
                    yield f"line {number}", read_line(line, number=number, folder=path.parent)

    def _table(self, path: Path) -> Iterator[tuple[str, BatchItem]]:
        rows = _parquet_rows(path) if path.suffix.lower() == ".parquet" else _csv_rows(path)
        for number, row in rows:
            if isinstance(row, AnyGenError):
                yield f"row {number}", BatchItem(id=f"row-{number}", problem=row)
            elif self.text_column not in row:
                columns = ", ".join(map(str, row))
                detail = f"{path.name}: found no column {self.text_column!r}, but {columns}; name it with --text-column"
                raise AnyGenError("invalid_request", detail)
            else:
                yield f"row {number}", self._row(row, number=number, folder=path.parent)

    def _row(self, row: Mapping[str, Any], *, number: int, folder: Path) -> BatchItem:
        """A row: the text, and the columns `id`, `modalities` (a list, or names with commas), `image`, ... if any."""
        given, text = row.get("id"), row[self.text_column]
        id = f"row-{number}" if given is None or given == "" else str(given)
        content = [{"type": kind, kind: _medium(row[kind])} for kind in MEDIA if row.get(kind)]
        if text is not None and str(text).strip():
            content.append({"type": "text", "text": str(text)})
        if not content:
            return BatchItem(id=id, problem=AnyGenError("nothing_to_answer", f"row {number} is empty"), is_skipped=True)
        modalities = row.get("modalities") or None
        if isinstance(modalities, str):
            modalities = [name.strip() for name in modalities.split(",")]
        return BatchItem(
            id=id, messages=with_folder([{"role": "user", "content": content}], folder), modalities=modalities
        )

    def _folder(self, folder: Path) -> Iterator[tuple[str, BatchItem]]:
        """Every file below a folder, by name, those whose names begin with a dot left out."""
        if not self.instruction:
            raise AnyGenError("invalid_request", "INPUT is a folder; say with --instruction what to do with each file")
        for path in sorted(folder.rglob("*")):
            place = path.relative_to(folder)
            hidden = any(part.startswith(".") for part in place.parts)
            own = self.without is not None and self.without.resolve() in (path.resolve(), *path.resolve().parents)
            if path.is_file() and not hidden and not own:
                yield place.as_posix(), self._file(path, id=place.as_posix())

    def _file(self, path: Path, *, id: str) -> BatchItem:
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
        found = sniff_format(head) if head else "empty"
        kind = "audio" if head[4:12] in (b"ftypM4A ", b"ftypM4B ") else _kind(found)
        claimed = (mimetypes.guess_type(path.name)[0] or "").split("/")[0]
        if kind is None and claimed not in MEDIA:
            problem = AnyGenError("media_type_not_allowed", f"{id} is no picture, film or sound")
            return BatchItem(id=id, problem=problem, is_skipped=True)
        kind = kind or claimed
        content = [{"type": kind, kind: str(path)}, {"type": "text", "text": self.instruction}]
        return BatchItem(id=id, messages=[{"role": "user", "content": content}])


def spooled(source: str) -> str:
    """The source itself, or for "-" a file with all of standard input, which the caller removes."""
    if source != "-":
        return source
    with tempfile.NamedTemporaryFile(prefix="anygen-", suffix=".jsonl", delete=False) as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return file.name


def bounded_lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Lines without their ends, None for one of more than `MAX_LINE_BYTES`; memory is bounded by that too."""
    while line := file.readline(MAX_LINE_BYTES):
        if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line.rstrip(b"\r\n")
            continue
        while (rest := file.readline(2**20)) and not rest.endswith(b"\n"):
            pass
        yield None


def read_line(line: bytes | None, *, number: int, folder: Path) -> BatchItem:
    """A line of JSONL; one that cannot be read is an item with a problem, under its number where it has no id."""
    id = f"line-{number}"
    try:
        if line is None:
            raise AnyGenError("bad_line", f"longer than {MAX_LINE_BYTES} bytes", line=number)
        try:
            given = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise AnyGenError("bad_line", f"{type(error).__name__}: {error}; expected JSON", line=number) from error
        if not isinstance(given, dict):
            raise AnyGenError("bad_line", f"found a {type(given).__name__}; expected an object", line=number)
        id = _id_of(given) or id
        return _item(given, id=id, folder=folder)
    except AnyGenError as error:
        return BatchItem(id=id, problem=AnyGenError(error.code, f"line {number}: {error.detail}", **error.fields))


def _id_of(given: Mapping[str, Any]) -> str:
    """The id as text, "" where there is none."""
    id = given.get("custom_id" if "body" in given else "id")
    if isinstance(id, int) and not isinstance(id, bool):
        return str(id)
    if id is not None and not isinstance(id, str):
        raise AnyGenError("invalid_request", f"id: found a {type(id).__name__}; expected a string", where="id")
    return id or ""


def _item(given: Mapping[str, Any], *, id: str, folder: Path) -> BatchItem:
    if "body" in given:
        return BatchItem(id=id, **read_openai_line(given))
    unknown = [key for key in given if key not in KEYS]
    if unknown or ("messages" in given) == ("text" in given):
        found = f"found the keys {', '.join(given)}; expected messages or text, and of {', '.join(KEYS)}"
        raise AnyGenError("invalid_request", found)
    params, modalities = given.get("params"), given.get("modalities")
    if params is not None and not isinstance(params, dict):
        raise AnyGenError("invalid_request", f"params: found a {type(params).__name__}; expected an object", where="params")
    messages = with_folder(given.get("messages", given.get("text")), folder)
    return BatchItem(id=id, messages=messages, modalities=modalities, params=params or {})


def _merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with defaults, those of a generator one by one."""
    merged = {**defaults, **given}
    for name in MEDIA:
        if isinstance(defaults.get(name), Mapping) and isinstance(given.get(name), Mapping):
            merged[name] = {**defaults[name], **given[name]}
    return merged


def _medium(cell: Any) -> Any:
    """A path, or the bytes: alone, or with the path that they once had, as `datasets` stores media."""
    return (cell.get("bytes") or cell.get("path")) if isinstance(cell, Mapping) else cell


def _kind(found: str) -> str | None:
    """What a format is a medium of: pictures first, then sounds, and containers of films last."""
    if found in READABLE["image"]:
        return "image"
    if found in ("mp4", "matroska", "avi"):
        return "video"
    return "audio" if found in READABLE["audio"] else None


def _csv_rows(path: Path) -> Iterator[tuple[int, dict | AnyGenError]]:
    """Rows by their line; bytes that are no UTF-8 become surrogates, which are refused with their item."""
    with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        while True:
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield reader.line_num, AnyGenError("bad_line", f"{error}", line=reader.line_num)
                continue
            row.pop(None, None)  # cells beyond the header
            yield reader.line_num, row


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict]]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise AnyGenError("invalid_request", "Parquet needs pyarrow; pip install 'anygen[batch]'") from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=64):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pyarrow.ArrowException, OSError) as error:
        raise AnyGenError("invalid_request", f"{path.name} is no Parquet file: {error}") from error
