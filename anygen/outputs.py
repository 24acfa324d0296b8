"""What a request comes back as: the reply in the order it was said, and how it was made (the end of the data flow)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from anygen.media.types import Audio, Video

if TYPE_CHECKING:
    from anygen.decoding import Segment
    from anygen.generators.generator import Condition


@dataclass(kw_only=True, eq=False)
class Told:
    """What the LLM said in one reply, before any medium of it is made."""

    segments: list[Segment] = field(default_factory=list)
    """Words and media in the order they were said."""
    num_prompt_tokens: int = 0
    """Tokens that it read, media included; a remote LLM's are those that the other side counted."""
    num_reply_tokens: int = 0
    """Tokens that it said, signal tokens included."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Signal:
    """How the LLM asked for a medium, and what its generator was given."""

    tokens: tuple[str, ...]
    """The run of signal tokens that it said, e.g. ("<image_0>", ..., "<image_3>"); none where a caption asked."""
    condition: Condition
    """What the bridge, or of a caption the generator, made of it: the condition of one item."""
    caption: str = ""
    """With a text bridge: the caption that it wrote; with `captions`: the caller's."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OutputPart:
    """One piece of a reply: words, or one candidate of one medium."""

    type: str
    """"text", "image", "video" or "audio"."""
    text: str | None = None
    """The words of a text part."""
    media: Any = None
    """The medium of another part: a PIL image, `Video` or `Audio`, or what `output_type` asked for."""
    candidate: int = 0
    """Which of the `num_outputs` candidates of the same medium this is."""
    signal: Signal | None = None
    """Of a part that is no text: where it comes from."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AnyGenOutput:
    """One reply.

    With `num_outputs=n` the n candidates of a medium follow each other in `parts` and in `images`, `videos`, `audios`.
    """

    parts: tuple[OutputPart, ...]
    """In the order in which the LLM said them."""
    seed: int
    """What to pass as `seed` to get the same bytes again."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by stage: "load", "encode", "llm", one for each modality made, "total". Those of the whole batch."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """How it was made: "model", "version", "seed" and the "parameters" that were set."""
    num_prompt_tokens: int = 0
    """Tokens that the LLM read, media included."""
    num_reply_tokens: int = 0
    """Tokens that it said, signal tokens included."""

    @property
    def text(self) -> str:
        """All that the reply says in words; where a medium stood between two words, a space does."""
        said = ""
        for part in self.parts:
            if part.type == "text":
                apart = said[-1:].strip() and part.text[:1].isalnum()
                said += f" {part.text}" if apart else part.text
        return said.strip()

    @property
    def images(self) -> list:
        """The pictures, in the order they were said."""
        return self.of("image")

    @property
    def videos(self) -> list:
        """The films, in the order they were said."""
        return self.of("video")

    @property
    def audios(self) -> list:
        """The recordings, in the order they were said."""
        return self.of("audio")

    def of(self, modality: str) -> list:
        """All media of one modality, in the order they were said."""
        return [part.media for part in self.parts if part.type == modality]

    @property
    def message(self) -> dict[str, Any]:
        """The reply as a message for the history of the next turn; of several candidates it holds the first."""
        content = []
        for part in self.parts:
            if part.candidate == 0:
                content.append({"type": part.type, part.type: part.text if part.type == "text" else part.media})
                if part.signal is not None and part.signal.caption:
                    content[-1]["caption"] = part.signal.caption
        return {"role": "assistant", "content": content}


def converted(medium: Any, output_type: str) -> Any:
    """A medium in the form that `output_type` names; see `GenerationParameters.output_type`."""
    if output_type == "pil":
        return medium
    if isinstance(medium, Video):
        array = medium.frames
    elif isinstance(medium, Audio):
        array = medium.waveform
    else:
        array = np.array(medium)
    if output_type == "np":
        return array
    import torch

    tensor = torch.from_numpy(array)
    return tensor.movedim(-1, -3) if tensor.ndim > 1 else tensor
