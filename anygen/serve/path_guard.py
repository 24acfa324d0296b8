"""Files of one folder, and of no other place, for clients that name media by `file://` addresses.

The path is resolved first, links and all, and must lie inside the root; then it is walked from the root down without
following a link, so that nothing can be swapped between the check and the opening.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import unquote

from anygen.errors import AnyGenError

_SCHEME = "file://"


def read_file(address: str, *, root: Path | None, max_bytes: int) -> bytes:
    """The bytes of a file under `root`, named `file:///absolute/path`, or `file://` and a path relative to the root.

    Raises `path_not_allowed` (no root, outside of it, no regular file) and `media_too_large`.
    """
    if root is None:
        raise AnyGenError("path_not_allowed", "found a path; this server reads no files (--media-root)")
    path = unquote(address.removeprefix(_SCHEME))
    base = os.path.realpath(root)
    try:
        real = os.path.realpath(os.path.join(base, path))
    except ValueError as error:  # a NUL in it
        raise AnyGenError("path_not_allowed", f"found {path[:200]!r}: {error}") from error
    inside = os.path.relpath(real, base)
    if os.path.commonpath([real, base]) != base or inside == os.curdir:
        raise AnyGenError("path_not_allowed", f"found {path[:200]!r}, which leads to {real}; expected a file under {base}")
    try:
        return _read_below(base, inside.split(os.sep), max_bytes=max_bytes)
    except OSError as error:
        raise AnyGenError("path_not_allowed", f"{real} cannot be opened: {error.strerror}") from error


def _read_below(base: str, names: list[str], *, max_bytes: int) -> bytes:
    folder = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in names[:-1]:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        # Not blocking: to open a FIFO would wait for its writer.
        descriptor = os.open(names[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise AnyGenError("path_not_allowed", f"{names[-1]} is not a regular file")
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise AnyGenError("media_too_large", f"the file has more than {max_bytes} bytes", limit=max_bytes)
    return data
