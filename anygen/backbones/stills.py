"""Processors of vision-language models whose part for films needs torchvision, where there is none: they read images alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoImageProcessor, AutoProcessor, AutoTokenizer, PreTrainedConfig, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils import is_torchvision_available

FILMS = "video_processor"
"""What the part for films is called."""


def load_processor(folder: str | Path, *, described: PreTrainedConfig) -> ProcessorMixin:
    """The processor of a folder; without torchvision one that has no part for films."""
    kind = PROCESSOR_MAPPING[type(described)] if type(described) in PROCESSOR_MAPPING else None
    if kind is None or FILMS not in kind.get_attributes() or is_torchvision_available():
        return AutoProcessor.from_pretrained(folder, local_files_only=True)
    reader = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return stills_only(kind)(**{"image_processor": reader, "tokenizer": tokenizer, FILMS: None}, chat_template=tokenizer.chat_template)


def stills_only(kind: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """A class of processors that is content with None for films, and is otherwise `kind`."""

    class StillsOnly(kind):
        """See `stills_only`."""

        @classmethod
        def get_attributes(cls) -> list[str]:
            """The parts that there are."""
            return kind.get_attributes()

        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            """Everything but the part for films has to be what `kind` wants."""
            if argument_name == FILMS and argument is None:
                return type(None)
            return super().check_argument_for_proper_class(argument_name, argument)

        def save_pretrained(self, save_directory: str | Path, **settings: Any) -> tuple[str, ...]:
            """Write tokenizer, with the chat template, and reader of images."""
            self.tokenizer.chat_template = self.chat_template
            files = self.tokenizer.save_pretrained(save_directory, **settings)
            return (*files, *self.image_processor.save_pretrained(save_directory, **settings))

    return StillsOnly
