"""What a backbone is: an LLM of the hub with its tokenizer and chat template (steps 5 to 7 of the data flow).

Embeddings float[B, T, D] -> last hidden states float[B, T, D] (after the final norm) -> logits float[B, T, V].

    Backbone.read(embeddings, inputs)   whole conversations in one pass, for training
    Backbone.start(inputs) -> Session   replies step by step, for inference (`session.py`)

What a kind of LLM has to say for itself is in `decoder_only.py`, `recurrent.py` and `encoder_decoder.py`; words and
templates in `words.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import AddedToken, PreTrainedModel, PreTrainedTokenizerFast

from anygen.backbones.session import Session
from anygen.backbones.token_rows import TokenRows
from anygen.backbones.words import Words
from anygen.errors import AnyGenError
from anygen.messages import Conversation, Part

if TYPE_CHECKING:
    from anygen.chat import Inputs, MediaSlot

NO_LIMIT = 1_000_000
"""Tokens of a context that has no bound of its own."""


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """How media are announced to the LLM."""

    media_start: str = "<media>"
    """Special token before a medium's embeddings; "" for none."""
    media_end: str = "</media>"
    """Special token after them; "" for none."""
    stop_ids: tuple[tuple[int, ...], ...] = ()
    """Sequences of ids that end a reply as the end token does, for LLMs that were taught so; they are no part of it."""
    lowercase_users: bool = False
    """Whether users' words are read in lower case, for LLMs that were taught so: "A RED BELL" is then "a red bell"."""

    def __post_init__(self):
        object.__setattr__(self, "stop_ids", tuple(map(tuple, self.stop_ids)))  # JSON has lists
        if not all(self.stop_ids):
            raise ValueError(f"stop_ids is {self.stop_ids}; expected sequences of one id or more")


