"""What is done with items in whichever process: load their media, answer a chunk, save a reply.

    BatchItem --load_item--> conversation --Answerer--> AnyGenOutput --save_reply--> Reply
A chunk is what goes through the model together. It is always the same items of the input, also when some of them are
done already, since the last bits of a result depend on what is beside it in a batch.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anygen.batch.folder import sync_folder
from anygen.batch.items import BatchItem
from anygen.errors import AnyGenError
from anygen.media.load import load_part
from anygen.media.save import save_media
from anygen.messages import Conversation
from anygen.parameters import MAX_ENLARGEMENT
from anygen.records import SUFFIXES

if TYPE_CHECKING:
    from anygen.outputs import AnyGenOutput

MAX_PROMPT_CHARACTERS = 4096
"""Of the prompt that a file is told it was made from."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """What an engine has to know."""

    model: str
    seed: int
    """Of the run."""
    batch_size: int
    workers: int
    """Processes that hold the model."""
    folder: Path
    """Where the run's results are."""
    has_provenance: bool = True
    """Whether files say how they were made."""
    max_enlargement: float = MAX_ENLARGEMENT
    """How many times as large as the model's own a medium may be that an item asks for."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Items that go through the model together."""

    items: list[BatchItem]
    wanted: frozenset[str]
    """The names of those whose results are missing."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What an item came back as, with its files on disk."""

    text: str
    parts: list[dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The end of one item."""

    item: BatchItem
    outcome: Reply | AnyGenError


def load_item(item: BatchItem) -> Conversation:
    """The item's conversation with the user's media opened. Raises `invalid_request` and the `media_...` codes."""
    return tuple(
        replace(turn, parts=tuple(load_part(part) for part in turn.parts)) if turn.role == "user" else turn
        for turn in item.conversation()
    )


def save_reply(item: BatchItem, output: AnyGenOutput, *, folder: Path, place: str, provenance: bool) -> list[dict[str, str]]:
    """Write the media of a reply as `folder/{name}_{position}.png` and so on; returns the parts of its record.

    `place` is what the record calls the folder. Files, their names too, are on disk on return.
    Raises `storage_error` and `generation_not_finite`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnyGenError("storage_error", f"the folder {folder} cannot be made: {error.strerror}") from error
    told = {"prompt": item.prompt[:MAX_PROMPT_CHARACTERS], **output.provenance} if provenance else None
    parts = []
    for position, part in enumerate(output.parts):
        if part.type == "text":
            parts.append({"type": "text", "text": part.text})
        else:
            path = save_media(part.media, folder / f"{item.name}_{position}{SUFFIXES[part.type]}", provenance=told)
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            parts.append({"type": part.type, "path": f"{place}/{path.name}", "sha256": digest})
    sync_folder(folder)
    return parts


def text_reply(output: AnyGenOutput) -> Reply | None:
    """The reply of an output without media, which needs no saving; None for another."""
    if any(part.type != "text" for part in output.parts):
        return None
    return Reply(text=output.text, parts=[{"type": "text", "text": part.text} for part in output.parts])


class Answerer:
    """A pipeline that answers chunks: what a process that holds the model does."""

    def __init__(self, settings: EngineSettings, *, index: int = 0):
        from anygen.cli.terminal import quiet_libraries

        quiet_libraries()
        import torch
        import tqdm

        from anygen.pipeline import AnyGenPipeline

        tqdm.tqdm.set_lock(threading.RLock())  # its own is a semaphore, which outlives a process that is killed

        self.settings = settings
        torch.set_num_threads(max(1, num_cores() // settings.workers))
        self.pipeline = AnyGenPipeline.from_pretrained(settings.model)
        if torch.cuda.is_available():
            self.pipeline.to(f"cuda:{index % torch.cuda.device_count()}")

    def __call__(self, asked: list[tuple[BatchItem, Conversation | None]]) -> list[AnyGenOutput | AnyGenError]:
        """Outputs or errors in the order of what was asked; an item without a conversation has no media to load."""
        from anygen.scheduling import ItemRequest, answer_requests

        requests: dict[int, ItemRequest] = {}
        outcomes: dict[int, Any] = {}
        for index, (item, conversation) in enumerate(asked):
            try:
                conversation = conversation or item.conversation()
                parameters = item.parameters(self.settings.seed)
                parameters.check_generators(self.pipeline.generators, max_enlargement=self.settings.max_enlargement)
                requests[index] = ItemRequest(conversation=conversation, parameters=parameters)
            except AnyGenError as error:
                outcomes[index] = error.with_traceback(None)
        started = time.perf_counter()
        answers = answer_requests(self.pipeline, list(requests.values()), max_batch_size=self.settings.batch_size)
        timings = next((a.timings for a in answers if not isinstance(a, AnyGenError)), {})
        stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in timings.items())
        log.info("%d items in %.2f s: %s", len(asked), time.perf_counter() - started, stages)
        outcomes |= dict(zip(requests, map(_without_tensors, answers), strict=True))
        return [outcomes[index] for index in range(len(asked))]


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _without_tensors(outcome: AnyGenOutput | AnyGenError) -> AnyGenOutput | AnyGenError:
    """An outcome as processes without torch can read it."""
    if isinstance(outcome, AnyGenError):
        return outcome
    return replace(outcome, parts=tuple(replace(part, signal=None) for part in outcome.parts))
