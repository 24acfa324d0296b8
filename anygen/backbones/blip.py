"""BLIP-2 and InstructBLIP: a Q-Former makes K embeddings of an image, which an ordinary LLM reads before the words.

    image --the model's own processor, ViT and Q-Former--> float[K, D] --> the places of K image tokens --> its LLM

    row     <image> x K   <bos> Question: what is it? Answer:      the first user's images come even before <bos>

The published LLMs are OPT and Vicuna (decoder-only), and Flan-T5 (encoder-decoder). Li et al. 2023 (BLIP-2), Dai et al.
2023 (InstructBLIP, whose Q-Former reads the words of the turn as well).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from transformers import PreTrainedModel, ProcessorMixin

from anygen.backbones.backbone import Backbone, BackboneConfig
from anygen.backbones.decoder_only import DecoderOnlyBackbone
from anygen.backbones.encoder_decoder import EncoderDecoderBackbone
from anygen.errors import AnyGenError
from anygen.messages import Conversation, Part

if TYPE_CHECKING:
    from anygen.chat import MediaSlot

PROMPTS = {"blip-2": ("Question:", " ", " Answer:"), "instructblip": ("", "", "")}
"""`model_type` -> the prompt that it was taught: what stands before a question, what its words and those of an answer
begin with, and what stands after it. "Question: what is it? Answer: a bell" for BLIP-2, and nothing but the words for
InstructBLIP. A user without words asks for a caption, whose prompt is empty."""
ANSWERS = {
    False: "{% for message in messages %}TURN{% endfor %}",
    True: (
        "{% set last = messages[-1] if messages[-1]['role'] == 'assistant' else none %}"
        "{% for message in (messages[:-1] if last else messages) %}TURN{% endfor %}{{ eos_token }}"
        "{% if last %}{{ last['content'] }}{{ eos_token }}{% endif %}"
    ),
}
"""Whether the LLM is an encoder-decoder -> how turns become a prompt; an encoder's ends before the last reply."""
TURN = (
    "{% if message['role'] == 'assistant' %}{{ message['content'] }}END"
    "{% else %}{% if not loop.first %}{{ '\n' }}{% endif %}"
    "{% if message['role'] == 'user' and message['content'] %}BEFORE{{ message['content'] }}AFTER"
    "{% else %}{{ message['content'] }}{% endif %}{% endif %}"
)
"""One turn in a prompt; a question alone, after the images, is the published prompt exactly."""


def plain_template(model_type: str, *, is_encoder_decoder: bool) -> str:
    """The chat template of a model of this family, none of which brings one."""
    before, _, after = PROMPTS[model_type]
    marks = {"TURN": TURN, "BEFORE": before, "AFTER": after, "END": "" if is_encoder_decoder else "{{ eos_token }}"}
    template = ANSWERS[is_encoder_decoder]
    for mark, text in marks.items():
        template = template.replace(mark, text)
    return template


class BlipBackbone(Backbone):
    """What both kinds of LLM have in common here; the class beside it in the bases is the kind."""

    reads = ("image",)

    def __init__(self, llm: PreTrainedModel, processor: ProcessorMixin, *, config: BackboneConfig | None = None):
        super().__init__(llm, processor.tokenizer, config=config or BackboneConfig(media_start="", media_end=""))
        self.processor = processor
        self.plain_template = plain_template(
            llm.config.model_type, is_encoder_decoder=self.speaker.config.is_encoder_decoder
        )
        self.words_begin = PROMPTS[llm.config.model_type][1]
        self.lora_targets = [  # not the parts that see
            f"language_model.{name}"
            for name, module in self.speaker.named_modules()
            if isinstance(module, nn.Linear) and module is not llm.get_output_embeddings()
        ]
        (found,) = self.special_ids([str(processor.image_token)])
        if found != llm.config.image_token_id:
            expected = f"expected {llm.config.image_token_id}, the image_token_index of config.json"
            raise AnyGenError(
                "model_load_error", f"processor: found {found} as the id of {processor.image_token}; {expected}"
            )

    def save_pretrained(self, folder: Any) -> None:
        """As every backbone, with the processor."""
        super().save_pretrained(folder)
        self.processor.save_pretrained(folder)

    @property
    def speaker(self) -> PreTrainedModel:
        """The LLM behind the Q-Former."""
        return self.llm.language_model

    def media_ids(self, part: Part, *, after: Sequence[int] = ()) -> list[int]:
        """As many image tokens as the Q-Former has queries."""
        return [self.llm.config.image_token_id] * self.llm.config.num_query_tokens

    def parts_ahead(self, conversation: Conversation) -> list[Part]:
        """The images of the user's first turn: in training they stood before the token that begins a text."""
        asked = next((turn for turn in conversation if turn.role == "user"), None)
        return [part for part in asked.parts if part.type in self.reads] if asked else []

    def embed_media(self, slots: Sequence[MediaSlot]) -> Tensor:
        """float[N, K, D] of N images.

        InstructBLIP's Q-Former is shown the words of an image's own turn, cut where it has no more positions, so that a
        later turn changes nothing of what was seen before.
        """
        pictures = [slot.part.media for slot in slots]
        pixels = self.processor.image_processor(images=pictures, return_tensors="pt")["pixel_values"].to(self.device)
        return self.llm.get_image_features(pixels, **self._instructions([slot.words for slot in slots])).pooler_output

    def _instructions(self, words: list[str]) -> dict[str, Tensor]:
        """What an InstructBLIP's Q-Former reads beside N images; special tokens that somebody wrote are letters."""
        if self.llm.config.model_type != "instructblip":
            return {}
        read = self.processor.qformer_tokenizer(
            words, padding=True, truncation=True, max_length=self.llm.config.qformer_config.max_position_embeddings,
            split_special_tokens=True, return_tensors="pt",
        )  # fmt: skip
        return {f"qformer_{name}": read[name].to(self.device) for name in ("input_ids", "attention_mask")}


class BlipDecoderOnlyBackbone(BlipBackbone, DecoderOnlyBackbone):
    """Over OPT, Vicuna and other decoder-only LLMs."""


class BlipEncoderDecoderBackbone(BlipBackbone, EncoderDecoderBackbone):
    """Over Flan-T5: the encoder reads images and question."""


def build_blip(
    llm: PreTrainedModel, processor: ProcessorMixin, *, config: BackboneConfig | None = None
) -> BlipBackbone:
    """A model of this family as the backbone of its LLM's kind."""
    is_encoder_decoder = llm.language_model.config.is_encoder_decoder
    kind = BlipEncoderDecoderBackbone if is_encoder_decoder else BlipDecoderOnlyBackbone
    return kind(llm, processor, config=config)
