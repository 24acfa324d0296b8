"""Pretrains nano's LLM on dialogues in words only: a component, before any encoder or generator is attached.

    dialogue -> ids (a user's medium is its caption between <media> and </media>) -> LlamaForCausalLM -> next token

So the frozen LLM can later read projected tokens where captions stood. The assistant's media are left out; after some
of its replies the caption is said once more, so that the states where signal tokens will stand know what to make.
The signal tokens themselves are learnt in the alignment stages. A run is `folder/checkpoint.pt`, `metrics.jsonl` and,
at its end, `folder/export` (transformers layout with the tokenizer, half precision).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from anygen.nano import tokenizer as nano_tokenizer
from anygen.nano.training.loop import LoopConfig, fit, log
from anygen.nano.world.dialogues import TASKS, Dialogue, sample_dialogue
from anygen.nano.world.turns import DialogueTurn

LOOP = LoopConfig(steps=1600, learning_rate=2e-3, warmup_steps=60, weight_decay=0.05, log_every=20)
AMBIGUOUS_TASKS = ("forced media",)
"""Tasks whose reply the words do not determine; validation leaves them out."""


@dataclass(frozen=True, kw_only=True)
class PretrainingConfig:
    """What a step of the LLM's pretraining reads."""

    rows: int = 8
    """Rows of a batch."""
    row_length: int = 128
    """Tokens of a row, into which whole dialogues are packed; longer dialogues are cut."""
    prompt_weight: float = 0.1
    """Weight of the loss on tokens that the assistant does not say (those it says have weight 1)."""
    echo: float = 0.3
    """How often the caption is said again where the assistant makes a medium."""


