"""Requests answered together: each as if alone, whatever the others are, and whatever becomes of them."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from anygen import AnyGenError, AnyGenPipeline
from anygen.memory import is_out_of_memory
from anygen.messages import read_conversation
from anygen.outputs import AnyGenOutput
from anygen.parameters import GenerationParameters
from anygen.scheduling import ItemRequest, answer_requests
from anygen.stream import GenerationStarted, GenerationStep, MediumAsked, MediumReady, TextDelta

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def pipe(toy_model):
    return AnyGenPipeline(toy_model, name="toy")


def ask(messages="a bell", *, is_cancelled=None, **parameters) -> ItemRequest:
    given = {"max_new_tokens": 40, "seed": 0} | parameters
    return ItemRequest(
        conversation=read_conversation(messages), parameters=GenerationParameters(**given), is_cancelled=is_cancelled
    )


def shown(medium) -> list[dict]:
    return [{"role": "user", "content": [{"type": "image", "image": medium}, {"type": "text", "text": "and now?"}]}]


def whole(text: str) -> str:
    """Without the halves of characters that a random LLM says: a half at the end of a text is not reported."""
    return text.replace("\ufffd", "")


def assert_same(ours: AnyGenOutput, theirs: AnyGenOutput) -> None:
    assert ours.text == theirs.text and [part.type for part in ours.parts] == [part.type for part in theirs.parts]
    for a, b in zip(ours.parts, theirs.parts, strict=True):
        if a.type == "image":
            assert np.abs(np.array(a.media).astype(int) - np.array(b.media)).max() <= 1
        elif a.type == "audio":
            np.testing.assert_allclose(a.media.waveform, b.media.waveform, atol=1e-2)


class failing:
    """A part of the model that raises for batches that `when` holds of; it notes the sizes of those it lets through."""

    def __init__(self, module, *, error: Exception, when):
        self.module, self.error, self.when, self.sizes = module, error, when, []

    def hook(self, module, arguments):
        if self.when(arguments[0]):
            raise self.error
        self.sizes.append(len(arguments[0]))

    def __enter__(self):
        self.handle = self.module.register_forward_pre_hook(self.hook)
        return self

    def __exit__(self, *exception):
        self.handle.remove()


MIXED = (
    ask(modalities=["image"]),
    ask(shown(PICTURE), modalities=["audio", "image"], seed=3),
    ask("here is a cat", temperature=0.8, seed=4),
    ask("on grass", modalities=["image"], image={"num_inference_steps": 3}, num_outputs=2),
    ask("hi", modalities=["text"], max_new_tokens=5),
)


def test_mixed_requests_are_what_they_are_alone(pipe):
    together = answer_requests(pipe, MIXED)
    for request, output in zip(MIXED, together, strict=True):
        (alone,) = answer_requests(pipe, [request])
        assert_same(output, alone)
    assert len(together[3].images) == 2 and not np.array_equal(*map(np.array, together[3].images))
    assert_same(together[0], pipe("a bell", modalities=["image"], max_new_tokens=40, seed=0))


def test_media_of_all_requests_share_batches_where_their_parameters_agree(pipe, toy_model):
    unet = toy_model.generators["image"].pipeline.unet
    with failing(unet, error=AssertionError(), when=lambda _: False) as seen:
        answer_requests(pipe, [*MIXED, ask(modalities=["image"], image={"num_inference_steps": 2})])
    assert seen.sizes == [2 * 3] * 2 + [2 * 2] * 3  # guidance doubles them; 2 steps are the default
    with failing(unet, error=AssertionError(), when=lambda _: False) as seen:
        answer_requests(pipe, [ask(modalities=["image"], seed=seed) for seed in range(5)], max_batch_size=2)
    assert seen.sizes == [4, 4, 4, 4, 2, 2]


def test_a_bad_request_ends_with_its_own_code_and_spoils_no_other(pipe):
    bad = {
        "media_unreadable": ask(shown(b"\x00" * 99)),
        "context_length_exceeded": ask("a" * 100_000),
        "invalid_parameter": ask(modalities=["image"], image={"steps": 3}),
        "invalid_request": ask([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]),
    }
    tight = ask(modalities=["image", "video"], max_new_tokens=9)  # found only while the LLM speaks
    *failed, good, late, also_good = answer_requests(pipe, [*bad.values(), MIXED[0], tight, MIXED[1]])
    assert [error.code for error in failed] == list(bad) and late.code == "invalid_parameter"
    assert_same(good, answer_requests(pipe, [MIXED[0]])[0])
    assert_same(also_good, answer_requests(pipe, [MIXED[1]])[0])
    with pytest.raises(AnyGenError, match="context_length_exceeded"):
        answer_requests(pipe, [MIXED[0], bad["context_length_exceeded"]], failures="raised")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("full"), MemoryError()])
def test_out_of_memory_halves_the_batch_and_goes_on(pipe, toy_model, error):
    requests = [ask(text, modalities=["image"], seed=seed) for seed, text in enumerate(["a bell", "a cat", "on grass", "hi"])]
    whole = answer_requests(pipe, requests)
    unet = toy_model.generators["image"].pipeline.unet
    with failing(unet, error=error, when=lambda sample: len(sample) > 4) as seen:
        halved = answer_requests(pipe, requests)
    assert seen.sizes == [4, 4, 4, 4]
    for ours, theirs in zip(halved, whole, strict=True):
        assert_same(ours, theirs)
    with failing(toy_model.backbone.llm.model.embed_tokens, error=error, when=lambda ids: len(ids) > 1):
        for ours, theirs in zip(answer_requests(pipe, requests), whole, strict=True):
            assert_same(ours, theirs)
    with failing(unet, error=error, when=lambda _: True):
        *failed, spoken = answer_requests(pipe, [*requests, ask(modalities=["text"])])
    assert [each.code for each in failed] == ["out_of_memory"] * 4 and spoken.text
    with failing(unet, error=error, when=lambda _: True), pytest.raises(AnyGenError, match="out_of_memory"):
        pipe("a bell", modalities=["image"], max_new_tokens=40)


def test_the_hosts_memory_is_recognised():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(10**15)
    assert is_out_of_memory(raised.value) and not is_out_of_memory(RuntimeError("shapes differ"))


def test_a_bug_is_an_internal_error_of_the_request_that_meets_it(pipe, toy_model, caplog):
    long = ask("a bell " * 30, modalities=["text"])
    words = toy_model.backbone.llm.model.embed_tokens
    with failing(words, error=KeyError("surprise"), when=lambda ids: ids.shape[1] > 60):
        first, bad, last = answer_requests(pipe, [MIXED[0], long, MIXED[1]])
        with pytest.raises(KeyError):
            answer_requests(pipe, [long], failures="raised")
    assert bad.code == "internal_error" and "surprise" in caplog.text and "surprise" not in str(bad.public())
    assert_same(first, answer_requests(pipe, [MIXED[0]])[0])
    assert_same(last, answer_requests(pipe, [MIXED[1]])[0])


def test_a_lost_device_is_raised(pipe, toy_model):
    unet = toy_model.generators["image"].pipeline.unet
    with failing(unet, error=torch.AcceleratorError("device-side assert"), when=lambda _: True):
        with pytest.raises(torch.AcceleratorError):
            answer_requests(pipe, [MIXED[0], MIXED[4]])


def test_events_say_whose_they_are(pipe):
    heard: dict[int, list] = {index: [] for index in range(len(MIXED))}
    outputs = answer_requests(pipe, MIXED, on_event=lambda item, event: heard[item].append(event))
    for index, output in enumerate(outputs):
        said = "".join(event.text for event in heard[index] if isinstance(event, TextDelta))
        assert whole(said) == whole("".join(part.text for part in output.parts if part.type == "text"))
        for modality in ("image", "audio"):
            ready = [event for event in heard[index] if isinstance(event, MediumReady) and event.modality == modality]
            assert [event.index for event in ready] == list(range(len(output.of(modality))))
            assert all(event.media is medium for event, medium in zip(ready, output.of(modality), strict=True))
    drawing = [event for event in heard[3] if getattr(event, "modality", None) == "image"]
    told = [MediumAsked, GenerationStarted, *[GenerationStep] * 3, *[MediumReady] * 2]
    assert [type(event) for event in drawing] == told
    assert drawing[1].num_media == 2 and [event.step for event in drawing[2:5]] == [1, 2, 3]


def test_words_of_a_repeated_attempt_are_told_once(pipe, toy_model):
    said: list[str] = []
    words = toy_model.backbone.llm.model.embed_tokens
    steps = iter(range(1000))
    with failing(words, error=MemoryError(), when=lambda ids: len(ids) > 1 and next(steps) > 5):
        outputs = answer_requests(
            pipe,
            [ask(modalities=["text"]), ask("hi", modalities=["text"])],
            on_event=lambda item, event: said.append(event.text) if item == 0 else None,
        )
    assert whole("".join(said)) == whole(outputs[0].parts[0].text)


def test_a_cancelled_request_leaves_and_the_others_stay(pipe):
    gone = threading.Event()

    def on_event(item, event):
        if isinstance(event, GenerationStep):
            gone.set()

    left = ask(modalities=["image", "audio"], is_cancelled=gone.is_set)
    cancelled, stays = answer_requests(pipe, [left, ask(modalities=["image"], seed=1)], on_event=on_event)
    assert isinstance(stays, AnyGenOutput) and len(stays.images) == 1
    (late,) = answer_requests(pipe, [left])
    assert late.code == "cancelled"


def test_a_batch_that_nobody_waits_for_ends_at_its_next_step(pipe):
    gone, steps = threading.Event(), []

    def on_event(item, event):
        if isinstance(event, GenerationStep):
            steps.append(event.step)
            gone.set()

    slow = [ask(modalities=["image"], image={"num_inference_steps": 90}, seed=n, is_cancelled=gone.is_set) for n in (1, 2)]
    first, second, other = answer_requests(pipe, [*slow, ask("hi", modalities=["text"])], on_event=on_event)
    assert (first.code, second.code) == ("cancelled", "cancelled") and isinstance(other, AnyGenOutput)
    assert steps == [1, 1]

    talked = []
    talking = ask(modalities=["text"], is_cancelled=lambda: bool(talked))
    (silent,) = answer_requests(pipe, [talking], on_event=lambda item, event: talked.append(event))
    assert silent.code == "cancelled" and len(talked) == 1
