"""Processors of vision-language models whose part for films needs torchvision, without it: they read no films."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import (
    AutoFeatureExtractor,
    AutoImageProcessor,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedConfig,
    ProcessorMixin,
    Qwen2_5OmniProcessor,
)
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils import PROCESSOR_NAME, is_torchvision_available

FILMS = "video_processor"
"""What the part for films is called."""
READERS = {"image_processor": AutoImageProcessor, "feature_extractor": AutoFeatureExtractor, "tokenizer": AutoTokenizer}
"""What the other parts are called, and what reads them from a folder."""
PARTS_OF_OMNI = {"qwen2_5_omni_thinker": Qwen2_5OmniProcessor}
"""`model_type` of a part that transformers has no processor for by itself -> the processor of the whole."""


def load_processor(folder: str | Path, *, described: PreTrainedConfig) -> ProcessorMixin:
    """The processor of a folder; without torchvision one that has no part for films."""
    kind = (
        PROCESSOR_MAPPING[type(described)]
        if type(described) in PROCESSOR_MAPPING
        else PARTS_OF_OMNI.get(described.model_type)
    )
    names = [] if kind is None else kind.get_attributes()
    if FILMS not in names or not set(names) <= {FILMS, *READERS} or is_torchvision_available():
        return AutoProcessor.from_pretrained(folder, local_files_only=True)
    parts = {name: READERS[name].from_pretrained(folder, local_files_only=True) for name in names if name != FILMS}
    settings, _ = kind.get_processor_dict(folder, local_files_only=True)
    template = settings.get("chat_template") or parts["tokenizer"].chat_template
    return stills_only(kind).from_args_and_dict(
        [parts.get(name) for name in names], settings | {"chat_template": template}
    )


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

        def to_dict(self) -> dict[str, Any]:
            """The settings of a `kind`, and its parts but for films and words."""
            settings = super().to_dict()
            settings.pop(FILMS, None)
            return settings | {"processor_class": kind.__name__}

        def save_pretrained(self, save_directory: str | Path, **settings: Any) -> tuple[str, ...]:
            """Write tokenizer, with the chat template, reader of images, and everything else there is."""
            self.tokenizer.chat_template = self.chat_template
            files = self.tokenizer.save_pretrained(save_directory, **settings)
            files = (*files, *self.image_processor.save_pretrained(save_directory, **settings))
            self.to_json_file(Path(save_directory, PROCESSOR_NAME))
            return (*files, str(Path(save_directory, PROCESSOR_NAME)))

    return StillsOnly
