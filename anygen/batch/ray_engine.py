"""The engine for a cluster: Ray Data hands chunks to actors that hold the pipeline, on this machine or many.

    chunks --from_items--> map_batches(ChunkActor) --rows with the files' bytes--> this process writes them
Only this process writes to the run's folder, so the nodes need not share one. An actor that dies is started again by
Ray and its chunk with it; the third attempt goes one by one, and the item that kills an actor when it is alone ends
with `worker_died`. Without a cluster to connect to (RAY_ADDRESS) one is started here for the run, without a dashboard.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anygen.batch.folder import LOG, MEDIA, sync, sync_folder
from anygen.batch.items import BatchItem
from anygen.batch.local import MAX_ATTEMPTS
from anygen.batch.work import (
    Answered,
    Answerer,
    Chunk,
    EngineSettings,
    Reply,
    load_item,
    num_cores,
    save_reply,
    text_reply,
)
from anygen.errors import AnyGenError

OBJECT_STORE_BYTES = 200 * 2**20
"""Of a cluster that is started here: shared memory for what is on its way; Ray spills the rest to disk."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PackedReply:
    """A reply on its way to the process that writes it."""

    reply: Reply
    files: dict[str, bytes]
    """File name -> content."""


class Attempts:
    """How often each thing was begun without an end; lives in an actor of its own, for it outlives the others."""

    def __init__(self):
        self.begun: dict[str, int] = {}

    def begin(self, key: str) -> int:
        """Count one more attempt; returns the number."""
        self.begun[key] = self.begun.get(key, 0) + 1
        return self.begun[key]

    def end(self, key: str) -> None:
        """It went well."""
        self.begun.pop(key, None)


class ChunkActor:
    """What `map_batches` calls: one pipeline, answering chunks, each item by itself where that is needed."""

    def __init__(self, settings: EngineSettings, attempts: Any):
        self.settings, self.attempts = settings, attempts
        self.answerer = Answerer(settings)
        self.threads = ThreadPoolExecutor(max_workers=4)  # FFmpeg and the encoders work beside Python

    def __call__(self, batch: dict[str, Any]) -> dict[str, list]:
        """{"chunk": N chunks} -> {"ended": a list of (item, packed reply or error) for each}."""
        return {"ended": [self.answer(chunk) for chunk in batch["chunk"]]}

    def answer(self, chunk: Chunk) -> list[tuple[BatchItem, PackedReply | AnyGenError]]:
        """The wanted items of a chunk, in as many pieces as it takes."""
        key = " ".join(item.name for item in chunk.items)
        if self.counted("begin", key) <= MAX_ATTEMPTS:
            outcomes = self.outcomes(chunk.items)
        else:
            outcomes = [self.alone(item) for item in chunk.items]
        self.counted("end", key)
        ended = zip(chunk.items, outcomes, strict=True)
        return list(self.threads.map(self.packed, *zip(*((i, o) for i, o in ended if i.name in chunk.wanted), strict=True)))

    def alone(self, item: BatchItem) -> Any:
        """One item by itself; one that was begun before and never ended has killed its actor."""
        if self.counted("begin", item.name) > 1:
            return AnyGenError("worker_died", "an actor died over it again and again")
        (outcome,) = self.outcomes([item])
        self.counted("end", item.name)
        return outcome

    def outcomes(self, items: list[BatchItem]) -> list:
        """Outputs or errors, in order."""

        def load(item: BatchItem):
            try:
                return load_item(item)
            except AnyGenError as error:
                return error

        loaded = list(self.threads.map(load, items))
        asked = [pair for pair in zip(items, loaded, strict=True) if not isinstance(pair[1], AnyGenError)]
        answers = iter(self.answerer(asked))
        return [outcome if isinstance(outcome, AnyGenError) else next(answers) for outcome in loaded]

    def packed(self, item: BatchItem, outcome: Any) -> tuple[BatchItem, PackedReply | AnyGenError]:
        """An outcome with its media as the bytes of files."""
        if isinstance(outcome, AnyGenError):
            return item, outcome
        if (reply := text_reply(outcome)) is not None:
            return item, PackedReply(reply=reply, files={})
        place = f"{MEDIA}/{item.name[:2]}"
        with tempfile.TemporaryDirectory(prefix="anygen-") as folder:
            try:
                parts = save_reply(
                    item, outcome, folder=Path(folder), place=place, provenance=self.settings.has_provenance
                )
            except AnyGenError as error:
                return item, error
            files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        return item, PackedReply(reply=Reply(text=outcome.text, parts=parts), files=files)

    def counted(self, what: str, key: str) -> Any:
        """Tell the counter, and wait for its answer."""
        import ray

        return ray.get(getattr(self.attempts, what).remote(key))


