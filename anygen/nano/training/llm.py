"""Pretrains nano's LLM on dialogues in words only: a component, before any encoder or generator is attached.

    dialogue -> ids (a user's medium is its caption between <media> and </media>) -> LlamaForCausalLM -> next token
                                   states of every run of signal tokens -> heads -> attributes of what is to be made

So the frozen LLM can later read projected tokens where captions stood. The states of a large published LLM hold what it
is about to make; one as small as this holds what it was asked for, so heads, which are thrown away afterwards, ask the
states of each run for the medium's thing, colour, place and so on: the output projectors will find them there. A run is
`folder/checkpoint.pt`, `metrics.jsonl` and, at its end, `folder/export` (transformers layout with the tokenizer).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from anygen.nano import tokenizer as nano_tokenizer
from anygen.nano.training.caption_encoder import AttributeHeads, attribute_loss
from anygen.nano.training.loop import LoopConfig, fit, log, python_random
from anygen.nano.world.captions import has_place
from anygen.nano.world.dialogues import TASKS, Dialogue, sample_conversation, sample_dialogue
from anygen.nano.world.requests import is_lone
from anygen.nano.world.scene import Scene
from anygen.nano.world.turns import MEDIA, DialoguePart, DialogueTurn
from anygen.nano.world.words import BACKGROUND_WORDS, MOTION_WORDS, NOUNS, PLACE_WORDS

LOOP = LoopConfig(steps=18000, learning_rate=2e-3, warmup_steps=60, weight_decay=0.05, ema_decay=0.995, log_every=20)
AMBIGUOUS_TASKS = ("forced media",)
"""Tasks whose reply the words do not determine; validation leaves them out."""


@dataclass(frozen=True, kw_only=True)
class PretrainingConfig:
    """What a step of the LLM's pretraining reads."""

    rows: int = 6
    """Rows of a batch."""
    row_length: int = 192
    """Tokens of a row, into which whole dialogues are packed; longer dialogues are cut."""
    prompt_weight: float = 0.1
    """Weight of the loss on tokens that the assistant does not say (those it says have weight 1)."""
    shuffled: float = 0.4
    """How often the caption that stands for a user's picture or film of a lone thing has its phrases in any order."""
    attribute_weight: float = 0.25
    """Weight of the loss of the heads that read the runs."""


@dataclass(kw_only=True)
class Encoded:
    """A dialogue as token ids."""

    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    """Weight of the loss on each token."""
    runs: list[tuple[int, DialoguePart]] = field(default_factory=list)
    """Where each run of signal tokens begins, and the medium that it stands for."""

    def say(self, ids: Sequence[int], weight: float) -> None:
        """Append tokens of one weight."""
        self.ids += ids
        self.weights += [weight] * len(ids)


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


class PretrainedLlm(nn.Module):
    """The LLM and the heads that ask its states at signal tokens what they stand for."""

    def __init__(self, llm: LlamaForCausalLM):
        super().__init__()
        self.llm = llm
        self.heads = AttributeHeads(llm.config.hidden_size)


class DialogueEncoder:
    """Turns dialogues into token ids and the weight of each token's loss, media written out as captions."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, config: PretrainingConfig):
        self.tokenizer = tokenizer
        self.config = config
        self.ids = {token: tokenizer.convert_tokens_to_ids(token) for token in nano_tokenizer.CONTROL_TOKENS}
        self.runs = {m: tokenizer.convert_tokens_to_ids(nano_tokenizer.signal_tokens(m)) for m in MEDIA}

    def words(self, text: str) -> list[int]:
        """Ids of a text without special tokens."""
        return nano_tokenizer.encode_text(self.tokenizer, text)

    def turn(self, turn: DialogueTurn, encoded: Encoded, rng: random.Random | None = None) -> None:
        """Append a turn from "<user>" or "<assistant>" to "<end>"; with an `rng`, phrases of the user's media move about."""
        said = 1.0 if turn.role == "assistant" else self.config.prompt_weight
        encoded.say([self.ids[f"<{turn.role}>"]], self.config.prompt_weight)
        for part in turn.parts:
            if part.type == "text":
                encoded.say(self.words(part.text.lower() if turn.role == "user" else part.text), said)
            elif turn.role == "user":
                words = part.caption
                if rng is not None and part.type != "audio" and is_lone(part.scene) and rng.random() < self.config.shuffled:
                    words = in_any_order(part.scene, part.type, rng)
                encoded.say([self.ids["<media>"], *self.words(words), self.ids["</media>"]], said)
            else:
                first, *certain = self.runs[part.type]
                encoded.runs.append((len(encoded.ids), part))
                encoded.say([first], said)
                encoded.say(certain, self.config.prompt_weight)
        encoded.say([self.ids["<end>"]], said)

    def dialogue(self, dialogue: Dialogue, rng: random.Random | None = None) -> Encoded:
        """A whole dialogue; `rng` as for `turn`."""
        encoded = Encoded()
        encoded.say([self.ids["<bos>"]], 0.0)
        for turn in dialogue.turns:
            self.turn(turn, encoded, rng)
        return encoded

    def prompt(self, dialogue: Dialogue) -> list[int]:
        """Ids of a dialogue up to the assistant's last turn, which is to be said."""
        encoded = self.dialogue(replace(dialogue, turns=dialogue.turns[:-1]))
        return [*encoded.ids, self.ids["<assistant>"]]


