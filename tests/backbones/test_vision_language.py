"""Vision-language models: what they see and say is what transformers makes of the same messages, and runs fit in."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_llms import build_model
from tiny_seers import SEERS
from transformers import AutoConfig, AutoModelForImageTextToText

from anygen.backbones.load import THINKERS
from anygen.backbones.stills import load_processor
from anygen.decoding import DecodingConfig, decode
from anygen.errors import AnyGenError
from anygen.losses import text_generation_loss
from anygen.messages import Part
from anygen.seeds import derived_generator

RNG = np.random.default_rng(0)
PICTURES = [Image.fromarray(RNG.integers(0, 256, size, dtype=np.uint8)) for size in ((20, 30, 3), (16, 40, 3), (9, 9, 3))]


def asked(*pictures, text="what is it?") -> list[dict]:
    shown = [{"type": "image", "image": picture} for picture in pictures]
    return [{"role": "user", "content": [*shown, {"type": "text", "text": text}]}]


TALKS = [asked(PICTURES[0]), asked(text="hi"), asked(PICTURES[1], PICTURES[2], text="and these, which one is it?")]


@pytest.fixture(scope="module", params=list(SEERS))
def seer(request, tmp_path_factory):
    folder = SEERS[request.param](tmp_path_factory.mktemp("vlm"))
    kind = THINKERS.get(AutoConfig.from_pretrained(folder).model_type, AutoModelForImageTextToText)
    bare = kind.from_pretrained(folder, dtype=torch.float32).eval()
    processor = load_processor(folder, described=bare.config)
    return SimpleNamespace(bare=bare, model=build_model(folder), processor=processor, folder=folder)


def say(model, talks, *, media=None):
    configs = [DecodingConfig(max_new_tokens=20, max_words=4, media=media)] * len(talks)
    inputs = model.collate(talks, add_generation_prompt=True)
    return decode(model, inputs, configs=configs, generators=[derived_generator(0, "text") for _ in talks])


PUBLISHED = {"blip-2": "Question: {} Answer:", "instructblip": "{}"}
"""How models without a chat template are asked."""


def theirs_of(seer, talk):
    """The messages through the processor's own template and call, or as models without one are asked."""
    if seer.bare.config.model_type == "idefics":
        *shown, words = talk[0]["content"]
        prompt = ["User:", *(part["image"] for part in shown), f"{words['text']}<end_of_utterance>\nAssistant:"]
        return seer.processor(text=prompt if shown else "".join(prompt), return_tensors="pt", add_end_of_utterance_token=False)
    if seer.bare.config.model_type in PUBLISHED:
        return asked_without_template(seer, talk)
    text = seer.processor.apply_chat_template(talk, add_generation_prompt=True, tokenize=False)
    pictures = [part["image"] for part in talk[0]["content"] if part["type"] == "image"]
    return seer.processor(text=[text], images=pictures or None, return_tensors="pt", add_special_tokens=False)


def asked_without_template(seer, talk):
    """The processor's own call, which has one image in mind: its places are doubled where there are two."""
    *shown, words = talk[0]["content"]
    text = PUBLISHED[seer.bare.config.model_type].format(words["text"])
    given = seer.processor(images=[part["image"] for part in shown] or None, text=text, return_tensors="pt")
    for name in [name for name in given if "pixel" not in name and len(shown) > 1]:
        more = given[name][:, : seer.processor.num_query_tokens]
        queries = name.startswith("qformer")
        given[name] = given[name].expand(len(shown), -1) if queries else torch.cat([more] * (len(shown) - 1) + [given[name]], dim=1)
    return given


def bare_of(seer, given):
    """The model, or without an image the LLM in it where the model wants one; and how a reply begins."""
    opening = getattr(seer.model.backbone, "opening_ids", None)
    begun = {"decoder_input_ids": torch.tensor([opening])} if opening else {}
    is_blind = seer.bare.config.model_type in PUBLISHED and "pixel_values" not in given
    names = ("input_ids", "attention_mask") if is_blind else tuple(given)
    return (seer.bare.language_model if is_blind else seer.bare), {name: given[name] for name in names} | begun


@torch.no_grad()
def test_what_is_seen_is_what_transformers_sees(seer):
    model = seer.model
    inputs = model.collate(TALKS, add_generation_prompt=True)
    session = model.backbone.start(inputs)
    logits = model.backbone.logits(session.feed(model.embed(inputs), mask=inputs.attention_mask)[:, -1])
    for row, talk in enumerate(TALKS):
        bare, given = bare_of(seer, theirs_of(seer, talk))
        expected = bare(**given).logits[0, -1]
        assert torch.allclose(logits[row, : len(expected)], expected, atol=2e-4)


@torch.no_grad()
def test_replies_are_those_of_generate(seer):
    never = sorted({*seer.model.backbone.special_token_ids} - {seer.model.backbone.end_id})
    never = [index for index in never if index < seer.bare.get_output_embeddings().weight.shape[0]]
    for talk, reply in zip(TALKS, say(seer.model, TALKS, media=[]), strict=True):
        bare, given = bare_of(seer, theirs_of(seer, talk))
        skipped = given.get("decoder_input_ids", given["input_ids"]).shape[1]
        theirs = bare.generate(
            **given, do_sample=False, max_new_tokens=20, suppress_tokens=never, eos_token_id=seer.model.backbone.end_id
        )[0, skipped:]
        said = [index for index in theirs.tolist() if index != seer.model.backbone.end_id]
        assert [index for segment in reply for index in segment.ids] == said