class Backbone(Words, nn.Module, ABC):
    """Contract of every LLM. `llm` is trained or frozen by whoever holds the backbone."""

    task: str = "CAUSAL_LM"
    """What peft calls this kind of LLM."""
    lora_targets: str | list[str] = "all-linear"
    """Layers that get an adapter where nobody says which."""
    reads: tuple[str, ...] = ()
    """Media that the LLM reads by itself, without an encoder and an input projector of ours."""
    words_begin: str = ""
    """What stands before the words of a part and is tokenized with them, such as a blank."""
    replies_learned: str = "all"
    """Of a conversation with several replies, which can be learned in one pass: "all", or the "last"."""

    def __init__(
        self, llm: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, *, config: BackboneConfig | None = None
    ):
        nn.Module.__init__(self)
        Words.__init__(self, tokenizer)
        self.config = config or BackboneConfig()
        self.llm = llm
        self.token_rows: TokenRows | None = None
        self.added_tokens: list[str] = []
        """Tokens that `add_tokens` gave to the LLM."""
        self.source: str | None = None
        """Where the frozen LLM came from, a repository or a folder; None for one that is saved with the model."""
        self.media_start_ids = self.special_ids([self.config.media_start]) if self.config.media_start else []
        self.media_end_ids = self.special_ids([self.config.media_end]) if self.config.media_end else []

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, config: BackboneConfig | None = None, **options: Any) -> Backbone:
        """Read a transformers folder (LLM and tokenizer) of any kind; see `load.load_backbone`."""
        from anygen.backbones.load import load_backbone

        return load_backbone(folder, config=config, **options)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write LLM and tokenizer as transformers does, trained rows and LoRA folded in."""
        self.fold()
        self.llm.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    # What the neighbours ask

    @property
    def speaker(self) -> PreTrainedModel:
        """The LLM that reads embeddings: `llm`, or the part of it that speaks."""
        return self.llm

    @property
    def width(self) -> int:
        """D, the width of embeddings and hidden states."""
        return self.llm.get_input_embeddings().embedding_dim

    @property
    def context_length(self) -> int:
        """How many positions a conversation may take.

        The number that the LLM was made for. Where its configuration has none (T5 counts distances, Mamba has a state) it
        is what its tokenizer was made for, or without a bound there `NO_LIMIT`.
        """
        text = self.llm.config.get_text_config()
        for name in ("max_position_embeddings", "n_positions"):
            if getattr(text, name, None):
                return getattr(text, name)
        return min(self.tokenizer.model_max_length, NO_LIMIT)

    def room_for_reply(self, num_prompt_tokens: int) -> int:
        """How many tokens a reply to a prompt of so many may take."""
        return self.context_length - num_prompt_tokens

    @property
    def device(self) -> torch.device:
        return self.llm.get_input_embeddings().weight.device

    @property
    def stops(self) -> list[tuple[int, ...]]:
        """Sequences of ids that end a reply beside `end_id`: those of the configuration and of the LLM's own."""
        own: dict[int, None] = {}
        for llm in (self.llm, self.speaker):
            ends = llm.generation_config.eos_token_id
            own |= dict.fromkeys([] if ends is None else ends if isinstance(ends, list) else [ends])
        return [*self.config.stop_ids, *((index,) for index in own if index != self.end_id)]

    @cached_property
    def special_token_ids(self) -> list[int]:
        """Ids that are never words: special tokens, and rows of the output head that no token has."""
        added = [index for index, token in self.tokenizer.added_tokens_decoder.items() if token.special]
        rows = self.llm.get_output_embeddings().weight.shape[0]
        return [*self.tokenizer.all_special_ids, *added, *range(len(self.tokenizer), rows)]

    @torch.no_grad()
    def add_tokens(self, tokens: Sequence[str]) -> list[int]:
        """New special tokens and their ids. Their rows begin as the mean of the others and a little noise of their own.

        Where the matrices have no rows left they grow, by so many that their number stays a multiple of 64 or 8 if it was
        one: tensor cores want that. Rows that no token has are the mean, and are never said.

        Raises `model_load_error` where the tokenizer has one of them already, as something else than a special token.
        """
        vocabulary = self.tokenizer.get_vocab()
        if known := [token for token in tokens if token in vocabulary and token not in self.tokenizer.added_tokens_encoder]:
            raise AnyGenError("model_load_error", f"tokenizer: {known} are words of the LLM; signal tokens need names of their own")
        fresh = [token for token in tokens if token not in vocabulary]
        self.tokenizer.add_tokens([AddedToken(t, special=True, normalized=False) for t in fresh], special_tokens=True)
        matrices = {id(m.weight): m for m in (self.llm.get_input_embeddings(), self.llm.get_output_embeddings())}
        means = [(matrix.weight.float().mean(dim=0), matrix.weight.float().std()) for matrix in matrices.values()]
        rows = self.llm.get_input_embeddings().weight.shape[0]
        if len(self.tokenizer) > rows:
            multiple = next(number for number in (64, 8, 1) if rows % number == 0)
            self.llm.resize_token_embeddings(len(self.tokenizer), pad_to_multiple_of=multiple, mean_resizing=False)
        ids = self.tokenizer.convert_tokens_to_ids(list(tokens))
        new = self.tokenizer.convert_tokens_to_ids(fresh)
        matrices = {id(m.weight): m for m in (self.llm.get_input_embeddings(), self.llm.get_output_embeddings())}
        for matrix, (mean, deviation) in zip(matrices.values(), means, strict=True):
            matrix.weight[rows:] = mean.to(matrix.weight.dtype)
            for index in new:
                noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(index)).to(mean)
                matrix.weight[index] = (mean + 0.1 * deviation * noise).to(matrix.weight.dtype)
        self.added_tokens += fresh
        self.__dict__.pop("special_token_ids", None)
        self.__dict__.pop("ids_outside_captions", None)
        return ids

    def media_ids(self, part: Part, *, after: Sequence[int] = ()) -> list[int]:
        """The tokens that stand for a medium that the LLM reads by itself, `after` those of its row so far."""
        raise NotImplementedError(f"{type(self).__name__} reads no {part.type} by itself")

    def parts_ahead(self, conversation: Conversation) -> list[Part]:
        """Media that are read before all words, whatever was said before them."""
        return []

    # Tensors

    def embed(self, ids: Tensor) -> Tensor:
        """int64[B, T] -> float[B, T, D]."""
        embeddings = self.llm.get_input_embeddings()(ids)
        return embeddings if self.token_rows is None else embeddings + self.token_rows.added_to_embeddings(ids)

    def embed_media(self, slots: Sequence[MediaSlot]) -> Tensor | None:
        """float[N, K, D]: embeddings of N media that the LLM reads by itself; None where it merges them itself, too."""
        return None

    @abstractmethod
    def read(self, embeddings: Tensor, inputs: Inputs) -> Tensor:
        """Whole conversations, padded on the right: float[B, T, D] -> last hidden states float[B, T, D].

        The state at a position is what the token after it is chosen by, and what a bridge reads of the token there.
        """

    @abstractmethod
    def start(self, inputs: Inputs) -> Session:
        """Begin to answer B prompts, padded on the left; their embeddings are the first block that the session is fed."""

    def logits(self, hidden: Tensor) -> Tensor:
        """float[..., D] -> float[..., V]."""
        logits = self.llm.get_output_embeddings()(hidden)
        if self.token_rows is not None:
            logits = logits.index_add(-1, self.token_rows.ids, self.token_rows.added_to_logits(hidden))
        return logits

    # Training

    def add_token_rows(self, ids: Sequence[int]) -> TokenRows:
        """Make the embeddings and head rows of a few tokens trainable while the LLM stays frozen."""
        embedding, head = self.llm.get_input_embeddings(), self.llm.get_output_embeddings()
        self.token_rows = TokenRows(ids, embedding=embedding, tied=head.weight is embedding.weight).to(self.device)
        return self.token_rows

    def add_lora(
        self, *, rank: int, alpha: int, dropout: float = 0.0, targets: Sequence[str] | str | None = None
    ) -> None:
        """Put trainable low-rank adapters (LoRA, Hu et al. 2021) beside the LLM's linear layers; freezes the rest.

        `targets`: names of layers, or "all-linear"; None for those of this kind of LLM.
        """
        from peft import LoraConfig, inject_adapter_in_model
        from transformers.pytorch_utils import Conv1D

        self.source = None  # what is saved is no longer what was loaded
        targets = self.lora_targets if targets is None else targets
        names = targets if isinstance(targets, str) else list(targets)
        transposed = any(isinstance(module, Conv1D) for module in self.llm.modules())  # GPT-2
        lora = LoraConfig(
            r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=names, task_type=self.task, fan_in_fan_out=transposed
        )
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