def in_any_order(scene: Scene, modality: str, rng: random.Random) -> str:
    """The canonical phrases of a lone thing, shuffled: "on grass bell large in the center red".

    Projected tokens stand in the order of the picture's patches, not in that of a sentence.
    """
    phrases = [scene.size, scene.color, NOUNS[scene.thing][0][0], BACKGROUND_WORDS[scene.background][0]]
    if modality == "video":
        phrases.append(MOTION_WORDS[scene.motion][0])
    if has_place(scene, modality):
        phrases.append(PLACE_WORDS[scene.place][0])
    return " ".join(rng.sample(phrases, len(phrases)))


@dataclass(frozen=True, kw_only=True)
class PackedBatch:
    """Whole dialogues side by side in rows, none of which sees another."""

    inputs: dict[str, Tensor]
    """For the LLM: input_ids int64[B, T], position_ids int64[B, T] (from 0 in each dialogue), attention_mask bool[B, 1, T, T]."""
    weights: Tensor
    """float[B, T]: what each token counts in the loss."""
    runs: dict[str, list[tuple[int, int, Scene]]]
    """modality -> row, first position and scene of every run of signal tokens that a row holds in full."""


def pack(encoder: DialogueEncoder, rng: random.Random, config: PretrainingConfig) -> PackedBatch:
    """Draw dialogues until every row is full."""
    shape = (config.rows, config.row_length)
    ids = torch.full(shape, encoder.ids["<pad>"])
    weights, positions, segments = torch.zeros(shape), torch.zeros(shape, dtype=torch.long), torch.zeros(shape)
    runs: dict[str, list[tuple[int, int, Scene]]] = {modality: [] for modality in MEDIA}
    for row in range(config.rows):
        start, segment = 0, 1
        while start < config.row_length:
            encoded = encoder.dialogue(sample_conversation(rng, lambda: sample_dialogue(rng)), rng)
            if start > 0 and start + len(encoded.ids) > config.row_length:
                break
            length = min(len(encoded.ids), config.row_length - start)
            place = slice(start, start + length)
            ids[row, place] = torch.tensor(encoded.ids[:length])
            weights[row, place] = torch.tensor(encoded.weights[:length])
            positions[row, place] = torch.arange(length)
            segments[row, place] = segment
            for first, part in encoded.runs:
                if first + len(encoder.runs[part.type]) <= length:
                    runs[part.type].append((row, start + first, part.scene))
            start, segment = start + length, segment + 1
    same = segments[:, None, :, None] == segments[:, None, None, :]
    causal = torch.ones(config.row_length, config.row_length, dtype=torch.bool).tril()
    inputs = {"input_ids": ids, "position_ids": positions, "attention_mask": same & causal}
    return PackedBatch(inputs=inputs, weights=weights, runs=runs)


def pretraining_loss(model: PretrainedLlm, batch: PackedBatch, config: PretrainingConfig) -> dict[str, Tensor]:
    """Weighted cross-entropy of the next token, its part over the assistant's tokens alone, and the attributes of runs."""
    hidden = model.llm.model(**batch.inputs).last_hidden_state
    logits = model.llm.lm_head(hidden)
    nats = F.cross_entropy(logits[:, :-1].flatten(0, 1), batch.inputs["input_ids"][:, 1:].flatten(), reduction="none")
    weights = batch.weights[:, 1:].flatten()
    losses = {"loss": (nats * weights).sum() / weights.sum(), "assistant": nats[weights == 1].mean().detach()}
    for modality, runs in batch.runs.items():
        if runs:
            length = nano_tokenizer.NUM_SIGNAL_TOKENS[modality]
            states = torch.stack([hidden[row, start : start + length] for row, start, _ in runs])
            labels = model.heads.labels([(scene, modality) for _, _, scene in runs])
            loss, right = attribute_loss(model.heads(states), labels)
            losses["loss"] = losses["loss"] + config.attribute_weight * loss
            losses |= {f"attributes_{modality}": loss.detach(), f"right_{modality}": right}
    return losses


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
    model = PretrainedLlm(build_llm(encoder.tokenizer))
    llm = model.llm

    def loss_of_step(generator: torch.Generator) -> dict[str, Tensor]:
        return pretraining_loss(model, pack(encoder, python_random(generator), config), config)

    done = fit(model, loss_of_step, loop, folder=folder, minutes=minutes)
    llm.eval().to(torch.float16).save_pretrained(folder / "export")
    encoder.tokenizer.save_pretrained(folder / "export")
    llm.to(torch.float32)  # validation reads the weights as they were exported
    log(folder, {f"test: {task}": share for task, share in exact_match(llm, encoder).items()})
    return done


def _chunks(items: list, size: int) -> Iterator[list]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
