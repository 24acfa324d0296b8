"""Encoder-decoder LLMs: T5, Flan-T5 and BART. The prompt, media merged in, is encoded; the reply is decoded.

    positions     p_0 ... p_s-1            | r_0 ... r_n-1
    goes to       encoder                  | decoder, behind its own opening tokens
    state there   the encoder's, but at the  | the decoder's
                  last the decoder's after
                  its opening tokens

So the state at a position is what the next token is chosen by, as in other LLMs. Of a conversation with several replies
the last one is decoded, and learned; those before it belong to the prompt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedModel, PreTrainedTokenizerFast

from anygen.backbones.backbone import Backbone, BackboneConfig
from anygen.backbones.session import RowwiseSession, Session, cache_name
from anygen.errors import AnyGenError

if TYPE_CHECKING:
    from anygen.chat import Inputs

PLAIN_PROMPT = (
    "{% set asked = messages[:-1] if messages[-1]['role'] == 'assistant' else messages %}"
    "{% if asked | length == 1 %}{{ asked[0]['content'] }}{% else %}"
    "{% for message in asked %}{{ message['role'] | capitalize }}: {{ message['content'] }}\n{% endfor %}Assistant:{% endif %}"
    "{{ eos_token }}"
    "{% if messages[-1]['role'] == 'assistant' %}{{ messages[-1]['content'] }}{{ eos_token }}{% endif %}"
)
"""Chat template of an encoder-decoder LLM that brings none: a single request is the prompt as it is."""


def _t5_logits(llm: PreTrainedModel, hidden: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
    """T5 before version 1.1 scales the states; Flan-T5 is of version 1.1."""
    return head(hidden * llm.config.d_model**-0.5 if llm.config.scale_decoder_outputs else hidden)


def _bart_logits(llm: PreTrainedModel, hidden: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
    """BART has a bias for each token that is no part of its head."""
    return head(hidden) + llm.final_logits_bias[0]


HEADS = {"t5": _t5_logits, "umt5": _t5_logits, "bart": _bart_logits}
"""What stands between decoder and logits, by `model_type`."""


class EncoderDecoderBackbone(Backbone):
    """The prompt through an encoder, the reply through a decoder that looks at it."""

    task = "SEQ_2_SEQ_LM"
    replies_learned = "last"
    plain_template = PLAIN_PROMPT

    def __init__(
        self, llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, *, config: BackboneConfig | None = None
    ):
        super().__init__(llm, tokenizer, config=config)
        if self.speaker.config.model_type not in HEADS:
            kind = self.speaker.config.model_type
            found = f"found an encoder-decoder LLM of the type {kind}; expected one of {', '.join(HEADS)}"
            raise AnyGenError("model_load_error", found)
        own = self.speaker.generation_config
        first = self.speaker.config.decoder_start_token_id if own.decoder_start_token_id is None else own.decoder_start_token_id
        first = self.pad_id if first is None else first  # T5's own configurations leave it out
        self.opening_ids = [first] + ([] if own.forced_bos_token_id is None else [own.forced_bos_token_id])
        """What the decoder is given before the first word."""

    def room_for_reply(self, num_prompt_tokens: int) -> int:
        """Prompt and reply have a context each; none is left where the prompt is beyond its own."""
        if num_prompt_tokens > self.context_length:
            return 0
        return self.context_length - len(self.opening_ids)

    def opening(self, batch_size: int) -> Tensor:
        """float[B, O, D]: embeddings of the decoder's opening tokens."""
        return self.embed(torch.tensor([self.opening_ids] * batch_size, device=self.device))

    def read(self, embeddings: Tensor, inputs: Inputs) -> Tensor:
        """See `Backbone.read` and the module's first lines."""
        mask, starts = inputs.attention_mask, inputs.reply_starts.to(embeddings.device)
        places = torch.arange(mask.shape[1], device=mask.device)
        is_prompt = mask.bool() & (places < starts[:, None])
        longest = int(starts.max())
        prompt, prompt_mask = embeddings[:, :longest], is_prompt[:, :longest].long()
        encoded = self.speaker.get_encoder()(inputs_embeds=prompt, attention_mask=prompt_mask).last_hidden_state

        lengths = mask.sum(dim=1) - starts
        order = torch.arange(int(lengths.max()), device=mask.device)
        rows, source = torch.arange(len(mask), device=mask.device)[:, None], starts[:, None] + order
        reply = embeddings[rows, source.clamp(max=mask.shape[1] - 1)]
        opening = self.opening(len(mask)).to(reply.dtype)
        said = torch.cat([mask.new_ones(opening.shape[:2]), (order < lengths[:, None]).long()], dim=1)
        states = self.speaker.get_decoder()(
            inputs_embeds=torch.cat([opening, reply], dim=1),
            attention_mask=said,
            encoder_hidden_states=encoded,
            encoder_attention_mask=prompt_mask,
        ).last_hidden_state[:, opening.shape[1] - 1 :]

        hidden = torch.zeros_like(embeddings)
        hidden[:, :longest] = encoded * prompt_mask[..., None]
        row, place = said[:, opening.shape[1] - 1 :].nonzero(as_tuple=True)
        return hidden.index_put((row, starts[row] - 1 + place), states[row, place])

    def start(self, inputs: Inputs) -> Session:
        """See `Backbone.start`."""
        encoder, decoder = self.speaker.get_encoder(), self.speaker.get_decoder()
        name = cache_name(decoder)
        encoded: dict[int, Tensor] = {}
        caches: dict[int, EncoderDecoderCache] = {}

        def feed_row(row: int, block: Tensor) -> Tensor:
            is_prompt = row not in encoded
            if is_prompt:
                encoded[row] = encoder(inputs_embeds=block).last_hidden_state
                caches[row] = EncoderDecoderCache(*(DynamicCache(config=decoder.config) for _ in range(2)))
            said = self.opening(1).to(block.dtype) if is_prompt else block
            states = decoder(
                inputs_embeds=said, encoder_hidden_states=encoded[row], use_cache=True, **{name: caches[row]}
            ).last_hidden_state
            return torch.cat([encoded[row][:, :-1], states[:, -1:]], dim=1) if is_prompt else states

        return RowwiseSession(feed_row)

    def logits(self, hidden: Tensor) -> Tensor:
        """float[..., D] -> float[..., V]."""
        return HEADS[self.speaker.config.model_type](self.speaker, hidden, super().logits)
