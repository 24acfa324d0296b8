"""One line of a batch's input: what is asked, under which id, and what is derived from the id.

Files, seeds and the place of an item among the results come from its id alone, so an item is the same wherever it
stands and whenever it is done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anygen.errors import AnyGenError
from anygen.media.types import MEDIA
from anygen.messages import read_conversation
from anygen.parameters import GenerationParameters

PARAMETERS = ("captions", "seed", "num_outputs", "truncate", "max_new_tokens", "temperature", "top_p", *MEDIA)
"""What `params` of an item may hold; see `GenerationParameters`."""


@dataclass(frozen=True, kw_only=True)
class BatchItem:
    """One request of a batch."""

    id: str
    messages: Any = None
    """A string, or messages in the hub's chat format, as they were given."""
    modalities: list[str] | None = None
    """What to answer with; None leaves it to the model."""
    params: dict[str, Any] = field(default_factory=dict)
    problem: AnyGenError | None = None
    """Why it cannot be asked at all; such an item meets no model."""
    is_skipped: bool = False
    """Whether there is nothing to ask, which is nobody's fault: an empty cell, a file that is no medium."""

    @property
    def name(self) -> str:
        """32 hexadecimal digits that stand for the id, in file names for one."""
        return hashlib.sha256(self.id.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    @property
    def request(self) -> str:
        """16 hexadecimal digits that stand for what is asked."""
        asked = [self.messages, self.modalities, self.params, self.problem and self.problem.code, self.is_skipped]
        return hashlib.sha256(json.dumps(asked, sort_keys=True, default=_digest).encode()).hexdigest()[:16]

    def seed(self, run_seed: int) -> int:
        """Its own seed, or one derived from the run's and its id, from 0 to 2**32 - 1.

        Within the item every modality, index and candidate has numbers of its own (see `seeds.py`).
        """
        given = self.params.get("seed")
        digest = hashlib.sha256(f"{run_seed}/{self.name}".encode()).digest()
        return int.from_bytes(digest[:4], "big") if given is None else given

    def conversation(self):
        """The messages as the pipeline takes them. Raises `invalid_request`."""
        return read_conversation(self.messages)

    def parameters(self, run_seed: int) -> GenerationParameters:
        """How it is to be answered. Raises `invalid_parameter`."""
        for name in self.params:
            if name not in PARAMETERS:
                detail = f"params: found {name!r}; expected some of {', '.join(PARAMETERS)}"
                raise AnyGenError("invalid_parameter", detail, where="params")
        return GenerationParameters.read(**self.params | {"modalities": self.modalities, "seed": self.seed(run_seed)})

    @property
    def prompt(self) -> str:
        """All that the user says in words in the last turn."""
        turn = self.messages if isinstance(self.messages, str) else self.messages[-1]["content"]
        parts = [{"type": "text", "text": turn}] if isinstance(turn, str) else turn
        return " ".join(part["text"] for part in parts if part["type"] == "text")

    @property
    def has_media(self) -> bool:
        """Whether a file or array has to be opened first; true as well of what is not well formed."""
        if isinstance(self.messages, str):
            return False
        try:
            contents = [message["content"] for message in self.messages]
            return any(part["type"] != "text" for parts in contents if not isinstance(parts, str) for part in parts)
        except (TypeError, KeyError):
            return True


def _digest(value: Any) -> str:
    """What JSON has no form for: bytes of a table, mostly."""
    return hashlib.sha256(value if isinstance(value, bytes) else repr(value).encode()).hexdigest()


def with_folder(messages: Any, folder: Path) -> Any:
    """Messages whose relative paths are seen from `folder`; what is no path, or not well formed, is left as it is."""

    def part_in(part: Any) -> Any:
        if not isinstance(part, Mapping) or part.get("type") not in MEDIA:
            return part
        source = part.get(part["type"])
        if not isinstance(source, str) or ":" in source[:32] or Path(source).is_absolute():
            return part
        return {**part, part["type"]: str(folder / source)}

    def message_in(message: Any) -> Any:
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), list):
            return message
        return {**message, "content": [part_in(part) for part in message["content"]]}

    return [message_in(message) for message in messages] if isinstance(messages, list) else messages
