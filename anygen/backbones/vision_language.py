"""Models of the hub that see by themselves (LLaVA, Qwen2.5-VL, Qwen3-VL, SmolVLM, Gemma 3), or hear too (Qwen2.5-Omni).

    image, audio --the model's own processor--> placeholder tokens of its kind, and features --the whole model--> states

anygen adds the output side alone: signal tokens, bridges and decoding. Images are read, and sounds where the processor
has a part for them; films need processors that transformers builds on torchvision, and are refused as media that this
model does not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import Cache, DynamicCache, PreTrainedModel, ProcessorMixin, WhisperFeatureExtractor

from anygen.backbones.backbone import Backbone, BackboneConfig
from anygen.backbones.session import RowwiseSession, Session, cache_name
from anygen.backbones.words import SENTINEL
from anygen.errors import AnyGenError
from anygen.media.sampling import resample
from anygen.media.types import Audio
from anygen.messages import Part

if TYPE_CHECKING:
    from anygen.chat import Inputs

IDS = ("input_ids", "attention_mask")
"""What a processor makes of the words; the rest is of the media."""
READERS = {"image": ("image_processor", "images"), "audio": ("feature_extractor", "audio")}
"""Modality -> the part of a processor that reads it, and the argument that takes it."""
SHORTEST_SOUND = 3
"""Windows of a spectrogram that become one token; fewer become none."""


def _reads(processor: ProcessorMixin, modality: str) -> bool:
    """Whether a processor has a part for a modality; of those for sounds, the one whose bounds `_sound` keeps."""
    part = READERS[modality][0]
    return part in processor.get_attributes() and (
        modality != "audio" or isinstance(getattr(processor, part), WhisperFeatureExtractor)
    )


class VisionLanguageBackbone(Backbone):
    """A whole vision-language model. Rows are read one by one, since each brings pixels of its own shape."""

    lora_targets = r".*(language_model|text_model).*\.(q|k|v|o|gate|up|down)_proj"  # not the part that sees

    def __init__(self, llm: PreTrainedModel, processor: ProcessorMixin, *, config: BackboneConfig | None = None):
        config = config or BackboneConfig(media_start="", media_end="")
        super().__init__(llm, processor.tokenizer, config=config)
        self.processor = processor
        self.marks = {modality: self._mark(modality) for modality in READERS if _reads(processor, modality)}
        """Modality -> what the chat template writes for one of its media."""
        self.reads = tuple(self.marks)

    def save_pretrained(self, folder: Any) -> None:
        """As every backbone, with the processor."""
        super().save_pretrained(folder)
        self.processor.save_pretrained(folder)

    @property
    def chat_template(self) -> str:
        """The processor's, or the tokenizer's own; there has to be one."""
        template = self.processor.chat_template or self.tokenizer.chat_template
        if not template:
            raise AnyGenError("model_load_error", "processor: found no chat template; expected one that knows images")
        return template

    @property
    def special_token_ids(self) -> list[int]:
        """As of every backbone; the placeholders of media are never said."""
        return [*super().special_token_ids, *map(self._placeholder, self.marks)]

    def content(self, text: str) -> Any:
        """What a chat template for images takes as the content of a turn."""
        return [{"type": "text", "text": text}]

    def _placeholder(self, modality: str) -> int:
        """The id of the token that stands for a piece of a medium."""
        return getattr(self.llm.config, f"{modality}_token_id")

    def _mark(self, modality: str) -> str:
        """The difference that a medium makes to a rendered turn, blanks included."""
        words = {"type": "text", "text": SENTINEL.format(0)}
        plain, shown = (
            self.tokenizer.apply_chat_template(
                [{"role": "user", "content": content}], chat_template=self.chat_template, tokenize=False
            )
            for content in ([words], [{"type": modality}, words])
        )
        before = plain.index(words["text"])
        mark = shown[before : shown.index(words["text"])] if shown[:before] == plain[:before] else ""
        if (expected := getattr(self.processor, f"{modality}_token")) not in mark:
            found = f"processor: found {mark!r} for a part of type {modality}; expected {expected}"
            raise AnyGenError("model_load_error", found)
        return mark

    def media_ids(self, part: Part, *, after: Sequence[int] = ()) -> list[int]:
        """The tokens that stand for a medium; one placeholder for a medium that is not opened yet."""
        if not isinstance(part.media, (Image.Image, Audio)):
            return [self._placeholder(part.type)]
        return self._processed([part])["input_ids"][0].tolist()

    def _processed(self, parts: list[Part]) -> dict[str, Tensor]:
        """What the processor makes of media and their marks, one after the other."""
        media: dict[str, list[Any]] = {}
        for part in parts:
            medium = self._sound(part) if part.type == "audio" else part.media
            media.setdefault(READERS[part.type][1], []).append(medium)
        settings = {"return_tensors": "pt", "add_special_tokens": False}
        return dict(self.processor(text=["".join(self.marks[part.type] for part in parts)], **media, **settings))

    def _sound(self, part: Part) -> np.ndarray:
        """float32[S] at the rate of the processor, which would cut a longer sound than it has room for."""
        extractor = self.processor.feature_extractor
        rate, most, least = extractor.sampling_rate, extractor.n_samples, SHORTEST_SOUND * extractor.hop_length
        samples = resample(part.media, rate).waveform
        if not least <= len(samples) <= most:
            code = "media_too_short" if len(samples) < least else "media_too_large"
            allowed = f"this model hears {least / rate:g} to {most / rate:g} s of sound"
            raise AnyGenError(code, f"{part.where or 'audio'}: found {len(samples) / rate:g} s; {allowed}")
        return samples

    # Tensors

    def read(self, embeddings: Tensor, inputs: Inputs) -> Tensor:
        """See `Backbone.read`; each row is a pass."""
        hidden = []
        for row, length in enumerate(inputs.attention_mask.sum(dim=1).tolist()):
            ids, features = self._row(inputs, row, start=0, length=length)
            states = self._pass(embeddings[row : row + 1, :length], ids, features)
            hidden.append(torch.nn.functional.pad(states[0], (0, 0, 0, embeddings.shape[1] - length)))
        return torch.stack(hidden)

    def start(self, inputs: Inputs) -> Session:
        """See `Backbone.start`."""
        caches: dict[int, DynamicCache] = {}
        turns: dict[int, Any] = {}
        keeper = self._keeper_of_turns()

        def feed_row(row: int, block: Tensor) -> Tensor:
            ids, features = torch.full(block.shape[:2], self.end_id, device=block.device), {}
            if row not in caches:
                caches[row] = DynamicCache(config=self.llm.config)
                ids, features = self._row(inputs, row, start=inputs.input_ids.shape[1] - block.shape[1], length=block.shape[1])
            if keeper is not None:
                keeper.rope_deltas = turns.get(row)
            states = self._pass(block, ids, features, cache=caches[row])
            if keeper is not None:
                turns[row] = keeper.rope_deltas
            return states

        return RowwiseSession(feed_row)

    def _keeper_of_turns(self) -> Any:
        """The module of a Qwen-VL model that remembers how far pictures have shifted positions, one number for all rows."""
        return next((module for module in self.llm.modules() if hasattr(module, "rope_deltas")), None)

    def _row(self, inputs: Inputs, row: int, *, start: int, length: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Ids int64[1, length] of one row without padding, and what the processor made of its media."""
        ids = inputs.input_ids[row : row + 1, start : start + length].clamp(min=0)
        slots = sorted((slot for slot in inputs.slots if slot.item == row), key=lambda slot: slot.start)
        if not slots:
            return ids, {}
        processed = self._processed([slot.part for slot in slots])
        features = {
            name: tensor.to(self.device, self.llm.dtype if tensor.is_floating_point() else tensor.dtype)
            for name, tensor in processed.items()
            if name not in IDS
        }
        for name in [name for name in features if name.endswith("token_type_ids")]:  # one value a token of the row
            kinds, given = torch.zeros_like(ids), features[name]
            offset = 0
            for slot in slots:
                kinds[0, slot.start - start : slot.start - start + slot.length] = given[0, offset : offset + slot.length]
                offset += slot.length
            features[name] = kinds
        return ids, features

    def _pass(self, embeddings: Tensor, ids: Tensor, features: dict[str, Tensor], *, cache: Cache | None = None) -> Tensor:
        """float[1, W, D] -> float[1, W, D]: what the output head is given.

        The model is called with ids, from which it finds the places of its media, and reads `embeddings` in their
        stead.
        """
        if cache is None or not cache.get_seq_length():  # as processors have it; later blocks count from the cache
            features = features | {"attention_mask": torch.ones_like(ids)}
        heard: list[Tensor] = []

        def instead(_: Any, __: Any, output: Tensor) -> Tensor:
            return embeddings.to(output.dtype) if output.shape == embeddings.shape else output

        def overheard(_: Any, arguments: tuple[Tensor]) -> tuple[Tensor]:
            heard.append(arguments[0])
            return (arguments[0][:, -1:],)

        hooks = [
            self.llm.get_input_embeddings().register_forward_hook(instead),
            self.llm.get_output_embeddings().register_forward_pre_hook(overheard),
        ]
        memory = {} if cache is None else {cache_name(self.llm): cache}
        try:
            self.llm(input_ids=ids, use_cache=cache is not None, **memory, **features)
        finally:
            for hook in hooks:
                hook.remove()
        return heard[-1]
