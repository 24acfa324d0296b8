"""The backbone: a decoder-only LLM with its tokenizer and chat template (steps 5 to 7 of the data flow).

Embeddings float[B, T, D] -> last hidden states float[B, T, D] (after the final norm) -> logits float[B, T, V]. It also
owns what a vocabulary means here: which id ends a turn, how words become ids, and the rows that training adds to it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AddedToken, AutoModelForCausalLM, AutoTokenizer, Cache, PreTrainedModel, PreTrainedTokenizerFast

from anygen.errors import AnyGenError

PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | capitalize }}: {{ message['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant: {% endif %}"
)
"""For tokenizers that bring no chat template, such as those of models that were never taught to chat."""
NO_LIMIT = 1_000_000
"""Tokens of a context that has no bound of its own."""
SENTINEL = "\ue000{}\ue001"
"""What stands for part number {} while a chat template is rendered: two characters of Unicode's private use area."""


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """How media are announced to the LLM."""

    media_start: str = "<media>"
    """Special token before a medium's embeddings; "" for none."""
    media_end: str = "</media>"
    """Special token after them; "" for none."""
    stop_ids: tuple[tuple[int, ...], ...] = ()
    """Sequences of ids that end a reply as the end token does, for LLMs that were taught so; they are no part of it."""

    def __post_init__(self):
        object.__setattr__(self, "stop_ids", tuple(map(tuple, self.stop_ids)))  # JSON has lists
        if not all(self.stop_ids):
            raise ValueError(f"stop_ids is {self.stop_ids}; expected sequences of one id or more")


class TokenRows(nn.Module):
    """Trainable additions to a few rows of the frozen embedding matrix and of the frozen output head.

    Zero at the start, so that nothing changes before training; folded into the matrices when the LLM is saved.
    With tied matrices one table serves both.
    """

    def __init__(self, ids: Sequence[int], *, embedding: nn.Embedding, tied: bool):
        super().__init__()
        index = torch.full((embedding.num_embeddings,), len(ids))
        index[list(ids)] = torch.arange(len(ids))
        self.register_buffer("index", index, persistent=False)  # token id -> its row, or len(ids) for none
        self.register_buffer("ids", torch.tensor(ids), persistent=False)
        self.embedding_rows = nn.Parameter(torch.zeros(len(ids), embedding.embedding_dim))
        self.head_rows = self.embedding_rows if tied else nn.Parameter(torch.zeros(len(ids), embedding.embedding_dim))

    def added_to_embeddings(self, ids: Tensor) -> Tensor:
        """int64[...] -> float[..., D], zero for other tokens."""
        none = self.embedding_rows.new_zeros(1, self.embedding_rows.shape[1])
        return torch.cat([self.embedding_rows, none])[self.index[ids]]

    def added_to_logits(self, hidden: Tensor) -> Tensor:
        """float[..., D] -> float[..., number of rows]."""
        return hidden @ self.head_rows.T


