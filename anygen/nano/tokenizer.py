"""nano's tokenizer: byte-level BPE over the world's captions and dialogues, with its special tokens and chat template.

Any text can be encoded (bytes), at about one piece a word of the world. The LLM and the generators' text encoders share
it. Special tokens mark turns, media and signals; text that people type must be encoded by `encode_text`, which never
yields one of them, however it is spelt.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCAB_SIZE = 1536
"""Pieces and special tokens together."""

NUM_SIGNAL_TOKENS = {"image": 4, "video": 6, "audio": 4}
"""modality -> R, the signal tokens that stand for one medium of the assistant."""

CONTROL_TOKENS = (
    "<pad>", "<bos>", "<user>", "<assistant>", "<end>", "<image>", "<video>", "<audio>", "<media>", "</media>",
)  # fmt: skip

CHAT_TEMPLATE = """\
{{- '<bos>' -}}
{%- set runs = RUNS -%}
{%- for message in messages -%}
  {{- '<' + message.role + '>' -}}
  {%- if message.content is string -%}
    {{- message.content -}}
  {%- else -%}
    {%- for part in message.content -%}
      {%- if part.type == 'text' -%}
        {{- part.text -}}
      {%- elif message.role == 'assistant' -%}
        {{- runs[part.type] -}}
      {%- else -%}
        {{- '<' + part.type + '>' -}}
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
  {{- '<end>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<assistant>' -}}
{%- endif -%}
"""
"""A user's medium is one placeholder, which the model expands; an assistant's medium is its run of signal tokens."""


def signal_tokens(modality: str) -> list[str]:
    """The run of special tokens that stands for one medium of the assistant: `["<image_0>", ..., "<image_3>"]`."""
    return [f"<{modality}_{index}>" for index in range(NUM_SIGNAL_TOKENS[modality])]


def special_tokens() -> list[str]:
    """All special tokens in the order of their ids, which begin at 0."""
    return [*CONTROL_TOKENS, *(token for modality in NUM_SIGNAL_TOKENS for token in signal_tokens(modality))]


def train_tokenizer(texts: Iterable[str], *, vocab_size: int = VOCAB_SIZE) -> PreTrainedTokenizerFast:
    """Learn the pieces from `texts` (byte-level BPE; the tokenizers library) and add special tokens and template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special_tokens(),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    runs = {modality: "".join(signal_tokens(modality)) for modality in NUM_SIGNAL_TOKENS}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<end>",
        pad_token="<pad>",
        additional_special_tokens=special_tokens(),
        chat_template=CHAT_TEMPLATE.replace("RUNS", repr(runs)),
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )


def load(folder: str | Path) -> PreTrainedTokenizerFast:
    """The tokenizer that `save_pretrained(folder)` wrote."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder)


def encode_text(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """Ids of what somebody typed; a special token spelt out in it ("<end>") becomes ordinary pieces."""
    return tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
