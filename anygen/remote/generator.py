"""A generator behind an OpenAI-shaped endpoint: captions go there as they are, media come back.

    Condition {"caption": (N, 4096) UTF-8} --POST images/generations | audio/speech | videos--> N media

Its condition is the caption itself, so a text bridge alone reaches it: there is no denoiser here to train against.
Media are read within the bounds of `anygen/media/limits.py`; one that comes as an address, not as data, is refused,
since nothing is fetched from a place that the caller did not name.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anygen.errors import AnyGenError
from anygen.generators.generator import Condition, Generator, StepCallback
from anygen.media.load import load_media
from anygen.media.sources import decode_base64
from anygen.media.types import MEDIA
from anygen.remote.endpoint import Endpoint, endpoint_of

CONFIG_FILE = "remote.json"
MAX_CAPTION_BYTES = 4096
POLL_SECONDS = 0.5
"""How often a film that is being made is asked after."""
MAX_KEPT = 64
"""Media of a batch that failed which are kept for its second try."""


@dataclass(frozen=True, kw_only=True)
class RemoteGeneratorConfig:
    """How a remote generator is asked."""

    endpoint: Endpoint
    modality: str
    """"image", "video" or "audio"."""
    parameters: dict[str, int | float] = field(default_factory=dict)
    """Sampling parameters that callers may set, with their defaults, e.g. {"num_inference_steps": 20}."""
    extra_body: dict[str, Any] = field(default_factory=dict)
    """Fields of every request beside ours, and in their place, e.g. {"size": "512x512", "voice": "alloy"}; None leaves
    one of ours out."""
    max_parallel: int = 4
    """Requests at a time."""

    def __post_init__(self):
        if self.modality not in MEDIA:
            raise AnyGenError(
                "invalid_parameter", f"modality: found {self.modality!r}; expected one of {', '.join(MEDIA)}"
            )
        if self.max_parallel < 1:
            raise AnyGenError("invalid_parameter", f"max_parallel: found {self.max_parallel}; expected 1 or more")


class RemoteGenerator(Generator):
    """A generator that another program serves; it has no parameters here.

    Args:
        base_url: where, e.g. "http://127.0.0.1:8000/v1"; or an `Endpoint`.
        modality: what it makes.
        model: what it is called there; left out with an `Endpoint`.
        parameters, extra_body, max_parallel: see `RemoteGeneratorConfig`.
        settings: the other fields of `Endpoint`: api_key_env, deadline_seconds, max_tries, dialect, ...
    """

    def __init__(
        self,
        base_url: str | Endpoint,
        *,
        modality: str,
        model: str = "",
        parameters: Mapping[str, int | float] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        max_parallel: int = 4,
        **settings: Any,
    ):
        super().__init__()
        endpoint = endpoint_of(base_url, model=model, **settings)
        self.remote = RemoteGeneratorConfig(
            endpoint=endpoint, modality=modality, parameters=dict(parameters or {}), extra_body=dict(extra_body or {}),
            max_parallel=max_parallel,
        )  # fmt: skip
        self.modality = modality
        self._kept: dict[str, Any] = {}
        """Media of a batch that failed, by what was asked for: its second try, in halves, asks for none of them
        again."""

    @property
    def condition_spec(self) -> dict[str, tuple[int, ...]]:
        return {"caption": (MAX_CAPTION_BYTES,)}

    @property
    def default_parameters(self) -> dict[str, int | float]:
        return dict(self.remote.parameters)

    @property
    def settings(self) -> dict[str, int | float]:
        """As of every generator; all that there is stands in remote.json."""
        return {}

    @property
    def pipeline_components(self) -> dict[str, torch.nn.Module]:
        """None: they are elsewhere."""
        return {}

    def encode_text(self, captions: Sequence[str]) -> Condition:
        rows = torch.zeros(len(captions), MAX_CAPTION_BYTES, dtype=torch.uint8)
        for row, caption in zip(rows, captions, strict=True):
            data = caption.encode("utf-8")[:MAX_CAPTION_BYTES].decode("utf-8", errors="ignore").encode("utf-8")
            row[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else row[:0]
        return Condition({"caption": rows})

    def encode_media(self, media: Sequence) -> Tensor:
        raise self._untrainable()

    def denoising_loss(self, latents: Tensor, condition: Condition, *, generator: torch.Generator) -> Tensor:
        raise self._untrainable()

    def generate(
        self,
        condition: Condition,
        *,
        generators: Sequence[torch.Generator],
        negative: Condition | None = None,
        callback: StepCallback | None = None,
        **parameters,
    ) -> list:
        """N media, each a request of its own; `callback` hears of each that has come, as (how many, N)."""
        if unknown := sorted(set(parameters) - set(self.remote.parameters)):
            raise ValueError(
                f"unknown parameters {unknown} for {self.modality}; it takes {', '.join(self.remote.parameters)}"
            )
        settings = self.remote.parameters | parameters
        bodies = [
            self.body(
                bytes(row[row > 0].tolist()).decode("utf-8"), seed=generator.initial_seed() % 2**31, settings=settings
            )
            for row, generator in zip(condition["caption"].cpu(), generators, strict=True)
        ]
        keys = [hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest() for body in bodies]
        media = [self._kept.pop(key, None) for key in keys]
        with ThreadPoolExecutor(max_workers=self.remote.max_parallel, thread_name_prefix="anygen-remote") as pool:
            asked = {pool.submit(self.ask, bodies[row]): row for row, found in enumerate(media) if found is None}
            try:
                for number, done in enumerate(as_completed(asked), start=len(bodies) - len(asked) + 1):
                    media[asked[done]] = done.result()
                    if callback:
                        callback(number, len(bodies))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                finished = {
                    keys[row]: done.result() for done, row in asked.items() if done.done() and not _failed(done)
                }
                earlier = {key: medium for key, medium in zip(keys, media, strict=True) if medium is not None}
                self._kept = dict(list((self._kept | earlier | finished).items())[-MAX_KEPT:])
                raise
        return media

    @property
    def is_voice(self) -> bool:
        """Whether the endpoint reads captions aloud: OpenAI's makes no other sounds."""
        return self.modality == "audio" and self.remote.endpoint.dialect == "openai"

    def body(self, caption: str, *, seed: int, settings: Mapping[str, int | float]) -> dict[str, Any]:
        """What is asked for, in the endpoint's dialect."""
        body = {"model": self.remote.endpoint.model, "input" if self.is_voice else "prompt": caption, "seed": seed}
        body |= {"image": {"n": 1, "response_format": "b64_json"}, "audio": {"response_format": "wav"}, "video": {}}[
            self.modality
        ]
        if self.remote.endpoint.dialect == "anygen" and settings:
            body["generation"] = {self.modality: dict(settings)}
        else:
            body |= settings
        return {name: value for name, value in (body | self.remote.extra_body).items() if value is not None}

    def ask(self, body: dict[str, Any]) -> Any:
        """One medium. Raises what `Endpoint.post` raises, and `remote_bad_reply` for what is no medium."""
        data = {"image": self._image, "audio": self._audio, "video": self._video}[self.modality](body)
        try:
            return load_media(self.modality, data)
        except AnyGenError as error:
            raise AnyGenError("remote_bad_reply", f"{self.remote.endpoint.base_url}: {error}") from error

    def _image(self, body: dict[str, Any]) -> bytes:
        reply = self.remote.endpoint.post("images/generations", body).json()
        items = reply.get("data")
        item = items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}
        if not isinstance(item.get("b64_json"), str):
            found = "an address" if item.get("url") else "no picture"
            raise AnyGenError(
                "remote_bad_reply", f"{self.remote.endpoint.base_url}: found {found}; expected data[0].b64_json"
            )
        return decode_base64(item["b64_json"])

    def _audio(self, body: dict[str, Any]) -> bytes:
        return self.remote.endpoint.post("audio/speech" if self.is_voice else "audio/generate", body).content

    def _video(self, body: dict[str, Any]) -> bytes:
        """A film is a job: begun, asked after, fetched."""
        endpoint = self.remote.endpoint
        ends_at = time.monotonic() + endpoint.deadline_seconds
        job = endpoint.post("videos", body).json()
        name = job.get("id")
        if not isinstance(name, str) or not name.replace("-", "").replace("_", "").isalnum():
            raise AnyGenError("remote_bad_reply", f"{endpoint.base_url}: found the job {name!r}; expected its id")
        while job.get("status") in ("queued", "in_progress"):
            if time.monotonic() > ends_at:
                limit = endpoint.deadline_seconds
                detail = f"{endpoint.base_url}: the film was not there within {limit:g} s (deadline_seconds)"
                raise AnyGenError("deadline_exceeded", detail, limit=limit)
            time.sleep(POLL_SECONDS)
            job = endpoint.get(f"videos/{name}").json()
        if job.get("status") != "completed":
            raise AnyGenError(
                "remote_refused",
                f"{endpoint.base_url}: the job ended as {str(job.get('error') or job.get('status'))[:300]}",
            )
        return endpoint.get(f"videos/{name}/content").content

    def save_pretrained(self, folder: str | Path, *, leave_out: Sequence[str] = ()) -> None:
        """Write where it is; the key is not among it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG_FILE).write_text(json.dumps(asdict(self.remote), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, parts: Mapping[str, Any] | None = None) -> RemoteGenerator:
        """Read what `save_pretrained` wrote. Raises `model_load_error`."""
        from anygen.encoders.encoder import config_from_dict, read_json

        path = Path(folder) / CONFIG_FILE
        config = config_from_dict(RemoteGeneratorConfig, read_json(path), where=str(path))
        config.endpoint.check_trusted(where=str(path))
        settings = {name: getattr(config, name) for name in ("modality", "parameters", "extra_body", "max_parallel")}
        return cls(config.endpoint, **settings)

    def _untrainable(self) -> AnyGenError:
        detail = f"{self.remote.endpoint.source} has no latents here; expected a local generator for training"
        return AnyGenError("modality_not_supported", detail)


def _failed(done: Any) -> bool:
    return done.cancelled() or done.exception() is not None