def build_llm(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """nano's Llama: width 256, 6 layers, 512 positions, tied embeddings; untrained."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=6,
        num_attention_heads=8,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return LlamaForCausalLM(config)


class DialogueEncoder:
    """Turns dialogues into token ids and the weight of each token's loss, media written out as captions."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, config: PretrainingConfig):
        self.tokenizer = tokenizer
        self.config = config
        self.ids = {token: tokenizer.convert_tokens_to_ids(token) for token in nano_tokenizer.CONTROL_TOKENS}
        self._known: dict[str, list[int]] = {}

    def words(self, text: str) -> list[int]:
        """Ids of a text without special tokens."""
        return nano_tokenizer.encode_text(self.tokenizer, text)

    def turn(self, turn: DialogueTurn, rng: random.Random | None) -> list[int]:
        """Ids of a turn from "<user>" or "<assistant>" to "<end>"; with an `rng`, media of the assistant may echo."""
        ids = [self.ids[f"<{turn.role}>"]]
        for part in turn.parts:
            if part.type == "text":
                ids += self.words(part.text)
            elif turn.role == "user":
                ids += [self.ids["<media>"], *self.words(part.caption), self.ids["</media>"]]
            elif rng is not None and rng.random() < self.config.echo:
                ids += self.words(part.caption)
        return [*ids, self.ids["<end>"]]

    def dialogue(self, dialogue: Dialogue, rng: random.Random) -> tuple[list[int], list[float]]:
        """Ids of a dialogue and the weight of the loss on each."""
        ids, weights = [self.ids["<bos>"]], [0.0]
        for turn in dialogue.turns:
            new = self.turn(turn, rng)
            said = 1.0 if turn.role == "assistant" else self.config.prompt_weight
            ids += new
            weights += [self.config.prompt_weight, *[said] * (len(new) - 1)]
        return ids, weights

    def prompt(self, dialogue: Dialogue) -> list[int]:
        """Ids of a dialogue up to the assistant's last turn, which is to be said."""
        turns = [token for turn in dialogue.turns[:-1] for token in self.turn(turn, None)]
        return [self.ids["<bos>"], *turns, self.ids["<assistant>"]]


def pack(encoder: DialogueEncoder, rng: random.Random, config: PretrainingConfig) -> dict[str, Tensor]:
    """Whole dialogues side by side in rows, none of which sees another.

    Returns input_ids int64[B, T], weights float[B, T], position_ids int64[B, T] (from 0 in each dialogue), and
    attention_mask bool[B, 1, T, T].
    """
    shape = (config.rows, config.row_length)
    ids = torch.full(shape, encoder.ids["<pad>"])
    weights, positions, segments = torch.zeros(shape), torch.zeros(shape, dtype=torch.long), torch.zeros(shape)
    for row in range(config.rows):
        start, segment = 0, 1
        while True:
            tokens, token_weights = encoder.dialogue(sample_dialogue(rng), rng)
            if start > 0 and start + len(tokens) > config.row_length:
                break
            length = min(len(tokens), config.row_length - start)
            place = slice(start, start + length)
            ids[row, place] = torch.tensor(tokens[:length])
            weights[row, place] = torch.tensor(token_weights[:length])
            positions[row, place] = torch.arange(length)
            segments[row, place] = segment
            start, segment = start + length, segment + 1
            if start == config.row_length:
                break
    same = segments[:, None, :, None] == segments[:, None, None, :]
    causal = torch.ones(config.row_length, config.row_length, dtype=torch.bool).tril()
    return {"input_ids": ids, "weights": weights, "position_ids": positions, "attention_mask": same & causal}


def pretraining_loss(llm: LlamaForCausalLM, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weighted cross-entropy of the next token, and its part over the assistant's tokens alone."""
    logits = llm(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], position_ids=batch["position_ids"]
    ).logits
    nats = F.cross_entropy(logits[:, :-1].flatten(0, 1), batch["input_ids"][:, 1:].flatten(), reduction="none")
    weights = batch["weights"][:, 1:].flatten()
    said = weights == 1
    return {"loss": (nats * weights).sum() / weights.sum(), "assistant": nats[said].mean().detach()}


@torch.no_grad()
def exact_match(
    llm: LlamaForCausalLM, encoder: DialogueEncoder, *, split: str = "test", per_task: int = 20, seed: int = 1
) -> dict[str, float]:
    """Share of last replies said word by word by greedy decoding, for each task and in all ("mean")."""
    rng = random.Random(seed)
    dialogues = [sample_dialogue(rng, split, task) for task in TASKS if task not in AMBIGUOUS_TASKS for _ in range(per_task)]
    right: dict[str, list[bool]] = defaultdict(list)
    dialogues.sort(key=lambda dialogue: len(encoder.prompt(dialogue)))
    for batch in _chunks(dialogues, 64):
        for dialogue, reply in zip(batch, greedy_replies(llm, encoder, batch), strict=True):
            expected = "".join(part.text for part in dialogue.turns[-1].parts if part.type == "text")
            right[dialogue.task].append(reply == expected)
    shares = {task: sum(found) / len(found) for task, found in sorted(right.items())}
    return {"mean": sum(shares.values()) / len(shares), **shares}


@torch.no_grad()
def greedy_replies(llm: LlamaForCausalLM, encoder: DialogueEncoder, dialogues: list[Dialogue]) -> list[str]:
    """What the LLM says in place of each dialogue's last turn (greedy, at most 96 tokens)."""
    prompts = [encoder.prompt(dialogue) for dialogue in dialogues]
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), encoder.ids["<pad>"])
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
    said = llm.generate(
        input_ids=ids,
        attention_mask=(ids != encoder.ids["<pad>"]).long(),
        max_new_tokens=96,
        do_sample=False,
        pad_token_id=encoder.ids["<pad>"],
        eos_token_id=encoder.ids["<end>"],
    )
    return [encoder.tokenizer.decode(row[width:], skip_special_tokens=True) for row in said]


def pretrain_llm(
    *,
    tokenizer_folder: Path,
    folder: Path,
    loop: LoopConfig,
    config: PretrainingConfig | None = None,
    minutes: float | None = None,
) -> bool:
    """Train (or go on training) in `folder` for at most `minutes`, and export it; True when all steps are done."""
    config = config or PretrainingConfig()
    torch.manual_seed(loop.seed)
    encoder = DialogueEncoder(nano_tokenizer.load(tokenizer_folder), config)
    llm = build_llm(encoder.tokenizer)

    def loss_of_step(generator: torch.Generator) -> dict[str, Tensor]:
        rng = random.Random(int(torch.randint(2**62, (), generator=generator)))
        return pretraining_loss(llm, pack(encoder, rng, config))

    done = fit(llm, loss_of_step, loop, folder=folder, minutes=minutes)
    llm.eval().to(torch.float16).save_pretrained(folder / "export")
    encoder.tokenizer.save_pretrained(folder / "export")
    llm.to(torch.float32)  # validation reads the weights as they were exported
    log(folder, {f"test: {task}": share for task, share in exact_match(llm, encoder).items()})
    return done


def _chunks(items: list, size: int) -> Iterator[list]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
