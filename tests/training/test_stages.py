"""The three alignment stages on a whole toy model of real classes: what they train, what they cost, that they learn."""

import pytest
import torch

from anygen.messages import Part, Turn
from anygen.training.stages import STAGES, Example, Stage, freeze_for, latents_of_runs, reading_loss, stage_losses


def example(model, seed=0, with_latents=True):
    """A user shows a picture and asks for a picture and a sound; the assistant makes both."""
    draw = torch.Generator().manual_seed(seed)
    features = torch.randn(4, model.encoders["image"].width("image"), generator=draw)
    conversation = (
        Turn(role="user", parts=(Part(type="image", features=features), Part(type="text", text="again, and its sound"))),
        Turn(
            role="assistant",
            parts=(
                Part(type="text", text="here is a small cat."),
                Part(type="image", caption="a small cat"),
                Part(type="text", text="the sound of a bell."),
                Part(type="audio", caption="the sound of a bell"),
            ),
        ),
    )
    latents = (torch.randn(model.generators["image"].latent_shape, generator=draw), None) if with_latents else ()
    return Example(conversation=conversation, latents=latents)


def grown(model, name):
    """Names of the tensors that change when a stage takes one step."""
    parameters = freeze_for(model, STAGES[name])
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    losses = stage_losses(model, [example(model), example(model, 1)], STAGES[name], generator=torch.Generator().manual_seed(0))
    losses["loss"].backward()
    torch.optim.SGD(parameters.parameters(), lr=0.1).step()
    return {key for key, tensor in model.state_dict().items() if not torch.equal(tensor, before[key])}, losses


@pytest.mark.parametrize(
    ("name", "prefixes"),
    [
        ("input_projectors", ("input_projectors.",)),
        ("output_projectors", ("bridges.", "backbone.token_rows.")),
        ("instruction", ("input_projectors.", "bridges.", "backbone.token_rows.", "backbone.llm.")),
    ],
)
def test_a_stage_changes_what_it_trains_and_nothing_else(build_model, name, prefixes):
    changed, _ = grown(build_model(), name)
    assert changed and all(key.startswith(prefixes) for key in changed)
    assert {prefix for prefix in prefixes if any(key.startswith(prefix) for key in changed)} == set(prefixes)
    assert all("lora_" in key for key in changed if key.startswith("backbone.llm."))


def test_losses_are_named_by_modality_and_sum_up(build_model):
    _, losses = grown(build_model(), "instruction")
    assert set(losses) == {"loss", "text", "alignment_image", "alignment_audio", "denoising_image"}
    weights = STAGES["instruction"].weights
    aligned = losses["alignment_image"] + losses["alignment_audio"]
    total = weights.text * losses["text"] + weights.alignment * aligned + weights.denoising * losses["denoising_image"]
    assert losses["loss"].item() == pytest.approx(total.item(), rel=1e-5)


def test_the_first_stage_costs_only_words(build_model):
    _, losses = grown(build_model(), "input_projectors")
    assert set(losses) == {"loss", "text"}


def test_the_alignment_loss_is_the_error_to_captions_and_to_the_empty_caption(build_model):
    model = build_model()
    freeze_for(model, STAGES["output_projectors"])
    examples = [example(model, with_latents=False)]
    losses = stage_losses(model, examples, STAGES["output_projectors"], generator=torch.Generator())
    inputs = model.collate([examples[0].conversation])
    condition = model.project_runs(model(inputs), inputs.runs_of("audio"))["prompt_embeds"]
    null = model.null_condition("audio", 1)["prompt_embeds"]
    target = model.generators["audio"].encode_text(["the sound of a bell", ""])["prompt_embeds"]
    expected = (torch.cat([condition, null]) - target).pow(2).mean()
    assert losses["alignment_audio"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_few_steps_lower_every_loss(build_model):
    model = build_model()
    parameters = freeze_for(model, STAGES["instruction"])
    optimizer = torch.optim.AdamW(parameters.parameters(), lr=3e-3)
    examples = [example(model, seed) for seed in range(3)]
    history = []
    for _ in range(15):
        losses = stage_losses(model, examples, STAGES["instruction"], generator=torch.Generator().manual_seed(1))
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        history.append({name: value.item() for name, value in losses.items()})
    for name in ("loss", "text", "alignment_image", "alignment_audio"):
        assert history[-1][name] < 0.95 * history[0][name], name


def test_latents_belong_to_media_in_the_order_said(build_model):
    model = build_model()
    given = example(model)
    inputs = model.collate([given.conversation])
    found = latents_of_runs(inputs, [given])
    (image,), (audio,) = inputs.runs_of("image"), inputs.runs_of("audio")
    assert torch.equal(found[0, image.start], given.latents[0])
    assert found[0, audio.start] is None


def test_latents_for_another_number_of_media_are_refused(build_model):
    model = build_model()
    given = Example(conversation=example(model).conversation, latents=(None,))
    with pytest.raises(ValueError, match="found 1 latents for 2 media"):
        latents_of_runs(model.collate([given.conversation]), [given])


def test_a_stage_that_trains_nothing_or_the_unknown_is_refused():
    for trains in ((), ("encoders",)):
        with pytest.raises(ValueError, match="expected one or more of input_projectors"):
            Stage(trains=trains, weights=STAGES["instruction"].weights)


def test_reading_loss_is_the_cross_entropy_to_what_is_read_in_the_target():
    found, wanted = {"color": torch.tensor([[2.0, 0.0]])}, {"color": torch.tensor([[0.0, 1.0]])}
    share = torch.tensor([0.0, 1.0]).softmax(dim=0)
    expected = -(share * torch.tensor([2.0, 0.0]).log_softmax(dim=0)).sum()
    assert reading_loss(found, wanted).item() == pytest.approx(expected.item(), rel=1e-5)
    assert reading_loss(wanted, wanted) < reading_loss(found, wanted)


def test_a_reader_adds_its_loss_to_each_modality(build_model):
    model = build_model()
    freeze_for(model, STAGES["instruction"])
    losses = stage_losses(
        model,
        [example(model)],
        STAGES["instruction"],
        generator=torch.Generator().manual_seed(0),
        reader=lambda condition: {"mean": condition["prompt_embeds"].mean(dim=1)},
    )
    assert {"reading_image", "reading_audio"} <= set(losses)
    assert losses["reading_image"] > 0
