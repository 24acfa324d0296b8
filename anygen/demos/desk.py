"""Where the visitors of a page meet its one pipeline: they are answered one at a time, and told only what they may know.

    parts of a turn + history + settings -> Desk.stream -> events -> page
"""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anygen.demos.account import account_for, account_page
from anygen.errors import AnyGenError

if TYPE_CHECKING:
    from anygen.outputs import AnyGenOutput
    from anygen.pipeline import AnyGenPipeline
    from anygen.stream import Event

log = logging.getLogger(__name__)


class Desk:
    """One pipeline for many visitors.

    The page's queue lets one of them in at a time already; the lock is for the one who has left while a denoising step
    was still running.
    """

    def __init__(self, pipeline: AnyGenPipeline):
        self.pipeline = pipeline
        self.lock = threading.Lock()

    def stream(self, messages: Sequence[dict[str, Any]], **settings: Any) -> Iterator[Event]:
        """The pipeline's events for one conversation; a conversation that is too long loses its oldest turns."""
        with self.lock:
            yield from self.pipeline.stream(messages, truncate=True, **settings)

    def account(self, output: AnyGenOutput) -> str:
        """The panel of a reply, as HTML."""
        with self.lock:
            return account_page(account_for(self.pipeline, output), output)


def as_public(error: Exception) -> AnyGenError:
    """The error that a visitor is told of; what nobody foresaw goes to the log and is an `internal_error`."""
    if isinstance(error, AnyGenError):
        log.info("a turn failed: %s", error)
        return error
    log.exception("a turn failed", exc_info=error)
    return AnyGenError("internal_error")


def new_folder(parent: str) -> str:
    """A folder in `parent` with a name that cannot be guessed: what is in it is served to whoever names it."""
    path = Path(parent) / secrets.token_urlsafe(24)
    path.mkdir(parents=True)
    return str(path)


def forget_folder(folder: str) -> None:
    """Delete the files of a session that is over."""
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
