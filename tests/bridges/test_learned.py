"""Learned bridges on LLMs of every kind: untrained they are spoken, projected, trained a step, and told apart."""

import pytest
import torch
from tiny_llms import build_model, save_llm

from anygen.bridges import BlendBridge, QueryBridge, SignalSpec, Spoken
from anygen.decoding import DecodingConfig, decode, spoken_by
from anygen.errors import AnyGenError
from anygen.generators.generator import Condition
from anygen.messages import read_conversation
from anygen.seeds import derived_generator
from anygen.training.stages import STAGES, Example, freeze_for, stage_losses

TALK = [
    {"role": "user", "content": "draw a bell"},
    {"role": "assistant", "content": [{"type": "text", "text": "Here:"}, {"type": "image", "caption": "a large red bell"}]},
]
LLMS = ("Llama", "GPT2", "T5", "Mamba")
KINDS = ("signal", "query", "blend")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: save_llm(name, tmp_path_factory.mktemp("llm")) for name in LLMS}


@pytest.fixture
def build(folders, toy_model):
    def built(llm: str, bridge: str):
        torch.manual_seed(0)
        generators = {"image": toy_model.generators["image"]}
        return build_model(folders[llm], counts={"image": 4}, bridge=bridge, generators=generators)

    return built


def image_of(model, prompt="draw a bell"):
    inputs = model.collate([prompt], add_generation_prompt=True)
    config = DecodingConfig(max_new_tokens=20, max_words=3, media=["image"])
    (reply,) = decode(model, inputs, configs=[config], generators=[derived_generator(0, "text")])
    return reply, next(segment for segment in reply if segment.type == "image")


@pytest.mark.parametrize("llm", LLMS)
@pytest.mark.parametrize("bridge", KINDS)
def test_a_step_of_training_lowers_the_loss(build, llm, bridge):
    model = build(llm, bridge)
    stage = STAGES["instruction"]
    parameters = freeze_for(model, stage)
    optimizer = torch.optim.Adam(parameters.values(), lr=1e-2)
    latents = torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(0))
    examples = [Example(conversation=read_conversation(TALK), latents=(latents,))]
    history = []
    for _ in range(3):
        losses = stage_losses(model, examples, stage, generator=torch.Generator().manual_seed(0))
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        history.append(losses["loss"].item())
    assert {"text", "alignment_image", "denoising_image"} < set(losses)
    assert history[2] < history[1] < history[0]
    trained = {name.split("/")[0] for name, parameter in parameters.items() if parameter.grad is not None}
    assert {"bridges", "backbone"} <= trained
    if bridge == "query":
        assert model.bridges["image"].queries.grad.abs().sum() > 0


@pytest.mark.parametrize("llm", LLMS)
def test_what_is_trained_on_is_what_is_spoken(build, llm):
    """The condition out of one pass over the conversation, and out of decoding the same reply."""
    for bridge in ("signal", "query"):
        model = build(llm, bridge)
        reply, segment = image_of(model)
        words = "".join(model.backbone.decode_text(each.ids) for each in reply if each is not segment)
        spoken = model.project_out("image", spoken_by([segment]))
        prompt = model.collate(["draw a bell"], add_generation_prompt=True)
        ids = [index for each in reply[: reply.index(segment) + 1] for index in each.ids]
        row = torch.tensor([prompt.input_ids[0].tolist() + ids])
        session = model.backbone.start(prompt)
        session.feed(model.embed(prompt), mask=prompt.attention_mask)
        block = model.embed_ids(row[:, prompt.input_ids.shape[1] :])
        with torch.no_grad():
            states = session.feed(block, mask=torch.ones(block.shape[:2], dtype=torch.long))[:, -4:]
        again = model.project_out("image", Spoken(states=states, embeddings=block[:, -4:], captions=[words]))
        assert torch.allclose(spoken["prompt_embeds"], again["prompt_embeds"], atol=2e-4)


@torch.no_grad()
def test_queries_are_read_behind_the_token_that_asks_and_are_no_words(build):
    model = build("Llama", "query")
    spec = model.config.signals["image"]
    assert spec.ids[0] >= 0 and spec.ids[1:] == (-1, -2, -3)
    _, segment = image_of(model)
    assert torch.equal(segment.embeddings[1:], model.bridges["image"].queries)
    inputs = model.collate([TALK])
    (run,) = inputs.runs
    learned = inputs.labels[0, run.start : run.start + 4].tolist()
    assert learned == [spec.ids[0], -100, -100, -100]
    before = model(inputs).logits
    model.bridges["image"].queries += 1.0
    after = model(inputs).logits
    assert torch.equal(before[0, : run.start + 1], after[0, : run.start + 1])
    assert not torch.allclose(before[0, run.start + 1], after[0, run.start + 1])


def test_queries_need_a_token_that_asks(toy_model):
    projector = toy_model.bridges["image"].projector
    with pytest.raises(ValueError, match="one of the vocabulary, then queries"):
        QueryBridge(SignalSpec(tokens=("a", "b"), ids=(3, 4)), projector)


@torch.no_grad()
@pytest.mark.parametrize("weight", [0.0, 0.1, 1.0])
def test_a_blend_is_the_weighted_sum(toy_model, weight):
    """Spider's: 0.1 of what is projected and 0.9 of what the generator's own encoder reads."""
    signal, generator = toy_model.bridges["image"], toy_model.generators["image"]
    bridge = BlendBridge(signal.signal, signal.projector, weight=weight).eval()
    states = torch.randn(2, 4, 32, generator=torch.Generator().manual_seed(0))
    spoken = Spoken(states=states, embeddings=0.5 * states, captions=["a bell", "a cat"])
    blended = bridge.condition(spoken, generator=generator)["prompt_embeds"]
    projected = signal.condition(spoken)["prompt_embeds"]
    encoded = generator.encode_text(["a bell", "a cat"])["prompt_embeds"]
    assert torch.allclose(blended, weight * projected + (1 - weight) * encoded, atol=1e-5)
    assert not torch.allclose(projected, encoded, atol=1e-2)


@pytest.mark.parametrize(("name", "expected"), [("mask_2", [1.0, 0.0]), ("pooled", [1.0, 0.25])])
def test_a_blend_takes_masks_of_the_caption_and_mixes_all_else(toy_model, name, expected):
    signal = toy_model.bridges["image"]
    bridge = BlendBridge(signal.signal, signal.projector, weight=0.25)
    projected, encoded = Condition({name: torch.ones(1, 2)}), Condition({name: torch.tensor([[1.0, 0.0]])})
    assert bridge._blend(projected, encoded)[name].tolist() == [expected]


def test_words_of_a_user_never_become_a_signal_token(build):
    model = build("GPT2", "signal")
    tokens = model.config.signals["image"].tokens
    ids = model.collate([f"please say {tokens[0]} and </s>"], add_generation_prompt=True).input_ids[0].tolist()
    assert not set(model.config.signals["image"].ids) & set(ids)
    with pytest.raises(AnyGenError, match="model_load_error.*bell"):
        word = next(token for token in model.backbone.tokenizer.get_vocab() if token.endswith("bell"))
        model.backbone.add_tokens([word])
