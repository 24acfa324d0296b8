"""A reply while it comes into being: events of `AnyGenPipeline.stream` -> what the page shows at each moment.

Words appear as they are said. A medium has its place from the moment the LLM asks for it: first a bar of its
generator's steps, then the medium itself, whichever of several is ready first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from anygen.demos.conversation import ShownPart
from anygen.media.save import save_media
from anygen.records import SUFFIXES
from anygen.stream import Event, GenerationStep, MediumAsked, MediumReady, TextDelta

LABELS = {"text": "Text", "image": "Image", "video": "Video", "audio": "Audio"}
"""How the pages name the modalities."""
TITLES = {
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "num_frames": "frames",
    "audio_length_in_s": "seconds",
}
"""How they name the generators' parameters."""


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A medium that was asked for and is not there yet."""

    type: str
    step: int = 0
    num_steps: int = 0
    """0 until its generator has begun."""

    @property
    def content(self) -> str:
        """The medium's place in the chat, with a bar."""
        name = LABELS[self.type]
        if not self.num_steps:
            return f'<div class="making {self.type}">{name} <progress></progress> waiting</div>'
        bar = f'<progress value="{self.step}" max="{self.num_steps}"></progress>'
        return f'<div class="making {self.type}">{name} {bar} step {self.step} of {self.num_steps}</div>'


class ReplyInMaking:
    """Parts of a reply in the order they were said, each as far as it has come.

    Args:
        folder: where media are written; nothing else is in it.
        num_before: media of each modality that the conversation holds already: files are numbered from there on.
    """

    def __init__(self, *, folder: Path, num_before: Mapping[str, int] | None = None):
        self.folder = folder
        self.num_before = num_before or {}
        self.parts: list[ShownPart | Pending] = []

    def hear(self, event: Event) -> None:
        """Take one event in. Raises `storage_error` where a medium cannot be written."""
        match event:
            case TextDelta():
                self._say(event.text)
            case MediumAsked():
                self.parts.append(Pending(type=event.modality))
            case GenerationStep():
                step = {"step": event.step, "num_steps": event.num_steps}
                self.parts = [
                    replace(part, **step) if isinstance(part, Pending) and part.type == event.modality else part
                    for part in self.parts
                ]
            case MediumReady():
                places = [place for place, part in enumerate(self.parts) if part.type == event.modality]
                self.parts[places[event.index]] = self._kept(event)

    def _say(self, text: str) -> None:
        last = self.parts[-1] if self.parts else None
        if last is not None and last.type == "text":
            self.parts[-1] = replace(last, text=last.text + text)
        else:
            self.parts.append(ShownPart(type="text", text=text.lstrip()))

    def _kept(self, event: MediumReady) -> ShownPart:
        """A medium as a file of its own."""
        number = self.num_before.get(event.modality, 0) + event.index + 1
        path = self.folder / f"{event.modality}-{number}{SUFFIXES[event.modality]}"
        save_media(event.media, path)
        return ShownPart(type=event.modality, media=event.media, path=str(path))

    @property
    def messages(self) -> list[dict]:
        """The parts so far as messages of the page's chat."""
        return [{"role": "assistant", "content": part.content} for part in self.parts if part.content]

    @property
    def finished(self) -> tuple[ShownPart, ...]:
        """The parts, once all media are there; blank words are left out."""
        return tuple(part for part in self.parts if isinstance(part, ShownPart) and (part.path or part.text.strip()))
