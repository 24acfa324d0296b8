"""BLIP-2 and InstructBLIP: where images stand in the published prompts, and what InstructBLIP's Q-Former reads."""

import pytest
import torch
from test_vision_language import PICTURES, TALKS, asked
from tiny_llms import build_model
from tiny_seers import NUM_QUERIES, save_blip2, save_blip2_over_t5, save_instructblip

from anygen.backbones import build_backbone
from anygen.errors import AnyGenError

SHOWN = "<image>" * NUM_QUERIES


@pytest.fixture(scope="module", params=[save_blip2, save_blip2_over_t5, save_instructblip])
def folder(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("blip"))


@pytest.fixture(scope="module")
def instructed(tmp_path_factory):
    return build_model(save_instructblip(tmp_path_factory.mktemp("instructblip")))


def prompt(model, talk, **settings) -> str:
    return model.backbone.tokenizer.decode(model.write_script(talk, **settings).ids)


HISTORY = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": [{"type": "text", "text": "what is it?"}, {"type": "image", "image": PICTURES[0]}]},
    {"role": "assistant", "content": "a bell"},
    {"role": "user", "content": [{"type": "image", "image": PICTURES[1]}, {"type": "text", "text": "and it?"}]},
]
PROMPTS = {
    "save_blip2": [
        f"{SHOWN}<s>Question: what is it? Answer:",
        f"{SHOWN}<s>",
        f"{SHOWN}<s> be brief\nQuestion: what is it? Answer: a bell</s>\nQuestion:{SHOWN} and it? Answer:",
    ],
    "save_blip2_over_t5": [
        f"{SHOWN}Question: what is it? Answer:</s>",
        f"{SHOWN}</s>",
        f"{SHOWN} be brief\nQuestion: what is it? Answer: a bell\nQuestion:{SHOWN} and it? Answer:</s>",
    ],
    "save_instructblip": [
        f"{SHOWN}<s>what is it?",
        f"{SHOWN}<s>",
        f"{SHOWN}<s>be brief\nwhat is it?a bell</s>\n{SHOWN}and it?",
    ],
}


@pytest.mark.parametrize("save", [save_blip2, save_blip2_over_t5, save_instructblip], ids=lambda save: save.__name__)
def test_prompts_are_the_published_ones(save, tmp_path):
    model = build_model(save(tmp_path))
    alone = [{"role": "user", "content": [{"type": "image", "image": PICTURES[0]}]}]
    made = [prompt(model, talk, add_generation_prompt=True) for talk in (TALKS[0], alone, HISTORY)]
    assert made == PROMPTS[save.__name__]


@torch.no_grad()
def test_a_later_turn_changes_nothing_of_what_was_seen(instructed):
    whole = instructed.embed(instructed.collate([HISTORY], add_generation_prompt=True))[0]
    begun = instructed.embed(instructed.collate([HISTORY[:2]], add_generation_prompt=True))[0]
    assert torch.allclose(whole[:NUM_QUERIES], begun[:NUM_QUERIES], atol=1e-5)


def seen(model, text: str):
    """float[K, D]: what the LLM is shown of a picture beside words."""
    return model.embed(model.collate([asked(PICTURES[0], text=text)], add_generation_prompt=True))[0, :NUM_QUERIES]


@torch.no_grad()
def test_the_q_former_reads_the_words(instructed):
    one = seen(instructed, "what is it")
    assert not torch.allclose(one, seen(instructed, "which one"), atol=1e-2)
    assert torch.allclose(one, seen(instructed, "what is it"), atol=1e-6)
    long = "what is it " * 5  # 14 words fit in between the two special tokens
    assert torch.allclose(seen(instructed, long), seen(instructed, long + "which one"), atol=1e-6)


def test_special_tokens_that_somebody_wrote_are_letters(instructed):
    read = instructed.backbone._instructions(["what [SEP] is"])["qformer_input_ids"][0].tolist()
    words = instructed.backbone.processor.qformer_tokenizer
    assert read.count(words.sep_token_id) == 1 and read[0] == words.cls_token_id


def test_an_image_token_of_another_id_is_refused(folder):
    backbone = build_model(folder).backbone
    backbone.llm.config.image_token_id = 7
    with pytest.raises(AnyGenError, match="model_load_error.*found 315.*expected 7"):
        build_backbone(backbone.llm, backbone.processor)
