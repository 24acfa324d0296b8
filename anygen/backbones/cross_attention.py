"""IDEFICS, the open Flamingo: pictures go into cross-attention between the LLM's layers, words alone into its row.

    image --the model's own processor, ViT and resampler--> what is seen, float[N, P, D_vision], to look at from words

    row       <s>User: <fake> <image> <fake> what is it? <end_of_utterance>\\nAssistant: a bell
    looks at  -   -      -     1 ...                                                        1      the last image so far

Laurencon et al. 2023 (OBELICS), after Alayrac et al. 2022 (Flamingo).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache, PreTrainedModel, ProcessorMixin

from anygen.backbones.backbone import Backbone, BackboneConfig
from anygen.backbones.session import RowwiseSession, Session, cache_name
from anygen.messages import Part

if TYPE_CHECKING:
    from anygen.chat import Inputs

IMAGE, FAKE, END_OF_UTTERANCE = "<image>", "<fake_token_around_image>", "<end_of_utterance>"
"""Special tokens of its tokenizer; the last one is of models that were taught to chat alone."""
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% if not loop.first %}{{ '\n' }}{% endif %}"
    "{% if message['role'] != 'system' %}{{ message['role'] | capitalize }}:{% endif %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}END{% elif message['role'] == 'user' %}END_OF_QUESTION{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '\n' }}Assistant:{% endif %}"
)
"""The prompt of its model card. Its tokenizer, Llama's, puts a blank in front of words by itself."""


class CrossAttentionBackbone(Backbone):
    """IDEFICS. Rows are read one by one, since each looks at images of its own."""

    reads = ("image",)
    lora_targets = r"model\.layers\..*\.(q|k|v|o|gate|up|down)_proj"  # not the parts that see or look

    def __init__(self, llm: PreTrainedModel, processor: ProcessorMixin, *, config: BackboneConfig | None = None):
        join_vocabulary(llm)
        super().__init__(llm, processor.tokenizer, config=config or BackboneConfig(media_start="", media_end=""))
        self.processor = processor
        self.image_id, self.fake_id = self.special_ids([IMAGE, FAKE])
        chats = END_OF_UTTERANCE in self.tokenizer.added_tokens_encoder
        if chats:
            (self.end_id,) = self.special_ids([END_OF_UTTERANCE])
        self.plain_template = TEMPLATE.replace("END_OF_QUESTION", END_OF_UTTERANCE if chats else "").replace(
            "END", END_OF_UTTERANCE if chats else "{{ eos_token }}"
        )

    def save_pretrained(self, folder: Any) -> None:
        """As every backbone, with the processor."""
        super().save_pretrained(folder)
        self.processor.save_pretrained(folder)

    @property
    def chat_template(self) -> str:
        """The tokenizer's own, or that of the model card."""
        return self.tokenizer.chat_template or self.plain_template

    def media_ids(self, part: Part, *, after: Sequence[int] = ()) -> list[int]:
        """The place of an image, between two marks; images in a row share theirs."""
        return [*([] if after[-1:] == [self.fake_id] else [self.fake_id]), self.image_id, self.fake_id]

    # Tensors

    def read(self, embeddings: Tensor, inputs: Inputs) -> Tensor:
        """See `Backbone.read`; each row is a pass."""
        hidden = []
        for row, length in enumerate(inputs.attention_mask.sum(dim=1).tolist()):
            states = self._pass(
                embeddings[row : row + 1, :length], self._look(inputs, row), inputs.input_ids[row, :length]
            )
            hidden.append(nn.functional.pad(states[0], (0, 0, 0, embeddings.shape[1] - length)))
        return torch.stack(hidden)

    def start(self, inputs: Inputs) -> Session:
        """See `Backbone.start`."""
        caches: dict[int, DynamicCache] = {}
        seen: dict[int, Tensor] = {}

        def feed_row(row: int, block: Tensor) -> Tensor:
            if row in caches:
                return self._pass(block, seen[row], None, cache=caches[row])
            caches[row], seen[row] = DynamicCache(config=self.llm.config), self._look(inputs, row)
            return self._pass(block, seen[row], inputs.input_ids[row, -block.shape[1] :], cache=caches[row])

        return RowwiseSession(feed_row)

    def _look(self, inputs: Inputs, row: int) -> Tensor:
        """float[N, P, D_vision]: what a row's images are to the cross-attention; N is 0 for a row without one."""
        slots = sorted((slot for slot in inputs.slots if slot.item == row), key=lambda slot: slot.start)
        model, width = self.llm.model, self.llm.config.vision_config.embed_dim
        if not slots:
            return torch.zeros(0, 1, width, device=self.device, dtype=self.llm.dtype)
        pixels = self.processor.image_processor([slot.part.media for slot in slots], return_tensors="pt")
        encoded = model.vision_model(pixel_values=pixels.to(self.device, self.llm.dtype)).last_hidden_state
        return model.perceiver_resampler(encoded) if self.llm.config.use_resampler else encoded

    def _pass(self, embeddings: Tensor, seen: Tensor, ids: Tensor | None, *, cache: Cache | None = None) -> Tensor:
        """float[1, W, D] -> last hidden states float[1, W, D].

        `ids`: int64[W], in which images have their places; None after the prompt, where the last image is looked at.
        """
        count = len(seen)
        is_place = embeddings.new_zeros(embeddings.shape[1]) if ids is None else ids == self.image_id
        last = is_place.long().cumsum(dim=0) + (count if ids is None else 0)
        looks = last[:, None] == torch.arange(1, max(count, 1) + 1, device=last.device)  # [W, N]; none is 0, no column
        if count == 0:  # the model wants something to look away from
            looks, seen = torch.zeros_like(looks), seen.new_zeros(1, *seen.shape[1:])
        name = "perceiver_embeddings" if self.llm.config.use_resampler else "image_encoder_embeddings"
        memory = {} if cache is None else {cache_name(self.llm.model): cache}
        return self.llm.model(
            inputs_embeds=embeddings,
            image_attention_mask=looks[None],
            use_cache=cache is not None,
            **{name: seen},
            **memory,
        ).last_hidden_state


@torch.no_grad()
def join_vocabulary(llm: PreTrainedModel) -> None:
    """Make one matrix of the published vocabulary and of the tokens that IDEFICS added to it, so that it can grow.

    What the model computes stays the same; it is saved, and loads, as one without additional tokens.
    """
    extra = llm.config.additional_vocab_size
    if not extra:
        return
    words, head = llm.get_input_embeddings(), llm.get_output_embeddings()
    tied = head.weight is words.weight
    words.weight = nn.Parameter(torch.cat([words.weight, words.additional_embedding.weight]), requires_grad=False)
    head.weight = (
        words.weight if tied else nn.Parameter(torch.cat([head.weight, head.additional_fc.weight]), requires_grad=False)
    )
    words.num_embeddings = head.out_features = len(words.weight)
    words.num_additional_embeddings = head.out_additional_features = 0
    del words.additional_embedding, head.additional_fc
    llm._tied_weights_keys = type(llm)._tied_weights_keys
    llm.config.vocab_size, llm.config.additional_vocab_size = len(words.weight), 0