class RayEngine:
    """Answers chunks; see the module. The input is in Ray's object store while the run lasts."""

    def __init__(self, settings: EngineSettings):
        self.settings = settings

    def run(self, chunks: Iterator[Chunk]) -> Iterator[Answered]:
        """The wanted items of all chunks, as they end. Raises `invalid_request` where Ray is not installed."""
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise AnyGenError("invalid_request", "--engine ray needs Ray; pip install 'anygen[ray]'") from error
        is_ours = not ray.is_initialized()
        try:
            if is_ours:
                start_ray()
            ray.data.DataContext.get_current().enable_progress_bars = False
            attempts = ray.remote(Attempts).options(num_cpus=0).remote()
            cluster = ray.cluster_resources()
            share = {"num_gpus": 1} if cluster.get("GPU") else {"num_cpus": cluster["CPU"] / self.settings.workers}
            rows = [{"chunk": chunk} for chunk in chunks]
            answered = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(  # a block ends as a whole
                ChunkActor,
                fn_constructor_kwargs={"settings": self.settings, "attempts": attempts},
                batch_size=1,
                compute=ray.data.ActorPoolStrategy(size=self.settings.workers),
                **share,
            )
            for row in answered.iter_rows():
                for item, outcome in row["ended"]:
                    yield Answered(item=item, outcome=self.written(item, outcome))
        except ray.exceptions.RayError as error:
            log.error("Ray ended the run", exc_info=error)
            raise AnyGenError("worker_died", f"Ray ended the run ({type(error).__name__}); see {LOG}") from error
        finally:
            if is_ours:
                ray.shutdown()

    def written(self, item: BatchItem, outcome: PackedReply | AnyGenError) -> Reply | AnyGenError:
        """An outcome with its files in the run's folder. Raises `storage_error`."""
        if isinstance(outcome, AnyGenError):
            return outcome
        folder = self.settings.folder / MEDIA / item.name[:2]
        try:
            for name, content in outcome.files.items():
                folder.mkdir(parents=True, exist_ok=True)
                with open(folder / f".{name}.part", "wb") as file:
                    file.write(content)
                    sync(file)
                os.replace(file.name, folder / name)
            if outcome.files:
                sync_folder(folder)
        except OSError as error:
            raise AnyGenError("storage_error", f"{folder}: {error.strerror}") from error
        return outcome.reply


def start_ray() -> None:
    """Connect to the cluster that RAY_ADDRESS names, or start one here that nobody else can reach.

    Raises `worker_died` where neither can be done.
    """
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report home
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    local = {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    local |= {"num_cpus": num_cores(), "object_store_memory": OBJECT_STORE_BYTES}
    try:
        ray.init(**quiet, **({} if os.environ.get("RAY_ADDRESS") else local))
    except Exception as error:  # Ray raises what it likes here, plain Exception among it
        log.error("Ray does not start", exc_info=error)
        raise AnyGenError("worker_died", f"Ray does not start: {str(error).splitlines()[0]}; see {LOG}") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