def test_a_row_is_what_it_would_be_alone_and_its_runs_have_states(seer):
    for talk, reply in zip(TALKS, say(seer.model, TALKS, media=["audio", "image"]), strict=True):
        (alone,) = say(seer.model, [talk], media=["audio", "image"])
        assert [segment.type for segment in reply if segment.type != "text"] == ["audio", "image"]
        for ours, theirs in zip(reply, alone, strict=True):
            assert ours.ids == theirs.ids
            if ours.states is not None:
                assert ours.states.shape == (len(ours.ids), 32) and torch.allclose(ours.states, theirs.states, atol=1e-4)


@torch.no_grad()
def test_a_conversation_is_read_as_it_was_said(seer):
    talk = [*TALKS[2], {"role": "assistant", "content": [{"type": "image", "caption": "a bell"}]}]
    inputs = seer.model.collate([talk, TALKS[1]])
    (run,) = inputs.runs
    session = seer.model.backbone.start(prompt := seer.model.collate([TALKS[2]], add_generation_prompt=True))
    session.feed(seer.model.embed(prompt), mask=prompt.attention_mask)
    ids = torch.tensor([seer.model.config.signals["image"].run])
    states = session.feed(seer.model.embed_ids(ids), mask=torch.ones_like(ids))
    hidden = seer.model(inputs).hidden_states
    assert torch.allclose(hidden[0, run.start : run.start + run.length], states[0], atol=2e-4)


def test_what_is_seen_matters(seer):
    (one,), (other,) = say(seer.model, [asked(PICTURES[0])], media=["image"]), say(seer.model, [asked(PICTURES[2])], media=["image"])
    states = [next(segment.states for segment in reply if segment.type == "image") for reply in (one, other)]
    assert not torch.allclose(*states, atol=1e-3)


def test_other_media_are_refused(seer):
    hears = seer.bare.config.model_type == "qwen2_5_omni_thinker"
    assert seer.model.input_modalities == ("text", "image", "audio")[: 3 if hears else 2]
    for other in ("audio", "video")[hears:]:
        with pytest.raises(AnyGenError, match=f"modality_not_supported.*found {other}"):
            seer.model.collate([[{"role": "user", "content": [{"type": other, other: "a.file"}]}]])


def test_the_model_is_saved_with_its_processor(seer, tmp_path):
    seer.model.backbone.save_pretrained(tmp_path)
    loaded = type(seer.model.backbone).from_pretrained(tmp_path)
    part = Part(type="image", media=PICTURES[0])
    assert loaded.media_ids(part) == seer.model.backbone.media_ids(part)
    assert torch.equal(loaded.llm.get_output_embeddings().weight, seer.model.backbone.llm.get_output_embeddings().weight)


def test_half_precision(seer):
    """In bfloat16 the same is seen, as far as its 8 bits go."""
    backbone = type(seer.model.backbone).from_pretrained(seer.folder, config=seer.model.backbone.config, dtype=torch.bfloat16)
    model = build_model(seer.folder)
    inputs = model.collate(TALKS[:1])
    with torch.no_grad():
        expected = model(inputs).hidden_states
        model.backbone = backbone
        found = model(inputs).hidden_states
    assert found.dtype == torch.bfloat16
    assert torch.nn.functional.cosine_similarity(found.float(), expected, dim=-1).min() > 0.9


def test_signal_tokens_are_trained_saved_and_loaded(seer, tmp_path):
    """A step of LoRA and of the tokens' own rows; the parts that see stay as they are, and what was learned is kept."""
    model = build_model(seer.folder)
    talk = [*TALKS[0], {"role": "assistant", "content": [{"type": "text", "text": "here"}, {"type": "image", "caption": "a bell"}]}]
    inputs = model.collate([talk])
    model.backbone.add_token_rows([index for signal in model.config.signals.values() for index in signal.ids])
    model.backbone.add_lora(rank=2, alpha=4)
    trained = [parameter for name, parameter in model.backbone.named_parameters() if "lora_" in name or "token_rows" in name]
    optimizer, losses = torch.optim.SGD(trained, lr=0.1), []
    for _ in range(2):
        losses.append(text_generation_loss(model(inputs).logits, inputs.labels))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[1] < losses[0]
    adapted = [name for name, _ in model.backbone.llm.named_parameters() if "lora_" in name]
    assert adapted and not any(word in name for name in adapted for word in ("vision", "visual", "qformer"))
    with torch.no_grad():
        expected = model(inputs).logits
        model.backbone.save_pretrained(tmp_path)
        model.backbone = type(model.backbone).from_pretrained(tmp_path, config=model.backbone.config)
        assert torch.allclose(model(inputs).logits, expected, atol=1e-3)
