"""Films take long, so they are jobs: made on request, asked after, fetched when they are ready, forgotten after a while.

All of it lives in the event loop. A finished film is kept in a file without a name, which is gone when the server is.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from anygen.errors import AnyGenError
from anygen.serve import replies
from anygen.serve.chat_schema import Ask
from anygen.serve.loading import num_held
from anygen.serve.media_schema import Look
from anygen.serve.problems import as_anygen_error
from anygen.serve.service import Service
from anygen.serve.tickets import Ticket
from anygen.stream import GenerationStarted, GenerationStep

STATUSES = ("queued", "in_progress", "completed", "failed")


@dataclass(kw_only=True, eq=False)
class VideoJob:
    """One film that was asked for."""

    prompt: str
    model: str
    look: Look
    id: str = field(default_factory=lambda: f"video_{uuid.uuid4().hex}")
    created_at: int = field(default_factory=lambda: int(time.time()))
    status: str = "queued"
    progress: int = 0
    """Percent."""
    completed_at: int | None = None
    expires_at: int | None = None
    error: AnyGenError | None = None
    seed: int | None = None
    film: BinaryIO | None = None
    task: asyncio.Task | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end."""
        return self.status in ("completed", "failed")

    def public(self) -> dict[str, Any]:
        """The job as OpenAI's clients read it."""
        error = self.error and {key: value for key, value in self.error.public().items() if key in ("code", "message")}
        return {
            "id": self.id,
            "object": "video",
            "status": self.status,
            "progress": self.progress,
            "created_at": self.created_at,
            "completed_at": self.completed_at,
            "expires_at": self.expires_at,
            "model": self.model,
            "prompt": self.prompt,
            "size": self.look.size or "auto",
            "seconds": self.look.seconds or "auto",
            "error": error,
            "anygen": {"seed": self.seed},
        }


class VideoJobs:
    """The jobs of a server, oldest first."""

    def __init__(self, service: Service):
        self.service = service
        self.jobs: dict[str, VideoJob] = {}
        metrics = service.metrics
        metrics.watch_labels(metrics.jobs, STATUSES, lambda: Counter(job.status for job in list(self.jobs.values())))

    def start(self, ticket: Ticket, ask: Ask, *, look: Look) -> VideoJob:
        """Put a film in line. Raises `overloaded` where as many jobs are kept as may."""
        self._forget_old()
        if len(self.jobs) >= self.service.settings.max_jobs:
            over = next((job for job in self.jobs.values() if job.is_over), None)
            if over is None:
                raise AnyGenError("overloaded", f"{len(self.jobs)} jobs are not done", limit=len(self.jobs))
            self._drop(over)
        prompt = ask.conversation[-1].parts[-1].text
        job = VideoJob(prompt=prompt, model=self.service.model_name, look=look)
        loop = asyncio.get_running_loop()

        def on_event(event) -> None:
            if isinstance(event, (GenerationStarted, GenerationStep)) and not loop.is_closed():
                loop.call_soon_threadsafe(_advance, job, event)

        ticket.on_event = on_event
        self.service.submitted(ticket)
        self.jobs[job.id] = job
        job.task = loop.create_task(self._finish(job, ticket, num_bytes=num_held(ticket.conversation)))
        return job

    def find(self, id: str) -> VideoJob:
        """A job by its id. Raises `not_found`."""
        self._forget_old()
        if id not in self.jobs:
            raise AnyGenError("not_found", f"there is no job {id[:100]!r}, or it is no longer kept", where="video_id")
        return self.jobs[id]

    def delete(self, id: str) -> VideoJob:
        """Forget a job; one that is at work ends at its next step."""
        job = self.find(id)
        self._drop(job)
        return job

    async def close(self, *, grace_seconds: float) -> None:
        """Let the jobs come to their ends, for so long; then end them."""
        if tasks := [job.task for job in self.jobs.values() if not job.task.done()]:
            await asyncio.wait(tasks, timeout=grace_seconds)
        for job in list(self.jobs.values()):
            self._drop(job)

    async def _finish(self, job: VideoJob, ticket: Ticket, *, num_bytes: int) -> None:
        """Wait for the film and keep it."""
        try:
            async with self.service.holdings.account() as holding:
                holding.add(num_bytes)
                output = await asyncio.wrap_future(ticket.outcome)
            provenance = self.service.provenance(output)
            data = await asyncio.to_thread(replies.encode, output.videos[0], "mp4", provenance=provenance)
            film = output.videos[0]
            height, width = film.frames.shape[1:3]
            job.look = Look(size=f"{width}x{height}", seconds=f"{film.duration:g}")
            job.film = tempfile.TemporaryFile()
            job.film.write(data)
            job.seed, job.status, job.progress = output.seed, "completed", 100
        except Exception as error:
            job.status, job.error = "failed", as_anygen_error(error)
        finally:
            self.service.engine.leave(ticket)
            job.completed_at = int(time.time())
            job.expires_at = job.completed_at + round(self.service.settings.job_seconds)

    def _forget_old(self) -> None:
        now = time.time()
        for job in [job for job in self.jobs.values() if job.expires_at is not None and job.expires_at <= now]:
            self._drop(job)

    def _drop(self, job: VideoJob) -> None:
        self.jobs.pop(job.id, None)
        job.task.cancel()
        if job.film is not None:
            job.film.close()


def _advance(job: VideoJob, event: GenerationStarted | GenerationStep) -> None:
    if not job.is_over:
        job.status = "in_progress"
        job.progress = 99 * event.step // event.num_steps if isinstance(event, GenerationStep) else 0
