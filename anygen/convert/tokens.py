"""What a published checkpoint did to its LLM's vocabulary, carried over by token string and inserted by id.

The traps: one string gives other ids in other versions of a tokenizer, a base LLM with an extra row shifts every id,
NExT-GPT's second code base writes its signal tokens with separators between them and reads the states at these too, and
its first one ends a reply with either of two sequences. So ids are looked up once, here, and stored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from anygen.convert.layouts import GILL, NEXTGPT, NEXTGPT_LEGACY, Layout
from anygen.errors import AnyGenError

MEDIA_TOKENS = {NEXTGPT_LEGACY.name: ("<Img>", "</Img>"), NEXTGPT.name: ("", ""), GILL.name: ("", "")}
"""What stands around every medium that is read; the first code base uses its picture tokens for all kinds."""
VICUNA_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
CHAT_TEMPLATES = {
    NEXTGPT_LEGACY.name: (
        "{{ bos_token }}{% for message in messages %}"
        "{% if message['role'] == 'system' %}{{ message['content'] + '\\n' }}"
        "{% elif message['role'] == 'user' %}{{ ('### Human: ' if loop.first else ' Human: ') + message['content'] }}"
        "{% else %}{{ '\\n### Assistant: ' + message['content'] + '\\n###' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '\\n### Assistant:' }}{% endif %}"
    ),
    NEXTGPT.name: (
        "{{ bos_token }}{% if messages[0]['role'] != 'system' %}{{ '" + VICUNA_SYSTEM.replace("'", "\\'") + "' }}{% endif %}"
        "{% for message in messages %}"
        "{% if message['role'] == 'system' %}{{ message['content'] }}"
        "{% elif message['role'] == 'user' %}{{ ' USER: ' + message['content'] }}"
        "{% else %}{{ ' ASSISTANT: ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ ' ASSISTANT:' }}{% endif %}"
    ),
    GILL.name: (
        "{{ bos_token }}{% for message in messages %}"
        "{% if message['role'] == 'assistant' %}{{ 'A: ' + message['content'] + '\\n' }}"
        "{% else %}{{ 'Q: ' + message['content'] + '\\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'A:' }}{% endif %}"
    ),
}
STOP_TEXTS = {NEXTGPT_LEGACY.name: ("###", "\n###"), NEXTGPT.name: (), GILL.name: ("\n",)}
"""What ends a reply beside the end token; each is looked up in the tokenizer as it stands after other words."""


@dataclass(frozen=True, kw_only=True)
class ConvertedTokens:
    """The tokenizer with its new tokens, and the ids that the configuration stores."""

    tokenizer: Any
    signal_ids: dict[str, tuple[int, ...]]
    """Modality -> ids of its signal tokens, in order, without separators."""
    separator_id: int | None
    """What stands between two signal tokens of a run; its states are read too."""
    media_start: str
    media_end: str
    stop_ids: tuple[tuple[int, ...], ...]
    """Sequences that end a reply, beside the end token."""


def convert_tokens(folder: Path, *, layout: Layout, modalities: tuple[str, ...], base: Any) -> ConvertedTokens:
    """Add what the layout needs to a tokenizer. `base` is that of the source folder, or else of the LLM."""
    media = tuple(token for token in MEDIA_TOKENS[layout.name] if token)
    signals = {modality: layout.signal_tokens[modality] for modality in modalities}
    every = [*media, *(token for tokens in layout.signal_tokens.values() for token in tokens)]
    base.add_special_tokens({"additional_special_tokens": every}, replace_extra_special_tokens=False)
    if base.pad_token is None:
        base.pad_token = base.eos_token
    base.chat_template = CHAT_TEMPLATES[layout.name]
    start, end = MEDIA_TOKENS[layout.name]
    return ConvertedTokens(
        tokenizer=base,
        signal_ids={modality: tuple(base.convert_tokens_to_ids(list(tokens))) for modality, tokens in signals.items()},
        separator_id=_separator(folder, base) if layout is NEXTGPT else None,
        media_start=start,
        media_end=end,
        stop_ids=tuple(_stop(base, text) for text in STOP_TEXTS[layout.name]),
    )


def source_token_ids(folder: Path, layout: Layout, *, num_rows: int) -> dict[str, int]:
    """Added token -> its row in the source's matrices.

    By added_tokens.json or tokenizer.json of the source; without them the documented order, at the end of the matrix.
    Raises `model_load_error` where a signal token is nowhere, or the rows are not as many as the tokens say.
    """
    found = _added_tokens(folder)
    every = [*filter(None, MEDIA_TOKENS[layout.name]), *(t for tokens in layout.signal_tokens.values() for t in tokens)]
    if not found:
        found = {token: num_rows - len(every) + index for index, token in enumerate(every)}
    if missing := [token for token in every if token not in found]:
        raise AnyGenError("model_load_error", f"{folder}: its tokenizer has no {missing}; expected those of {layout.system}")
    if max(found.values()) != num_rows - 1:
        last = max(found, key=found.__getitem__)
        raise AnyGenError(
            "model_load_error",
            f"{folder}: the matrices have {num_rows} rows; the tokenizer's last token {last} has id {found[last]}; "
            "expected one row a token: this tokenizer and these weights do not belong together",
        )
    return found


def remap_rows(matrix: Tensor, source: dict[str, int], tokenizer: Any) -> Tensor:
    """float[rows, D] in the source's order -> float[len(tokenizer), D] in the tokenizer's, added tokens by string.

    Rows of words keep their ids. A token that the source does not have, such as a padding token of the base, gets the
    mean of the words' rows.
    """
    num_words = min(source.values())
    mean = matrix[:num_words].mean(dim=0)
    target = mean.repeat(len(tokenizer), 1)
    for token, index in tokenizer.get_vocab().items():
        if token in source:
            target[index] = matrix[source[token]]
        elif index < num_words:
            target[index] = matrix[index]
    return target


def _added_tokens(folder: Path) -> dict[str, int]:
    """The tokens that were added to the words, as the source's own files number them."""
    for name in ("added_tokens.json", "tokenizer.json"):
        if (folder / name).is_file():
            try:
                values = json.loads((folder / name).read_text(encoding="utf-8"))
                if name == "added_tokens.json":
                    return {str(token): int(index) for token, index in values.items()}
                words = values["model"]["vocab"]
                return {t["content"]: int(t["id"]) for t in values["added_tokens"] if t["content"] not in words}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise AnyGenError("model_load_error", f"{folder / name}: {error}; expected a tokenizer's file") from error
    return {}


def _separator(folder: Path, tokenizer: Any) -> int:
    """The piece that stood between two signal tokens: one underline in new tokenizers, two in those of `legacy`.

    Tokens were joined by single spaces; a Llama tokenizer of the older kind makes two underlines of a space after an
    added token.
    """
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    piece = "\u2581" if settings.get("legacy") is False else "\u2581\u2581"
    index = tokenizer.get_vocab().get(piece)
    if index is None:
        raise AnyGenError(
            "model_load_error", f"{folder}: the tokenizer has no piece {ascii(piece)}, which stood between signal tokens"
        )
    return index


def _stop(tokenizer: Any, text: str) -> tuple[int, ...]:
    """The ids of a stop text; of one that begins with a newline, those after the newline."""
    ids = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    if text.startswith("\n") and text != "\n":
        before = tokenizer.backend_tokenizer.encode("\n", add_special_tokens=False).ids
        ids = ids[len(before) :]
    elif text == "\n":
        ids = ids[-1:]
    return tuple(ids)
