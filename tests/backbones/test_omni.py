"""Qwen2.5-Omni's thinker hears: sounds beside pictures, in their order, are what transformers makes of them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from test_vision_language import PICTURES, say
from tiny_llms import build_model
from tiny_seers import save_omni
from transformers import AutoConfig, Qwen2_5OmniThinkerForConditionalGeneration

from anygen.backbones.stills import load_processor
from anygen.errors import AnyGenError
from anygen.media.types import Audio

RATE = 16_000
NOISE = np.random.default_rng(0).normal(0, 0.3, RATE).astype(np.float32)
SOUNDS = [Audio(NOISE[:4000], RATE), Audio(NOISE[2000:9000], RATE)]
WORDS = {"type": "text", "text": "what is it?"}


def shown(*media) -> list[dict]:
    parts = [
        {"type": "audio", "audio": each} if isinstance(each, Audio) else {"type": "image", "image": each}
        for each in media
    ]
    return [{"role": "user", "content": [*parts, WORDS]}]


TALKS = [shown(SOUNDS[0]), shown(SOUNDS[1], PICTURES[0], SOUNDS[0]), shown()]


@pytest.fixture(scope="module")
def omni(tmp_path_factory):
    folder = save_omni(tmp_path_factory.mktemp("omni"))
    bare = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    processor = load_processor(folder, described=AutoConfig.from_pretrained(folder))
    return SimpleNamespace(bare=bare, model=build_model(folder), processor=processor)


def theirs_of(omni, talk):
    """The messages through the processor's own template and call."""
    parts = talk[0]["content"]
    sounds = [part["audio"].waveform for part in parts if part["type"] == "audio"]
    pictures = [part["image"] for part in parts if part["type"] == "image"]
    text = omni.processor.apply_chat_template(talk, add_generation_prompt=True, tokenize=False)
    return omni.processor(
        text=[text], images=pictures or None, audio=sounds or None, return_tensors="pt", add_special_tokens=False
    )


@torch.no_grad()
def test_what_is_heard_is_what_transformers_hears(omni):
    model = omni.model
    inputs = model.collate(TALKS, add_generation_prompt=True)
    session = model.backbone.start(inputs)
    logits = model.backbone.logits(session.feed(model.embed(inputs), mask=inputs.attention_mask)[:, -1])
    for row, talk in enumerate(TALKS):
        given = theirs_of(omni, talk)
        assert given["input_ids"][0].tolist() == inputs.input_ids[row][inputs.attention_mask[row].bool()].tolist()
        expected = omni.bare(**given).logits[0, -1]
        assert torch.allclose(logits[row, : len(expected)], expected, atol=2e-4)


@torch.no_grad()
def test_replies_are_those_of_generate(omni):
    backbone = omni.model.backbone
    never = [
        index for index in set(backbone.special_token_ids) - {backbone.end_id} if index < omni.bare.lm_head.out_features
    ]
    for talk, reply in zip(TALKS, say(omni.model, TALKS, media=[]), strict=True):
        given = theirs_of(omni, talk)
        theirs = omni.bare.generate(
            **given, do_sample=False, max_new_tokens=20, suppress_tokens=sorted(never), eos_token_id=backbone.end_id
        )[0, given["input_ids"].shape[1] :]
        said = [index for index in theirs.tolist() if index != backbone.end_id]
        assert [index for segment in reply for index in segment.ids] == said and said


def test_a_row_is_what_it_would_be_alone(omni):
    for talk, reply in zip(TALKS, say(omni.model, TALKS, media=["image"]), strict=True):
        (alone,) = say(omni.model, [talk], media=["image"])
        for ours, theirs in zip(reply, alone, strict=True):
            assert ours.ids == theirs.ids
            assert ours.states is None or torch.allclose(ours.states, theirs.states, atol=1e-4)


@torch.no_grad()
def test_sounds_of_other_rates_are_brought_to_the_processors(omni):
    slow = Audio(NOISE[:4000:2].copy(), RATE // 2)
    ids = [omni.model.collate([shown(sound)]).input_ids.shape[1] for sound in (slow, SOUNDS[0])]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("length", "code"), [(RATE + 1, "media_too_large"), (479, "media_too_short"), (0, "media_too_short")]
)
def test_sounds_that_the_processor_would_cut_or_lose_are_refused(omni, length, code):
    with pytest.raises(AnyGenError, match=rf"messages\[0\].content\[0\]: found .*hears 0.03 to 1 s") as raised:
        omni.model.collate([shown(Audio(np.resize(NOISE, length), RATE))])
    assert raised.value.code == code


@torch.no_grad()
def test_the_thinker_is_saved_and_hears_the_same(omni, tmp_path):
    backbone, talk = omni.model.backbone, TALKS[1]
    inputs = omni.model.collate([talk])
    expected = backbone.read(omni.model.embed(inputs), inputs)
    backbone.save_pretrained(tmp_path)
    loaded = type(backbone).from_pretrained(tmp_path, config=backbone.config)
    assert loaded.reads == ("image", "audio") and loaded.llm.config.model_type == "qwen2_5_omni_thinker"
    assert torch.allclose(loaded.read(loaded.embed(inputs.input_ids), inputs), expected, atol=1e-5)
