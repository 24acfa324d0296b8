"""What a visitor sends with a turn -> parts that are loaded, bounded and known to be media (step 1 of the data flow).

The kind of a file is told by its content, never by its name. Bounds are narrower than the library's, for what is sent
here stays in memory as long as the conversation does.
"""

from __future__ import annotations

from collections.abc import Sequence

from anygen.demos.conversation import ShownPart
from anygen.errors import AnyGenError
from anygen.media.formats import HEAD_BYTES, READABLE, check_format, sniff_format
from anygen.media.limits import MediaLimits
from anygen.media.load import load_media

MAX_TEXT = 20_000
"""Characters of one turn."""
MAX_FILES = 8
"""Files of one turn."""
LIMITS = MediaLimits(
    max_bytes=64 * 2**20, max_image_pixels=24_000_000, max_seconds=120.0, max_frames=32, max_frame_side=320
)
MAX_PICTURE_SIDE = 1024
"""Pixels; larger pictures are scaled down to it."""


def read_turn(text: str | None, paths: Sequence[str]) -> tuple[ShownPart, ...]:
    """The parts of a visitor's turn, media first.

    `paths` are files that the page's own upload has stored. Raises `invalid_request` for nothing and for too many files,
    `context_length_exceeded`, and the `media_...` codes.
    """
    text = (text or "").strip()
    if len(text) > MAX_TEXT:
        detail = f"found {len(text)} characters; expected at most {MAX_TEXT}; shorten the text"
        raise AnyGenError("context_length_exceeded", detail, found=len(text), limit=MAX_TEXT)
    if len(paths) > MAX_FILES:
        detail = f"found {len(paths)} files; expected at most {MAX_FILES}"
        raise AnyGenError("invalid_request", detail, found=len(paths), limit=MAX_FILES)
    if not text and not paths:
        raise AnyGenError("invalid_request", "found neither words nor files; expected some")
    media = tuple(read_file(path) for path in paths)
    return (*media, ShownPart(type="text", text=text)) if text else media


def read_file(path: str) -> ShownPart:
    """One uploaded file as the medium that it is. Raises the `media_...` codes."""
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    if sniff_format(head) in READABLE["image"]:
        picture = load_media("image", path, limits=LIMITS)
        picture.thumbnail((MAX_PICTURE_SIDE, MAX_PICTURE_SIDE))
        return ShownPart(type="image", media=picture, path=path)
    found = check_format(head, "video")
    if found in ("mp4", "matroska", "avi"):
        try:
            return ShownPart(type="video", media=load_media("video", path, limits=LIMITS), path=path)
        except AnyGenError as error:
            if error.code != "media_no_video_stream":
                raise
    return ShownPart(type="audio", media=load_media("audio", path, limits=LIMITS), path=path)
