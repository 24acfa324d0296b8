"""The model's own steps: what is merged where, what is read out where, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from anygen.bridges import Spoken
from anygen.chat import MediaSlot
from anygen.errors import AnyGenError
from anygen.generators.generator import Condition
from anygen.losses import alignment_loss, text_generation_loss
from anygen.media.types import Audio, Video
from anygen.messages import Part, read_conversation
from anygen.model import AnyGenConfig, AnyGenModel, gather, merge

RNG = np.random.default_rng(0)
MEDIA = {
    "image": Image.fromarray(RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)),
    "video": Video(frames=RNG.integers(0, 256, (5, 20, 30, 3), dtype=np.uint8), fps=4.0),
    "audio": Audio(waveform=RNG.uniform(-1, 1, 16_000).astype(np.float32), sampling_rate=16_000),
}


def told(*types: str, answer: tuple[str, ...] = ()) -> list[dict]:
    parts = [{"type": kind, kind: MEDIA[kind]} for kind in types]
    reply = [{"type": kind, "caption": "a bell"} for kind in answer]
    messages = [{"role": "user", "content": [*parts, {"type": "text", "text": "and now?"}]}]
    return (
        [*messages, {"role": "assistant", "content": [{"type": "text", "text": "here:"}, *reply]}]
        if answer
        else messages
    )


def test_merge_puts_rows_where_they_belong():
    embeddings, media = torch.zeros(2, 5, 1), torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]])
    slots = [
        MediaSlot(item=1, start=0, length=2, part=Part(type="image")),
        MediaSlot(item=0, start=3, length=2, part=Part(type="image")),
    ]
    merged = merge(embeddings, media, slots)
    assert merged[..., 0].tolist() == [[0, 0, 0, 3, 4], [1, 2, 0, 0, 0]]
    assert gather(merged, slots)[..., 0].tolist() == [[1, 2], [3, 4]]
    assert embeddings.abs().sum() == 0


def test_merge_names_both_counts():
    slot = MediaSlot(item=0, start=0, length=3, part=Part(type="image", where="messages[0].content[2]"))
    with pytest.raises(AnyGenError, match=r"placeholder_mismatch: messages\[0\].content\[2\]: found 2 .* expected 3"):
        merge(torch.zeros(1, 5, 1), torch.zeros(1, 2, 1), [slot])


@pytest.mark.parametrize("modality", ["image", "video", "audio"])
def test_a_medium_is_encoded_projected_and_merged_in_its_slot(toy_model, modality):
    inputs = toy_model.collate([told(modality)])
    (slot,) = inputs.slots
    encoder = toy_model.encoders[modality]
    tokens = encoder(modality, encoder.preprocess(modality, [MEDIA[modality]]))
    expected = toy_model.input_projectors[modality](tokens)[0]
    embeddings = toy_model.embed(inputs)[0]
    assert slot.length == encoder.num_tokens(modality)
    assert torch.equal(embeddings[slot.start : slot.start + slot.length], expected)
    text = inputs.input_ids[0] != toy_model.backbone.pad_id
    assert torch.equal(embeddings[text], toy_model.backbone.embed(inputs.input_ids)[0][text])


def test_features_stand_in_for_the_medium(toy_model):
    encoder = toy_model.encoders["image"]
    features = encoder("image", encoder.preprocess("image", [MEDIA["image"]]))[0]
    parts = [Part(type="image", media=MEDIA["image"]), Part(type="image", features=features + 1)]
    mixed = toy_model.encode("image", [*parts, parts[0]])
    assert torch.allclose(mixed, torch.stack([features, features + 1, features]), atol=1e-6)
    cached = [
        {"role": "user", "content": [{"type": "image", "features": features}, {"type": "text", "text": "and now?"}]}
    ]
    assert torch.equal(
        toy_model(toy_model.collate([cached])).logits, toy_model(toy_model.collate([told("image")])).logits
    )


def test_rows_do_not_feel_each_other(toy_model):
    conversations = [told("image", "audio", answer=("image",)), told(), told("video", answer=("audio", "image"))]
    inputs = toy_model.collate(conversations)
    batch = toy_model(inputs)
    for row, conversation in enumerate(conversations):
        alone = toy_model(toy_model.collate([conversation]))
        length = alone.logits.shape[1]
        assert torch.allclose(batch.logits[row, :length], alone.logits[0], atol=1e-4)
        assert torch.allclose(batch.hidden_states[row, :length], alone.hidden_states[0], atol=1e-4)


def test_runs_are_read_where_they_stand(toy_model):
    """Several runs of several kinds in a batch: each condition equals the projection of its own four positions."""
    inputs = toy_model.collate([told("image", answer=("image", "audio")), told(answer=("image",))])
    output = toy_model(inputs)
    runs = inputs.runs_of("image")
    conditions = toy_model.project_runs(output, runs)
    assert len(runs) == len(conditions) == 2
    for index, run in enumerate(runs):
        span = slice(run.start, run.start + 4)
        assert inputs.input_ids[run.item, span].tolist() == list(toy_model.config.signals["image"].ids)
        states, embeddings = output.hidden_states[run.item, span], output.input_embeddings[run.item, span]
        alone = toy_model.project_out("image", Spoken(states=states[None], embeddings=embeddings[None]))
        assert torch.allclose(conditions["prompt_embeds"][index], alone["prompt_embeds"][0], atol=1e-5)


def test_a_run_of_another_length_is_refused(toy_model):
    with pytest.raises(ValueError, match=r"expected both \(N, 4, 32\)"):
        toy_model.project_out("image", Spoken(states=torch.zeros(1, 6, 32), embeddings=torch.zeros(1, 6, 32)))


def test_a_few_steps_of_training_lower_both_losses(build_model):
    model = build_model().train()
    model.requires_grad_(False)
    trained = [model.input_projectors, model.bridges]
    for part in trained:
        part.requires_grad_(True)
    rows = model.backbone.add_token_rows(model.config.signals["image"].ids)
    parameters = [*rows.parameters(), *(p for part in trained for p in part.parameters())]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    inputs = model.collate([told("image", answer=("image",))])
    target = Condition({"prompt_embeds": torch.ones(1, *model.config.conditions["image"]["prompt_embeds"])})
    history = []
    for _ in range(8):
        output = model(inputs)
        losses = (
            text_generation_loss(output.logits, inputs.labels),
            alignment_loss(model.project_runs(output, inputs.runs_of("image")), target),
        )
        optimizer.zero_grad()
        sum(losses).backward()
        optimizer.step()
        history.append([loss.item() for loss in losses])
    assert history[-1][0] < history[0][0] and history[-1][1] < 0.7 * history[0][1]
    assert model.backbone.llm.model.embed_tokens.weight.grad is None


def test_a_modality_that_no_part_serves_is_refused(toy_model):
    config = replace(
        toy_model.config,
        input_projectors={"image": toy_model.config.input_projectors["image"]},
        **{
            name: {"image": getattr(toy_model.config, name)["image"]}
            for name in ("signals", "output_projectors", "conditions")
        },
    )
    model = AnyGenModel(config, encoders={"image": toy_model.encoders["image"]}, backbone=toy_model.backbone)
    assert model.input_modalities == model.output_modalities == ("text", "image")
    with pytest.raises(
        AnyGenError, match=r"modality_not_supported: messages\[0\].content\[0\]: found audio; .* text, image"
    ):
        model.collate([told("audio")])
    with pytest.raises(
        AnyGenError, match=r"modality_not_supported: messages\[1\].content\[1\]: found video; .* text, image"
    ):
        model.collate([told(answer=("video",))])


def test_a_conversation_beyond_the_context_is_refused_with_both_numbers(toy_model):
    with pytest.raises(AnyGenError) as raised:
        toy_model.collate(["word " * 1000])
    assert raised.value.code == "context_length_exceeded"
    assert raised.value.fields["limit"] == 256 and raised.value.fields["found"] > 1000


def test_truncation_leaves_out_the_oldest_turns_only(toy_model):
    old, kept = "old " * 150, "a bell"
    conversation = read_conversation(
        [
            {"role": "user", "content": old},
            {"role": "assistant", "content": old},
            {"role": "user", "content": kept},
            {"role": "assistant", "content": kept},
            {"role": "user", "content": "last"},
        ]
    )
    truncated = toy_model.truncate(conversation, reserve=100)
    assert [turn.parts[0].text for turn in truncated] == [kept, kept, "last"]
    assert toy_model.truncate(truncated, reserve=100) == truncated


def test_parts_that_do_not_fit_are_refused(toy_model):
    config = toy_model.config
    parts = {"encoders": toy_model.encoders, "backbone": toy_model.backbone}
    signal = config.signals["image"]
    wrong_ids = replace(signal, ids=tuple(id + 1 for id in signal.ids))
    with pytest.raises(AnyGenError, match="signals.image.ids"):
        AnyGenModel(replace(config, signals=config.signals | {"image": wrong_ids}), **parts)
    wrong_spec = config.conditions | {"image": {"prompt_embeds": (77, 768)}}
    with pytest.raises(AnyGenError, match=r"conditions.image: found .*77, 768.* takes .*6, 16"):
        AnyGenModel(replace(config, conditions=wrong_spec), generators=toy_model.generators, **parts)
    with pytest.raises(AnyGenError, match="input_projectors.image: found no encoder"):
        AnyGenModel(config, encoders={}, backbone=toy_model.backbone)
    with pytest.raises(ValueError, match="same modalities"):
        AnyGenConfig(signals=config.signals)
