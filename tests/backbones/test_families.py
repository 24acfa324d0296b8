"""Every family of LLMs: the same logits and the same replies as transformers alone, and runs that fit in.

One tiny snapshot of each is saved as the hub has it, and loaded twice: by transformers, and into a model with bridges.
"""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch
from tiny_llms import ENCODER_DECODERS, FAMILIES, RECURRENT, build_model, save_llm
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from anygen.decoding import DecodingConfig, decode
from anygen.seeds import derived_generator

PROMPTS = ["a bell", "here is a large red bell on grass, and more of it", "hi"]
SHORT = DecodingConfig(max_new_tokens=24, max_words=4)


OTHERS = ("Qwen2", "Gemma", "Phi3", "FalconMamba", "Mamba2", "T5 1.1")
"""Families that differ little from another one."""


@pytest.fixture(scope="module", params=[pytest.param(name, marks=[pytest.mark.slow] * (name in OTHERS)) for name in FAMILIES])
def family(request, tmp_path_factory):
    folder = save_llm(request.param, tmp_path_factory.mktemp("llm"))
    kind = AutoModelForSeq2SeqLM if request.param in ENCODER_DECODERS else AutoModelForCausalLM
    bare = kind.from_pretrained(folder, dtype=torch.float32).eval()
    return SimpleNamespace(name=request.param, bare=bare, model=build_model(folder))


def say(model, prompts, *, media=None, config=SHORT):
    configs = [DecodingConfig(**{**vars(config), "media": media})] * len(prompts)
    inputs = model.collate(prompts, add_generation_prompt=True)
    return decode(model, inputs, configs=configs, generators=[derived_generator(0, "text") for _ in prompts])


def ids(reply) -> list[int]:
    return [index for segment in reply for index in segment.ids]


@contextmanager
def passes_counted(model):
    """Widths of the passes through the first layer that hears the reply."""
    llm = model.backbone.llm
    stack = llm.get_decoder() if llm.config.is_encoder_decoder else llm.base_model
    layers = next(getattr(stack, name) for name in ("layers", "h", "block", "decoder") if hasattr(stack, name))
    layers = getattr(layers, "layers", layers)
    widths = []

    def heard(_, arguments, keywords):
        widths.append((arguments[0] if arguments else keywords["hidden_states"]).shape[1])

    handle = layers[0].register_forward_pre_hook(heard, with_kwargs=True)
    yield widths
    handle.remove()


@torch.no_grad()
def test_logits_are_those_of_the_bare_llm(family):
    model, bare = family.model, family.bare
    inputs = model.collate(PROMPTS, add_generation_prompt=True)
    session = model.backbone.start(inputs)
    ours = model.backbone.logits(session.feed(model.embed(inputs), mask=inputs.attention_mask)[:, -1])
    for row, prompt in enumerate(PROMPTS):
        alone = model.collate([prompt], add_generation_prompt=True).input_ids
        if family.name in ENCODER_DECODERS:
            theirs = bare(input_ids=alone, decoder_input_ids=torch.tensor([model.backbone.opening_ids])).logits[0, -1]
        else:
            theirs = bare(input_ids=alone).logits[0, -1]
        assert torch.allclose(ours[row, : len(theirs)], theirs, atol=2e-4), family.name
        assert theirs.std() > 0.1


@torch.no_grad()
def test_greedy_replies_are_those_of_generate(family):
    model, bare = family.model, family.bare
    never = sorted({*model.backbone.special_token_ids} - {model.backbone.end_id})
    never = [index for index in never if index < bare.get_output_embeddings().weight.shape[0]]
    lengths = []
    for prompt, reply in zip(PROMPTS, say(model, PROMPTS, media=[]), strict=True):
        prompt_ids = model.collate([prompt], add_generation_prompt=True).input_ids
        begun = {} if family.name not in ENCODER_DECODERS else {"decoder_input_ids": torch.tensor([model.backbone.opening_ids])}
        theirs = bare.generate(
            prompt_ids, attention_mask=torch.ones_like(prompt_ids), do_sample=False, max_new_tokens=SHORT.max_new_tokens,
            suppress_tokens=never, forced_bos_token_id=None, forced_eos_token_id=None, **begun,
        )[0]  # fmt: skip
        skipped = len(model.backbone.opening_ids) if begun else prompt_ids.shape[1]
        said = [index for index in theirs[skipped:].tolist() if index != model.backbone.end_id]
        assert ids(reply) == said, family.name
        lengths.append(len(said))
    assert sum(lengths) >= 3


def test_a_row_is_what_it_would_be_alone(family):
    for media in (None, ["audio", "image"]):
        for prompt, reply in zip(PROMPTS, say(family.model, PROMPTS, media=media), strict=True):
            (alone,) = say(family.model, [prompt], media=media)
            assert ids(reply) == ids(alone)
            for ours, theirs in zip(reply, alone, strict=True):
                assert ours.type == theirs.type
                if ours.type != "text":
                    assert torch.allclose(ours.states, theirs.states, atol=2e-4)


def test_a_run_costs_one_pass(family):
    with passes_counted(family.model) as widths:
        (reply,) = say(family.model, PROMPTS[:1], media=["image", "audio"])
    num_words = sum(len(segment.ids) for segment in reply if segment.type == "text")
    runs = [1] * 7 if family.name in RECURRENT else [3, 4]
    assert sorted(widths[1:]) == [1] * num_words + runs


@torch.no_grad()
def test_a_reply_reads_as_it_was_said(family):
    """Step by step or in one pass over the conversation: the same states at the same tokens, and logits that chose them."""
    model = family.model
    (reply, other) = say(model, PROMPTS[1:], media=["image", "audio"])
    inputs = model.collate(PROMPTS[1:], add_generation_prompt=True)
    rows, starts = [], []
    for row, said in zip(range(2), (reply, other), strict=True):
        prompt = inputs.input_ids[row][inputs.attention_mask[row].bool()].tolist()
        starts.append(len(prompt))
        rows.append([*prompt, *ids(said)])
    longest = max(map(len, rows))
    whole = SimpleNamespace(
        input_ids=torch.tensor([row + [model.backbone.pad_id] * (longest - len(row)) for row in rows]),
        attention_mask=torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows]),
        reply_starts=torch.tensor(starts),
    )
    whole.position_ids = (whole.attention_mask.cumsum(dim=1) - 1).clamp(min=0)
    hidden = model.backbone.read(model.embed_ids(whole.input_ids), whole)
    for row, said in enumerate((reply, other)):
        start = starts[row]
        for segment in said:
            span = slice(start, start + len(segment.ids))
            if segment.type != "text":
                assert torch.allclose(segment.states, hidden[row, span], atol=2e-4), family.name
            start = span.stop


