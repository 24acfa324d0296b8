"""Decoding: what may be chosen, runs in one pass, and rows that do not feel each other.

A random LLM says nothing sensible; `speaker` makes one that says what a test wants, by its output head.
"""

from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from anygen.decoding import DecodingConfig, decode
from anygen.errors import AnyGenError
from anygen.seeds import derived_generator

PROMPTS = ["a bell", "here is a large red bell on grass, and more of it", "hi"]
SHORT = DecodingConfig(max_new_tokens=40, max_words=6)


def say(model, prompts, *, media=None, config=SHORT, seed=0, on_text=None):
    inputs = model.collate(prompts, add_generation_prompt=True)
    generators = [derived_generator(seed, "text") for _ in prompts]
    configs = [replace(config, media=media)] * len(prompts)
    return decode(model, inputs, configs=configs, generators=generators, on_text=on_text)


def kinds(reply) -> list[str]:
    return [segment.type for segment in reply]


def ids(reply) -> list[int]:
    return [id for segment in reply for id in segment.ids]


@contextmanager
def forwards_counted(model):
    """The number of tokens that each forward pass of the LLM takes."""
    widths = []
    layer = model.backbone.llm.model.layers[0]
    handle = layer.register_forward_pre_hook(lambda _, arguments: widths.append(arguments[0].shape[1]))
    yield widths
    handle.remove()


@contextmanager
def inclined(model, token: int, by: float = 1e4):
    """The LLM with a strong liking for one token, from its first step on."""
    handle = model.backbone.llm.lm_head.register_forward_hook(
        lambda _, __, logits: logits.index_add(-1, torch.tensor([token]), torch.full((*logits.shape[:-1], 1), by))
    )
    yield
    handle.remove()


@contextmanager
def scripted(model, tokens: list[int]):
    """The LLM made to say these tokens, one after the other."""
    coming = iter(tokens)
    handle = model.backbone.llm.lm_head.register_forward_hook(
        lambda _, __, logits: logits.index_add(-1, torch.tensor([next(coming)]), torch.full((*logits.shape[:-1], 1), 1e4))
    )
    yield
    handle.remove()


def with_stops(model, stop_ids):
    model.backbone.config = replace(model.backbone.config, stop_ids=stop_ids)
    return model


def test_exactly_the_media_asked_for_in_their_order(toy_model):
    for media in (["image", "audio"], ["video", "image", "image"], []):
        (reply,) = say(toy_model, PROMPTS[:1], media=media)
        assert [kind for kind in kinds(reply) if kind != "text"] == media
        for segment in reply:
            if segment.type != "text":
                assert tuple(segment.ids) == toy_model.config.signals[segment.type].ids
                assert segment.states.shape == segment.embeddings.shape == (len(segment.ids), 32)


def test_a_run_costs_one_pass(toy_model):
    with forwards_counted(toy_model) as widths:
        (reply,) = say(toy_model, PROMPTS[:1], media=["image", "video"])
    num_words = sum(len(segment.ids) for segment in reply if segment.type == "text")
    prompt = widths[0]
    assert sorted(widths[1:]) == [1] * num_words + [4, 6]
    assert prompt == toy_model.collate(PROMPTS[:1], add_generation_prompt=True).input_ids.shape[1]


def test_states_of_a_run_equal_one_full_pass(toy_model):
    """Cached and forced, or the whole conversation at once: the same states at the same tokens."""
    (reply,) = say(toy_model, PROMPTS[1:2], media=["image", "audio"])
    prompt = toy_model.collate(PROMPTS[1:2], add_generation_prompt=True).input_ids[0]
    tokens = torch.cat([prompt, torch.tensor(ids(reply))])[None]
    embeddings = toy_model.backbone.embed(tokens)
    hidden = toy_model.backbone(
        embeddings, attention_mask=torch.ones_like(tokens), position_ids=torch.arange(tokens.shape[1])[None]
    )
    start = len(prompt)
    for segment in reply:
        span = slice(start, start + len(segment.ids))
        if segment.type != "text":
            assert torch.allclose(segment.states, hidden[0, span], atol=1e-4)
            assert torch.equal(segment.embeddings, embeddings[0, span])
        start = span.stop


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("media", [None, ["audio", "image"]])
def test_a_row_is_what_it_would_be_alone(toy_model, temperature, media):
    config = DecodingConfig(max_new_tokens=40, max_words=6, temperature=temperature, top_p=0.9)
    batch = say(toy_model, PROMPTS, media=media, config=config)
    for prompt, reply in zip(PROMPTS, batch, strict=True):
        (alone,) = say(toy_model, [prompt], media=media, config=config)
        assert kinds(reply) == kinds(alone) and ids(reply) == ids(alone)
        for ours, theirs in zip(reply, alone, strict=True):
            if ours.type != "text":
                assert torch.allclose(ours.states, theirs.states, atol=1e-4)


def test_a_wish_to_end_brings_what_is_due_and_then_the_end(toy_model):
    with inclined(toy_model, toy_model.backbone.end_id):
        (due,) = say(toy_model, PROMPTS[:1], media=["audio", "image"])
        (nothing,) = say(toy_model, PROMPTS[:1])
    assert kinds(due) == ["audio", "image"]
    assert nothing == []


def test_a_wish_for_another_medium_brings_the_one_that_is_due(toy_model):
    with inclined(toy_model, toy_model.config.signals["video"].ids[0]):
        (reply,) = say(toy_model, PROMPTS[:1], media=["image"])
    assert kinds(reply)[0] == "image" and "video" not in kinds(reply)