class Backbone(nn.Module):
    """An LLM of the hub with its tokenizer. `llm` is trained or frozen by whoever holds the backbone."""

    def __init__(
        self, llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, *, config: BackboneConfig | None = None
    ):
        super().__init__()
        self.config = config or BackboneConfig()
        self.llm = llm
        self.tokenizer = tokenizer
        self.token_rows: TokenRows | None = None
        self.added_tokens: list[str] = []
        """Tokens that `add_tokens` gave to the LLM."""
        self.source: str | None = None
        """Where the frozen LLM came from, a repository or a folder; None for one that is saved with the model."""
        if tokenizer.eos_token_id is None:
            raise AnyGenError("model_load_error", "tokenizer: found no eos_token; expected one: it ends every reply")
        self.end_id: int = tokenizer.eos_token_id
        self.pad_id: int = self.end_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self.media_start_ids = self.special_ids([self.config.media_start]) if self.config.media_start else []
        self.media_end_ids = self.special_ids([self.config.media_end]) if self.config.media_end else []
        self._words = copy.deepcopy(tokenizer.backend_tokenizer)
        self._words.encode_special_tokens = True  # special tokens in the text are read letter by letter
        self._words.no_padding()
        self._words.no_truncation()
        self.template_ids = lru_cache(maxsize=1024)(self._template_ids)

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, config: BackboneConfig | None = None, **options: Any) -> Backbone:
        """Read a transformers folder (LLM and tokenizer) into float32, nothing fetched, safetensors alone, no code of its own.

        `options` go to the LLM's `from_pretrained`: dtype, device_map, quantization_config, attn_implementation.
        Raises `model_load_error` for a folder that is not one, and for missing, surplus or misshapen tensors.
        """
        settings = {"dtype": torch.float32} | options | {"local_files_only": True, "use_safetensors": True}
        if settings.pop("trust_remote_code", False):
            raise AnyGenError("model_load_error", f"{folder}: code that comes with a model is never run; found trust_remote_code")
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            llm, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **settings)
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise AnyGenError("model_load_error", f"{folder}: {error}") from error
        if faults := {name: sorted(map(str, found)) for name, found in report.items() if found}:
            raise AnyGenError("model_load_error", f"{folder}: found {faults}; expected the tensors of its config.json")
        return cls(llm, tokenizer, config=config)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write LLM and tokenizer as transformers does, trained rows and LoRA folded in."""
        self.fold()
        self.llm.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    # What the neighbours ask

    @property
    def width(self) -> int:
        """D, the width of embeddings and hidden states."""
        return self.llm.get_input_embeddings().embedding_dim

    @property
    def context_length(self) -> int:
        """The number of positions that the LLM was made for; LLMs without positions (Mamba) take any number."""
        text = self.llm.config.get_text_config()
        return getattr(text, "max_position_embeddings", None) or getattr(text, "n_positions", None) or NO_LIMIT

    @property
    def device(self) -> torch.device:
        return self.llm.get_input_embeddings().weight.device

    # Words and ids

    def special_ids(self, tokens: Sequence[str]) -> list[int]:
        """Ids of special tokens by name; `AnyGenError("model_load_error")` where the tokenizer does not have one."""
        known = self.tokenizer.added_tokens_encoder
        if missing := [token for token in tokens if token not in known]:
            raise AnyGenError(
                "model_load_error", f"tokenizer: the special tokens {missing} are missing; add them first"
            )
        return [known[token] for token in tokens]

    @torch.no_grad()
    def add_tokens(self, tokens: Sequence[str]) -> list[int]:
        """New special tokens and their ids. Their rows begin as the mean of the others and a little noise of their own.

        Raises `model_load_error` where the tokenizer has one of them already, as something else than a special token.
        """
        vocabulary = self.tokenizer.get_vocab()
        if known := [token for token in tokens if token in vocabulary and token not in self.tokenizer.added_tokens_encoder]:
            raise AnyGenError("model_load_error", f"tokenizer: {known} are words of the LLM; signal tokens need names of their own")
        fresh = [token for token in tokens if token not in vocabulary]
        self.tokenizer.add_tokens([AddedToken(t, special=True, normalized=False) for t in fresh], special_tokens=True)
        matrices = {id(m.weight): m for m in (self.llm.get_input_embeddings(), self.llm.get_output_embeddings())}
        means = [(matrix.weight.float().mean(dim=0), matrix.weight.float().std()) for matrix in matrices.values()]
        if len(self.tokenizer) > self.llm.get_input_embeddings().weight.shape[0]:
            self.llm.resize_token_embeddings(len(self.tokenizer), mean_resizing=False)
        ids = self.tokenizer.convert_tokens_to_ids(list(tokens))
        new = self.tokenizer.convert_tokens_to_ids(fresh)
        matrices = {id(m.weight): m for m in (self.llm.get_input_embeddings(), self.llm.get_output_embeddings())}
        for matrix, (mean, deviation) in zip(matrices.values(), means, strict=True):
            for index in new:
                noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(index)).to(mean)
                matrix.weight[index] = (mean + 0.1 * deviation * noise).to(matrix.weight.dtype)
        self.added_tokens += fresh
        self.__dict__.pop("special_token_ids", None)
        self.__dict__.pop("ids_outside_captions", None)
        return ids

    def encode_text(self, text: str) -> list[int]:
        """Ids of words that somebody wrote; no special token can arise from them."""
        return self._words.encode(text, add_special_tokens=False).ids

    @property
    def stops(self) -> list[tuple[int, ...]]:
        """Sequences of ids that end a reply beside `end_id`: those of the configuration and of the LLM's own."""
        own = self.llm.generation_config.eos_token_id
        own = [] if own is None else own if isinstance(own, list) else [own]
        return [*self.config.stop_ids, *((index,) for index in own if index != self.end_id)]

    @cached_property
    def special_token_ids(self) -> list[int]:
        """Ids that are never words: special tokens, and rows of the output head that no token has."""
        added = [index for index, token in self.tokenizer.added_tokens_decoder.items() if token.special]
        return [*self.tokenizer.all_special_ids, *added, *range(len(self.tokenizer), self.llm.get_output_embeddings().weight.shape[0])]

    @cached_property
    def ids_outside_captions(self) -> list[int]:
        """Ids whose token is blank, holds a "<" or a new line, or is special: no caption of a text bridge holds them."""
        texts = self.tokenizer.batch_decode([[index] for index in range(len(self.tokenizer))])
        pieces = self.tokenizer.convert_ids_to_tokens(range(len(self.tokenizer)))
        pairs = enumerate(zip(texts, pieces, strict=True))
        marks = [index for index, (text, piece) in pairs if not text.strip() or set("<\n\r") & set(text + (piece or ""))]
        return sorted({*marks, *self.special_token_ids})

    @cached_property
    def has_system_role(self) -> bool:
        """Whether the chat template knows a system turn; some refuse it."""
        from jinja2.exceptions import TemplateError

        turns = [{"role": role, "content": SENTINEL.format(role)} for role in ("system", "user")]
        try:
            prompt = self.tokenizer.apply_chat_template(turns, chat_template=self.chat_template, tokenize=False)
        except TemplateError:
            return False
        return SENTINEL.format("system") in prompt

    @property
    def chat_template(self) -> str:
        """The tokenizer's own, or `PLAIN_TEMPLATE`."""
        return self.tokenizer.chat_template or PLAIN_TEMPLATE

    def decode_text(self, ids: Sequence[int]) -> str:
        """The words behind ids; special tokens are left out."""
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def _template_ids(self, outline: tuple[tuple[str, int], ...], *, add_generation_prompt: bool) -> list[list[int]]:
        """What the chat template puts before, between and after the parts of a conversation.

        `outline`: (role, number of parts) of each turn. Returns one more list of ids than there are parts. The template
        sees a sentinel in place of each part, so it cannot depend on, or be broken by, what a part says.
        """
        sentinels = iter(map(SENTINEL.format, range(sum(count for _, count in outline))))
        messages = [
            {"role": role, "content": "".join(next(sentinels) for _ in range(count))} for role, count in outline
        ]
        prompt = self.tokenizer.apply_chat_template(
            messages, chat_template=self.chat_template, tokenize=False, add_generation_prompt=add_generation_prompt
        )
        pieces = re.split("\ue000([0-9]+)\ue001", prompt)
        found, expected = [int(number) for number in pieces[1::2]], list(range(sum(count for _, count in outline)))
        if found != expected:
            raise AnyGenError("placeholder_mismatch", f"the chat template keeps the parts {found}; expected {expected}")
        return [self.tokenizer.backend_tokenizer.encode(piece, add_special_tokens=False).ids for piece in pieces[::2]]

    # Tensors

    def embed(self, ids: Tensor) -> Tensor:
        """int64[B, T] -> float[B, T, D]."""
        embeddings = self.llm.get_input_embeddings()(ids)
        return embeddings if self.token_rows is None else embeddings + self.token_rows.added_to_embeddings(ids)

    def forward(
        self, embeddings: Tensor, *, attention_mask: Tensor, position_ids: Tensor, cache: Cache | None = None
    ) -> Tensor:
        """float[B, T, D] -> last hidden states float[B, T, D], after the final norm.

        With a `cache` of S earlier positions `attention_mask` is int64[B, S + T], and the cache grows by T.
        """
        return self.llm.base_model(
            inputs_embeds=embeddings,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state

    def logits(self, hidden: Tensor) -> Tensor:
        """float[..., D] -> float[..., V]."""
        logits = self.llm.get_output_embeddings()(hidden)
        if self.token_rows is None:
            return logits
        return logits.index_add(-1, self.token_rows.ids, self.token_rows.added_to_logits(hidden))

    # Training

    def add_token_rows(self, ids: Sequence[int]) -> TokenRows:
        """Make the embeddings and head rows of a few tokens trainable while the LLM stays frozen."""
        embedding, head = self.llm.get_input_embeddings(), self.llm.get_output_embeddings()
        self.token_rows = TokenRows(ids, embedding=embedding, tied=head.weight is embedding.weight).to(self.device)
        return self.token_rows

    def add_lora(
        self, *, rank: int, alpha: int, dropout: float = 0.0, targets: Sequence[str] | str = "all-linear"
    ) -> None:
        """Put trainable low-rank adapters (LoRA, Hu et al. 2021) beside the LLM's linear layers; freezes the rest."""
        from peft import LoraConfig, inject_adapter_in_model

        self.source = None  # what is saved is no longer what was loaded
        names = targets if isinstance(targets, str) else list(targets)
        lora = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=names, task_type="CAUSAL_LM")
        inject_adapter_in_model(lora, self.llm)

    @torch.no_grad()
    def fold(self) -> None:
        """Fold LoRA and the trained rows into the LLM's own matrices; what it computes stays the same."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        for name, module in list(self.llm.named_modules()):
            if isinstance(module, BaseTunerLayer):
                module.merge()
                self.llm.set_submodule(name, module.get_base_layer())
        if self.token_rows is not None:
            embedding, head, rows = self.llm.get_input_embeddings(), self.llm.get_output_embeddings(), self.token_rows
            embedding.weight[rows.ids] += rows.embedding_rows
            if head.weight is not embedding.weight:
                head.weight[rows.ids] += rows.head_rows
            self.token_rows = None
