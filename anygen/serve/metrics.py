"""What the server counts, in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from anygen.stream import Event, GenerationStep, MediumReady

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Counters of one server; nothing is shared between two."""

    def __init__(self):
        self.registry = CollectorRegistry()
        kept = {"registry": self.registry}
        self.requests = Counter(
            "anygen_requests", "Requests that were answered, by what they ended with.", ("endpoint", "status", "code"), **kept
        )
        self.seconds = Histogram(
            "anygen_request_seconds", "From a request's head to the end of its reply.", ("endpoint",), buckets=SECONDS, **kept
        )
        self.batches = Histogram(
            "anygen_batch_size", "Requests that were answered together.", buckets=(1, 2, 4, 8, 16, 32, 64), **kept
        )
        self.steps = Counter("anygen_denoising_steps", "Denoising steps, one for each request.", ("modality",), **kept)
        self.media = Counter("anygen_media", "Media that were made.", ("modality",), **kept)
        self.waiting = Gauge("anygen_requests_waiting", "Requests that wait, by lane.", ("lane",), **kept)
        self.running = Gauge("anygen_requests_running", "Requests at work.", **kept)
        self.held = Gauge("anygen_held_bytes", "Bodies and fetched media of requests that are not answered yet.", **kept)
        self.jobs = Gauge("anygen_video_jobs", "Video jobs that are kept, by status.", ("status",), **kept)
        self.ready = Gauge("anygen_ready", "1 when the model is loaded and requests are taken.", **kept)
        ProcessCollector(registry=self.registry)

    def answered(self, endpoint: str, status: int, code: str, seconds: float) -> None:
        """Count a request; `code` is "" for one without an error."""
        self.requests.labels(endpoint, str(status), code).inc()
        self.seconds.labels(endpoint).observe(seconds)

    def batch_started(self, size: int) -> None:
        """Count a batch."""
        self.batches.observe(size)

    def happened(self, event: Event) -> None:
        """Count what the pipeline reports."""
        if isinstance(event, GenerationStep):
            self.steps.labels(event.modality).inc()
        elif isinstance(event, MediumReady):
            self.media.labels(event.modality).inc()

    def watch(self, gauge: Gauge, value: Callable[[], float]) -> None:
        """Ask for a value whenever the metrics are read."""
        gauge.set_function(value)

    def watch_labels(self, gauge: Gauge, names: tuple[str, ...], values: Callable[[], Mapping[str, int]]) -> None:
        """The same for a gauge with one label."""
        for name in names:
            gauge.labels(name).set_function(lambda name=name: values().get(name, 0))

    def text(self) -> bytes:
        """All of them."""
        return generate_latest(self.registry)