def test_the_llm_decides_up_to_a_bound(toy_model):
    with inclined(toy_model, toy_model.config.signals["image"].ids[0]):
        (reply,) = say(toy_model, PROMPTS[:1], config=DecodingConfig(max_new_tokens=60, max_media=3))
        (words,) = say(toy_model, PROMPTS[:1], media=[])
    assert kinds(reply)[:3] == ["image"] * 3 and kinds(reply).count("image") == 3
    assert set(kinds(words)) == {"text"}


def test_certain_and_structural_tokens_cannot_be_chosen(toy_model):
    backbone = toy_model.backbone
    for token in (toy_model.config.signals["image"].ids[1], *backbone.special_ids(["<user>", "<pad>", "<image>"])):
        with inclined(toy_model, token):
            (reply,) = say(toy_model, PROMPTS[:1], media=[])
        assert token not in ids(reply)


def test_a_run_is_never_cut_by_the_budget(toy_model):
    first = toy_model.config.signals["video"].ids[0]
    for budget in (5, 6, 7):
        with inclined(toy_model, first):
            (reply,) = say(toy_model, PROMPTS[:1], config=DecodingConfig(max_new_tokens=budget))
        assert ("video" in kinds(reply)) == (budget >= 6)
        assert len(ids(reply)) <= budget


def test_media_due_are_made_within_the_budget(toy_model):
    (reply,) = say(toy_model, PROMPTS[:1], media=["image", "video"], config=DecodingConfig(max_new_tokens=12))
    assert [kind for kind in kinds(reply) if kind != "text"] == ["image", "video"]
    assert len(ids(reply)) <= 12
    with pytest.raises(AnyGenError, match="invalid_parameter: max_new_tokens: found 9; .* take 10"):
        say(toy_model, PROMPTS[:1], media=["image", "video"], config=DecodingConfig(max_new_tokens=9))


def test_a_prompt_that_leaves_no_room_is_refused(toy_model):
    long = ["x" * 250]
    with pytest.raises(AnyGenError) as raised:
        say(toy_model, long, media=["image"])
    assert raised.value.code == "context_length_exceeded"
    assert raised.value.fields["limit"] == 256 < raised.value.fields["found"]


def test_text_is_reported_as_it_comes(toy_model):
    told = {0: "", 1: ""}
    (word,) = toy_model.backbone.encode_text("bell")[:1]
    with inclined(toy_model, word):
        replies = say(
            toy_model, PROMPTS[:2], media=["image"], on_text=lambda row, text: told.update({row: told[row] + text})
        )
    for row, reply in enumerate(replies):
        words = [toy_model.backbone.decode_text(segment.ids) for segment in reply if segment.type == "text"]
        assert told[row] == "".join(words) and len(words) == 2


def test_states_that_are_not_finite_end_the_call(build_model):
    model = build_model()
    with torch.no_grad():
        model.backbone.llm.model.norm.weight.fill_(float("nan"))
    with pytest.raises(AnyGenError, match="generation_not_finite"):
        say(model, PROMPTS[:1])


def test_the_nucleus_holds_the_likeliest_tokens_only(toy_model):
    greedy = say(toy_model, PROMPTS[:1], media=[])
    narrow = DecodingConfig(max_new_tokens=40, max_words=6, temperature=1.0, top_p=1e-6)
    assert ids(say(toy_model, PROMPTS[:1], media=[], config=narrow)[0]) == ids(greedy[0])
    wide = DecodingConfig(max_new_tokens=40, max_words=6, temperature=1.0)
    replies = [ids(say(toy_model, PROMPTS[:1], media=[], config=wide, seed=seed)[0]) for seed in (1, 1, 2)]
    assert replies[0] == replies[1] != replies[2]


def test_stop_sequences_end_a_reply_and_are_no_part_of_it(build_model):
    a, b, c, d = 40, 41, 42, 43
    model = with_stops(build_model(), ((d,), (a, b, c)))
    for script, said in (([a, a, d], [a, a]), ([c, a, b, c], [c]), ([a, b, a, b, c], [a, b]), ([a, b, c], []), ([d], [])):
        heard = []
        with scripted(model, script):
            (reply,) = say(model, PROMPTS[:1], media=[], on_text=lambda _, text: heard.append(text))
        assert ids(reply) == said and kinds(reply) == (["text"] if said else [])
        assert "".join(heard) == model.backbone.decode_text(said), "a stop that may be coming is not reported"


def test_a_stop_sequence_brings_what_is_due_first(build_model):
    model = with_stops(build_model(), ((40, 41),))
    run = list(model.config.signals["image"].run)
    with scripted(model, [50, 40, 41, 40, 41]):
        (reply,) = say(model, PROMPTS[:1], media=["image"])
    assert kinds(reply) == ["text", "image"] and ids(reply) == [50, *run]


def test_separators_of_a_run_are_said_and_their_states_kept(build_model):
    model = build_model()
    signal = replace(model.config.signals["image"], separator_id=45)
    model.config.signals["image"] = signal
    assert signal.run == (signal.ids[0], 45, signal.ids[1], 45, signal.ids[2], 45, signal.ids[3]) and len(signal) == 7
    (reply,) = say(model, PROMPTS[:1], media=["image"])
    segment = next(each for each in reply if each.type == "image")
    assert segment.ids == list(signal.run) and segment.states.shape[0] == 7
    history = [{"role": "user", "content": "a bell"}, {"role": "assistant", "content": [{"type": "image", "caption": "a"}]}]
    inputs = model.collate([history])
    (run,) = inputs.runs
    assert run.length == 7 and tuple(inputs.input_ids[0, run.start : run.start + 7].tolist()) == signal.run
