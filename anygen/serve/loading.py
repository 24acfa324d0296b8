"""A request's media, from what a client named to pictures, films and sounds.

    fetch_media   addresses -> bytes, within the permissions of the server     asynchronous, before the request waits
    open_media    bytes, data URLs -> media of `anygen/media`                  in a thread, shortly before its turn
Whatever goes wrong is told with the place of the part that it went wrong in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from anygen.errors import AnyGenError
from anygen.messages import Conversation, Part
from anygen.serve.fetch import fetch
from anygen.serve.path_guard import read_file
from anygen.serve.settings import ServeSettings
from anygen.serve.url_guard import Resolve, resolve_host


async def fetch_media(conversation: Conversation, *, settings: ServeSettings, resolve: Resolve = resolve_host) -> Conversation:
    """The conversation with bytes in the place of addresses.

    Raises `url_not_allowed`, `path_not_allowed`, `url_unreadable`, `media_too_large`, `media_timeout`.
    """

    async def fetched(part: Part) -> Part:
        address = part.media
        if part.type == "text" or not isinstance(address, str) or address[:5].lower() == "data:":
            return part
        with _at(part):
            if address[:7].lower() in ("http://", "https:/"):
                return replace(part, media=await fetch(address, settings=settings, resolve=resolve))
            scheme = address[:20].partition(":")[0].lower()
            if ":" in address[:20] and scheme != "file":
                raise AnyGenError("url_not_allowed", f"found an address of the kind {scheme!r}; expected data:")
            limits = {"root": settings.media_root, "max_bytes": settings.media.max_bytes}
            return replace(part, media=await asyncio.to_thread(read_file, address, **limits))

    turns = []
    for turn in conversation:
        parts = [await fetched(part) for part in turn.parts] if turn.role == "user" else turn.parts
        turns.append(replace(turn, parts=tuple(parts)))
    return tuple(turns)


def open_media(conversation: Conversation, *, settings: ServeSettings) -> Conversation:
    """The conversation with its media decoded. Raises the `media_...` codes and `invalid_base64`."""
    from anygen.media.load import load_media

    room = settings.max_decoded_bytes
    turns = []
    for turn in conversation:
        parts = []
        for part in turn.parts:
            if part.type != "text" and turn.role == "user":
                with _at(part):
                    part = replace(part, media=load_media(part.type, part.media, limits=settings.media))
                    room -= num_bytes(part.media)
                    if room < 0:
                        detail = f"the media so far take more than {settings.max_decoded_bytes} bytes"
                        raise AnyGenError("media_too_large", detail, limit=settings.max_decoded_bytes)
            parts.append(part)
        turns.append(replace(turn, parts=tuple(parts)))
    return tuple(turns)


def num_bytes(medium: Any) -> int:
    """What an open medium takes in memory."""
    from anygen.media.types import Audio, Video

    if isinstance(medium, Video):
        return medium.frames.nbytes + (medium.audio.waveform.nbytes if medium.audio else 0)
    if isinstance(medium, Audio):
        return medium.waveform.nbytes
    return 3 * medium.width * medium.height


def num_held(conversation: Conversation) -> int:
    """What the media of a conversation take before they are opened."""
    media = [part.media for turn in conversation for part in turn.parts]
    return sum(len(medium) for medium in media if isinstance(medium, (str, bytes)))


@contextmanager
def _at(part: Part) -> Iterator[None]:
    try:
        yield
    except AnyGenError as error:
        fields = {"where": part.where} | error.fields
        raise AnyGenError(error.code, f"{part.where}: {error.detail}", **fields) from error
