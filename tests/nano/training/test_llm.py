"""Pretraining of the LLM in words: what it reads, that packed dialogues are apart, and that it learns."""

import random

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from anygen.nano.tokenizer import train_tokenizer
from anygen.nano.training.llm import DialogueEncoder, PretrainedLlm, PretrainingConfig, greedy_replies, pack, pretraining_loss
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


def test_media_of_the_user_are_captions_and_those_of_the_assistant_runs_of_signal_tokens(tokenizer):
    encoder = DialogueEncoder(tokenizer, PretrainingConfig(prompt_weight=0.1))
    encoded = encoder.dialogue(DIALOGUE)
    read = "<bos><user><media>a large red bell on grass in the center</media>play it <end><end><assistant>Here it is."
    assert tokenizer.decode(encoded.ids) == read + "<audio_0><audio_1><audio_2><audio_3><end>"
    assert encoded.ids.count(tokenizer.eos_token_id) == 2  # the one that the user spelt out is none
    said = [token for token, weight in zip(encoded.ids, encoded.weights, strict=True) if weight == 1]
    assert tokenizer.decode(said) == "Here it is.<audio_0><end>"  # the others of a run are no decisions
    [(start, part)] = encoded.runs
    assert tokenizer.decode(encoded.ids[start]) == "<audio_0>" and part.type == "audio" and part.scene == BELL
    assert tokenizer.decode(encoder.prompt(DIALOGUE)) == read.removesuffix("Here it is.")


def test_phrases_of_a_users_medium_may_stand_in_any_order(tokenizer):
    encoder = DialogueEncoder(tokenizer, PretrainingConfig(shuffled=1.0))
    rng = random.Random(0)
    seen = {tokenizer.decode(encoder.dialogue(DIALOGUE, rng).ids).split("<media>")[1].split("</media>")[0] for _ in range(9)}
    phrases = ["large", "red", "bell", "on grass", "in the center"]
    assert len(seen) > 5 and all(sorted(words.split()) == sorted(" ".join(phrases).split()) for words in seen)
    assert all(phrase in words for words in seen for phrase in phrases)


def test_runs_of_a_batch_are_where_the_batch_has_them(tokenizer):
    config = PretrainingConfig(rows=8, row_length=128)
    encoder = DialogueEncoder(tokenizer, config)
    batch = pack(encoder, random.Random(0), config)
    assert sum(map(len, batch.runs.values())) > 4
    for modality, runs in batch.runs.items():
        for row, start, scene in runs:
            found = batch.inputs["input_ids"][row, start : start + len(encoder.runs[modality])]
            assert found.tolist() == encoder.runs[modality] and isinstance(scene, Scene)


@torch.no_grad()
def test_a_packed_dialogue_is_read_as_if_alone(tokenizer, llm):
    config = PretrainingConfig(rows=2, row_length=160)
    batch = pack(DialogueEncoder(tokenizer, config), random.Random(0), config)
    together = llm(**batch.inputs).logits
    starts = (batch.inputs["input_ids"][0] == tokenizer.bos_token_id).nonzero().flatten().tolist()
    assert len(starts) > 1
    for start, stop in zip(starts, starts[1:], strict=False):
        alone = llm(batch.inputs["input_ids"][:1, start:stop]).logits[0]
        torch.testing.assert_close(together[0, start:stop], alone, atol=1e-5, rtol=1e-5)


def test_a_few_steps_lower_the_loss_and_replies_come_one_a_dialogue(tokenizer, llm):
    config = PretrainingConfig(rows=8, row_length=96)
    encoder, rng = DialogueEncoder(tokenizer, config), random.Random(0)
    model = PretrainedLlm(llm)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    batch = pack(encoder, rng, config)
    found = []
    for _ in range(25):
        found.append(pretraining_loss(model, batch, config))
        optimizer.zero_grad()
        found[-1]["loss"].backward()
        optimizer.step()
    for name in ("assistant", "attributes_image", "attributes_audio"):
        assert found[-1][name] < 0.5 * found[0][name], name
    replies = greedy_replies(llm.eval(), encoder, [DIALOGUE, sample_dialogue(rng)])
    assert len(replies) == 2 and all("<" not in reply for reply in replies)
