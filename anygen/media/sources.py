"""From whatever names a medium's bytes to one seekable file, with the size checked before anything is read.

`path | bytes | binary file object | data URL -> binary file`, at position 0. What the bytes mean is decided later, by
their content (`formats.py`): neither a file's name nor a data URL's media type is believed.
"""

import base64
import binascii
import io
import os
import re
import stat
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from anygen.errors import AnyGenError
from anygen.media.limits import DEFAULT_LIMITS, MediaLimits

_DATA_URL = re.compile(r"data:(?P<type>[^,;]*)(?P<parameters>(;[^,;]*)*),", re.IGNORECASE)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


def open_source(source: object, *, limits: MediaLimits = DEFAULT_LIMITS) -> BinaryIO:
    """A readable, seekable binary file with the bytes of `source`; the caller closes it.

    Args:
        source: a path (`str` or `os.PathLike`), a data URL (`str`), bytes, or an object with `read()` that gives bytes.
        limits: `max_bytes` is checked before a file is read and before base64 is decoded.

    Raises `media_empty`, `media_too_large`, `path_not_allowed` (no such file, or not a regular one), `url_not_allowed`,
    `invalid_base64`, and `invalid_request` for another type of source.
    """
    if isinstance(source, str) and source[:5].lower() == "data:":
        return _checked(io.BytesIO(decode_data_url(source, limits=limits)), limits)
    if isinstance(source, str) and _ADDRESS.match(source) and not os.path.exists(source):
        raise AnyGenError("url_not_allowed", "the source is an address; expected a path or data; download it first")
    if isinstance(source, (str, os.PathLike)):
        return _checked(_open_path(Path(source)), limits)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _checked(io.BytesIO(source), limits)
    if hasattr(source, "read"):
        data = source.read(limits.max_bytes + 1)
        if not isinstance(data, bytes):
            raise AnyGenError("invalid_request", f"the file object gave {type(data).__name__}; open it in binary mode")
        return _checked(io.BytesIO(data), limits)
    raise AnyGenError(
        "invalid_request",
        f"a medium of type {type(source).__name__}; expected a path, bytes, a binary file, a data URL or an array",
    )


def decode_data_url(url: str, *, limits: MediaLimits = DEFAULT_LIMITS) -> bytes:
    """The bytes of `data:[<media type>];base64,<text>`. Raises `invalid_base64` and `media_too_large`."""
    match = _DATA_URL.match(url[:512])
    if match is None or ";base64" not in match["parameters"].lower():
        raise AnyGenError("invalid_base64", "the data URL is not of the form data:<media type>;base64,<text>")
    _check_base64_size(url, match.end(), limits)
    return decode_base64(url[match.end() :], limits=limits)


def split_data_url_frames(url: str, *, limits: MediaLimits = DEFAULT_LIMITS) -> list[bytes] | None:
    """The frames of `data:video/jpeg;base64,<frame>,<frame>,...`, or None where `url` is another kind of text.

    Their number is checked against `max_frames`, and their total size against `max_bytes`, before any is decoded.
    """
    match = _DATA_URL.match(url[:512])
    if match is None or match["type"].lower() != "video/jpeg" or ";base64" not in match["parameters"].lower():
        return None
    num_frames = url.count(",", match.end()) + 1
    if num_frames > limits.max_frames:
        raise AnyGenError(
            "media_too_large",
            f"{num_frames} frames; expected at most {limits.max_frames}",
            found=num_frames,
            limit=limits.max_frames,
        )
    _check_base64_size(url, match.end(), limits)
    return [decode_base64(frame, limits=limits) for frame in url[match.end() :].split(",")]


def decode_base64(text: str, *, limits: MediaLimits = DEFAULT_LIMITS) -> bytes:
    """The bytes of standard, padded base64; line breaks are skipped, percent escapes resolved.

    A space is refused, for it is what a `+` becomes when a URL is decoded twice: skipping it would change the data.
    Raises `media_too_large` by the text's length, before decoding, and `invalid_base64`.
    """
    _check_base64_size(text, 0, limits)
    try:
        raw = unquote_to_bytes(text) if "%" in text else text.encode("ascii")
        return base64.b64decode(raw.translate(None, b"\r\n"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise AnyGenError(
            "invalid_base64", "the text is not base64; expected A-Z a-z 0-9 + / padded with = and no spaces"
        ) from error


def _open_path(path: Path) -> BinaryIO:
    try:
        # Asked before opening: to open a FIFO or a device may wait for ever or act on it.
        if not stat.S_ISREG(path.stat().st_mode):
            raise AnyGenError("path_not_allowed", f"{path} is not a regular file; expected the path of a media file")
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise AnyGenError("path_not_allowed", f"{str(path)[:200]!r} cannot be opened") from error


def _checked(file: BinaryIO, limits: MediaLimits) -> BinaryIO:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        _check_size(size, limits)
        if size == 0:
            raise AnyGenError("media_empty", "found 0 bytes; expected a media file")
    except AnyGenError:
        file.close()
        raise
    return file


def _check_base64_size(text: str, start: int, limits: MediaLimits) -> None:
    """Check what `text[start:]` decodes to at least, without a copy of it."""
    characters = len(text) - start - text.count("\n", start) - text.count("\r", start)
    _check_size(3 * characters // 4 - 2, limits)


def _check_size(size: int, limits: MediaLimits) -> None:
    if size > limits.max_bytes:
        raise AnyGenError(
            "media_too_large",
            f"{size} bytes; expected at most {limits.max_bytes} (MediaLimits.max_bytes)",
            found=size,
            limit=limits.max_bytes,
        )
