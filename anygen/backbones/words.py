"""Words and ids: what a vocabulary means here, which id ends a turn, and how a conversation is framed by its template.

What somebody wrote never becomes a special token, and a chat template never sees what a part says.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

from transformers import PreTrainedTokenizerFast

from anygen.errors import AnyGenError

PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | capitalize }}: {{ message['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant: {% endif %}"
)
"""For tokenizers that bring no chat template, such as those of models that were never taught to chat."""
SENTINEL = "\ue000{}\ue001"
"""What stands for part number {} while a chat template is rendered: two characters of Unicode's private use area."""


class Words:
    """The tokenizer's side of a backbone.

    A tokenizer without a padding token pads with its end token: padding is masked, so its id is never read. One without
    an end token is refused, since every reply ends with it. One without a chat template is given `plain_template`, after
    the token that it begins every text with by itself, if there is one.
    """

    plain_template = PLAIN_TEMPLATE

    def __init__(self, tokenizer: PreTrainedTokenizerFast):
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            found = f"tokenizer: found a {type(tokenizer).__name__}; expected one with a tokenizer.json"
            raise AnyGenError("model_load_error", found)
        if tokenizer.eos_token_id is None:
            raise AnyGenError("model_load_error", "tokenizer: found no eos_token; expected one: it ends every reply")
        self.tokenizer = tokenizer
        self.end_id: int = tokenizer.eos_token_id
        self.pad_id: int = self.end_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self._words = copy.deepcopy(tokenizer.backend_tokenizer)
        self._words.encode_special_tokens = True  # special tokens in the text are read letter by letter
        self._words.no_padding()
        self._words.no_truncation()
        self.template_ids = lru_cache(maxsize=1024)(self._template_ids)

    def special_ids(self, tokens: Sequence[str]) -> list[int]:
        """Ids of special tokens by name; `AnyGenError("model_load_error")` where the tokenizer does not have one."""
        known = self.tokenizer.added_tokens_encoder
        if missing := [token for token in tokens if token not in known]:
            raise AnyGenError(
                "model_load_error", f"tokenizer: the special tokens {missing} are missing; add them first"
            )
        return [known[token] for token in tokens]

    def encode_text(self, text: str) -> list[int]:
        """Ids of words that somebody wrote; no special token can arise from them."""
        return self._words.encode(text, add_special_tokens=False).ids

    def decode_text(self, ids: Sequence[int]) -> str:
        """The words behind ids; special tokens are left out."""
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    @cached_property
    def ids_outside_captions(self) -> list[int]:
        """Ids whose token is blank, holds a "<" or a new line, or is special: no caption of a text bridge holds them."""
        texts = self.tokenizer.batch_decode([[index] for index in range(len(self.tokenizer))])
        pieces = self.tokenizer.convert_ids_to_tokens(range(len(self.tokenizer)))
        pairs = enumerate(zip(texts, pieces, strict=True))
        marks = [index for index, (text, piece) in pairs if not text.strip() or set("<\n\r") & set(text + (piece or ""))]
        return sorted({*marks, *self.special_token_ids})

    # The chat template

    def content(self, text: str) -> Any:
        """The content of a turn as the chat template takes it."""
        return text

    @cached_property
    def chat_template(self) -> str:
        """The tokenizer's own, or `plain_template`."""
        if self.tokenizer.chat_template:
            return self.tokenizer.chat_template
        begins = self.tokenizer.bos_token_id is not None and self.tokenizer("a").input_ids[0] == self.tokenizer.bos_token_id
        return ("{{ bos_token }}" if begins else "") + self.plain_template

    @cached_property
    def has_system_role(self) -> bool:
        """Whether the chat template knows a system turn; some refuse it."""
        from jinja2.exceptions import TemplateError

        turns = [{"role": role, "content": self.content(SENTINEL.format(role))} for role in ("system", "user")]
        try:
            prompt = self.tokenizer.apply_chat_template(turns, chat_template=self.chat_template, tokenize=False)
        except TemplateError:
            return False
        return SENTINEL.format("system") in prompt

    def _template_ids(self, outline: tuple[tuple[str, int], ...], *, add_generation_prompt: bool) -> list[list[int]]:
        """What the chat template puts before, between and after the parts of a conversation.

        `outline`: (role, number of parts) of each turn. Returns one more list of ids than there are parts. The template
        sees a sentinel in place of each part, so it cannot depend on, or be broken by, what a part says.
        """
        sentinels = iter(map(SENTINEL.format, range(sum(count for _, count in outline))))
        messages = [
            {"role": role, "content": self.content("".join(next(sentinels) for _ in range(count)))}
            for role, count in outline
        ]
        prompt = self.tokenizer.apply_chat_template(
            messages, chat_template=self.chat_template, tokenize=False, add_generation_prompt=add_generation_prompt
        )
        pieces = re.split("\ue000([0-9]+)\ue001", prompt)
        found, expected = [int(number) for number in pieces[1::2]], list(range(sum(count for _, count in outline)))
        if found != expected:
            raise AnyGenError("placeholder_mismatch", f"the chat template keeps the parts {found}; expected {expected}")
        return [self.tokenizer.backend_tokenizer.encode(piece, add_special_tokens=False).ids for piece in pieces[::2]]
