"""Pretraining of the LLM in words: what it reads, that packed dialogues are apart, and that it learns."""

import random

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from anygen.nano.tokenizer import special_tokens, train_tokenizer
from anygen.nano.training.llm import DialogueEncoder, PretrainingConfig, greedy_replies, pack, pretraining_loss
from anygen.nano.training.tokenizer import tokenizer_texts
from anygen.nano.world.dialogues import sample_dialogue
from anygen.nano.world.scene import Scene
from anygen.nano.world.turns import Dialogue, DialoguePart, DialogueTurn, medium


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(tokenizer_texts(num_dialogues=200, num_captions=50), vocab_size=600)


@pytest.fixture
def llm(tokenizer):
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=256, tie_word_embeddings=True,
    ))  # fmt: skip


BELL = Scene(thing="bell", color="red", background="grass")
DIALOGUE = Dialogue(task="toy", turns=(
    DialogueTurn(role="user", parts=(medium("image", BELL), DialoguePart(type="text", text="Play it <end>"))),
    DialogueTurn(role="assistant", parts=(DialoguePart(type="text", text="Here it is."), medium("audio", BELL))),
))  # fmt: skip


def test_media_of_the_user_are_captions_and_those_of_the_assistant_echo_or_nothing(tokenizer):
    silent = DialogueEncoder(tokenizer, PretrainingConfig(echo=0.0))
    ids, weights = silent.dialogue(DIALOGUE, random.Random(0))
    read = "<bos><user><media>a large red bell on grass in the center</media>Play it <end><end><assistant>Here it is.<end>"
    assert tokenizer.decode(ids) == read
    assert ids.count(tokenizer.eos_token_id) == 2  # the one that the user spelt out is none
    said = [token for token, weight in zip(ids, weights, strict=True) if weight == 1]
    assert tokenizer.decode(said) == "Here it is.<end>"
    echoing = DialogueEncoder(tokenizer, PretrainingConfig(echo=1.0))
    ids, _ = echoing.dialogue(DIALOGUE, random.Random(0))
    assert tokenizer.decode(ids).endswith("Here it is.the sound of a bell<end>")
    assert tokenizer.decode(echoing.prompt(DIALOGUE)).endswith("<end><assistant>")


def test_signal_tokens_are_never_read(tokenizer):
    encoder = DialogueEncoder(tokenizer, PretrainingConfig())
    signals = set(tokenizer.convert_tokens_to_ids(special_tokens()[10:]))
    assert len(signals) == 14
    rng = random.Random(1)
    assert all(not signals & set(encoder.dialogue(sample_dialogue(rng), rng)[0]) for _ in range(100))


@torch.no_grad()
def test_a_packed_dialogue_is_read_as_if_alone(tokenizer, llm):
    config = PretrainingConfig(rows=2, row_length=160)
    batch = pack(DialogueEncoder(tokenizer, config), random.Random(0), config)
    together = llm(**{name: value for name, value in batch.items() if name != "weights"}).logits
    starts = (batch["input_ids"][0] == tokenizer.bos_token_id).nonzero().flatten().tolist()
    assert len(starts) > 1
    for start, stop in zip(starts, starts[1:], strict=False):
        alone = llm(batch["input_ids"][:1, start:stop]).logits[0]
        torch.testing.assert_close(together[0, start:stop], alone, atol=1e-5, rtol=1e-5)


def test_a_few_steps_lower_the_loss_and_replies_come_one_a_dialogue(tokenizer, llm):
    config = PretrainingConfig(rows=4, row_length=96)
    encoder, rng = DialogueEncoder(tokenizer, config), random.Random(0)
    optimizer = torch.optim.AdamW(llm.parameters(), lr=1e-2)
    losses = []
    for _ in range(25):
        loss = pretraining_loss(llm, pack(encoder, rng, config))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 6 and sum(losses[-5:]) / 5 < 4.5
    replies = greedy_replies(llm.eval(), encoder, [DIALOGUE, sample_dialogue(rng)])
    assert len(replies) == 2 and all("<" not in reply for reply in replies)
