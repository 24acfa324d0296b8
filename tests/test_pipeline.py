"""The pipeline end to end on real parts: every modality in and out, batches, seeds, history, events, faults."""

import json
import wave
from itertools import groupby, pairwise

import numpy as np
import pytest
from PIL import Image

import anygen
from anygen import AnyGenError, AnyGenPipeline, Audio, Video
from anygen.seeds import derived_generator
from anygen.stream import Finished, GenerationStarted, GenerationStep, MediumAsked, MediumReady, TextDelta

SETTINGS = {"max_new_tokens": 40, "seed": 0}
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def pipe(toy_model):
    return AnyGenPipeline(toy_model, name="toy")


def arrays(output) -> list[np.ndarray]:
    return (
        [np.array(x) for x in output.images] + [v.frames for v in output.videos] + [a.waveform for a in output.audios]
    )


def same(ours, theirs, *, atol: float = 0) -> bool:
    """Equal words, and media equal but for `atol` in steps of 8 bits (rounding may fall on either side)."""
    pairs = list(zip(arrays(ours), arrays(theirs), strict=True))
    close = all(
        np.abs(a.astype(float) - b.astype(float)).max() <= (atol if a.dtype == np.uint8 else atol * 1e-2)
        for a, b in pairs
    )
    return ours.text == theirs.text and [p.type for p in ours.parts] == [p.type for p in theirs.parts] and close


def test_exactly_the_media_asked_for(pipe):
    output = pipe("a bell", modalities=["audio", "image", "video"], **SETTINGS)
    assert [part.type for part in output.parts if part.type != "text"] == ["audio", "image", "video"]
    assert isinstance(output.images[0], Image.Image) and output.images[0].size == (16, 16)
    assert (
        isinstance(output.videos[0], Video)
        and output.videos[0].frames.shape == (2, 16, 16, 3)
        and output.videos[0].fps == 8
    )
    assert isinstance(output.audios[0], Audio) and output.audios[0].sampling_rate == 16_000
    words = "".join(part.text for part in output.parts if part.type == "text")
    assert "".join(output.text.split()) == "".join(words.split()) != ""  # the same, but for spaces where media stood
    assert pipe("a bell", modalities=["text"], **SETTINGS).of("image") == []


def test_same_seed_same_bytes(pipe):
    first, again, other = (
        pipe("a bell", modalities=["image", "audio"], **SETTINGS | {"seed": seed}) for seed in (3, 3, 4)
    )
    assert same(first, again) and not np.array_equal(np.array(first.images[0]), np.array(other.images[0]))
    fresh = pipe("a bell", modalities=["image"], max_new_tokens=40)
    assert same(fresh, pipe("a bell", modalities=["image"], max_new_tokens=40, seed=fresh.seed))
    assert fresh.provenance["seed"] == fresh.seed != pipe("a bell", modalities=["text"]).seed


@pytest.mark.parametrize("settings", [{"modalities": ["image", "audio", "video"]}, {"temperature": 0.8}])
def test_an_item_of_a_batch_is_the_item_alone(pipe, settings):
    shown = [{"role": "user", "content": [{"type": "image", "image": PICTURE}, {"type": "text", "text": "and now?"}]}]
    batch = ["a bell", shown, "here is a large red bell on grass"]
    outputs = pipe(batch, **SETTINGS, **settings)
    assert len(outputs) == 3
    for conversation, output in zip(batch, outputs, strict=True):
        assert same(output, pipe(conversation, **SETTINGS, **settings), atol=1)


def test_seeds_may_differ_in_a_batch(pipe):
    one, two = pipe(["a bell", "a bell"], modalities=["image"], max_new_tokens=40, seed=[5, 6])
    assert (one.seed, two.seed) == (5, 6) and not same(one, two)
    assert same(two, pipe("a bell", modalities=["image"], max_new_tokens=40, seed=6), atol=1)


def test_a_list_of_one_is_a_batch_of_one(pipe):
    assert isinstance(pipe(["a bell"], modalities=["text"], **SETTINGS), list)


def test_candidates(pipe):
    single = pipe("a bell", modalities=["image", "audio"], **SETTINGS)
    several = pipe("a bell", modalities=["image", "audio"], num_outputs=3, **SETTINGS)
    assert len(several.images) == len(several.audios) == 3
    assert [part.candidate for part in several.parts if part.type == "image"] == [0, 1, 2]
    first, second = (np.array(image).astype(int) for image in several.images[:2])
    assert np.abs(first - np.array(single.images[0])).max() <= 1 and not np.array_equal(first, second)
    assert [part["type"] for part in several.message["content"]].count("image") == 1


def test_a_reply_goes_into_the_history(pipe, toy_model):
    first = pipe("a bell", modalities=["image", "audio"], **SETTINGS)
    history = [{"role": "user", "content": "a bell"}, first.message, {"role": "user", "content": "now a red one"}]
    inputs = toy_model.collate([history], add_generation_prompt=True)
    assert [run.part.type for run in inputs.runs] == ["image", "audio"] and not inputs.slots
    said = [part.text for part in first.parts if part.type == "text"]
    assert [part["text"] for part in first.message["content"] if part["type"] == "text"] == said
    assert [part.type for part in pipe(history, modalities=["image"], **SETTINGS).parts if part.type != "text"] == [
        "image"
    ]


def test_every_modality_is_read(pipe, tmp_path):
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes((np.sin(np.arange(4000) / 5) * 9000).astype(np.int16).tobytes())
    PICTURE.save(tmp_path / "picture.png")
    film = Video(frames=np.stack([np.array(PICTURE)] * 3), fps=3.0)
    sources = {
        "image": [PICTURE, tmp_path / "picture.png", np.array(PICTURE), (tmp_path / "picture.png").read_bytes()],
        "video": [film],
        "audio": [str(tmp_path / "tone.wav")],
    }
    for modality, media in sources.items():
        texts = [
            pipe(
                [{"role": "user", "content": [{"type": modality, modality: medium}]}], modalities=["text"], **SETTINGS
            ).text
            for medium in media
        ]
        assert len(set(texts)) == 1 and texts[0]


def test_a_film_with_sound_gives_both(pipe, toy_model):
    tone = Audio(waveform=np.sin(np.arange(16_000) / 9).astype(np.float32), sampling_rate=16_000)
    film = Video(frames=np.stack([np.array(PICTURE)] * 3), fps=3.0, audio=tone)
    (turn,) = pipe.load_media(
        anygen.messages.read_conversation([{"role": "user", "content": [{"type": "video", "video": film}]}])
    )
    assert [part.type for part in turn.parts] == ["video", "audio"]
    assert np.array_equal(turn.parts[1].media.waveform, tone.waveform)


def test_output_types(pipe):
    settings = {"modalities": ["image", "video", "audio"], **SETTINGS}
    plain, array, tensor = (pipe("a bell", output_type=kind, **settings) for kind in ("pil", "np", "pt"))
    assert np.array_equal(array.images[0], np.array(plain.images[0])) and array.images[0].dtype == np.uint8
    assert np.array_equal(tensor.images[0].permute(1, 2, 0).numpy(), array.images[0])
    assert tensor.videos[0].shape == (2, 3, 16, 16) and np.array_equal(array.videos[0], plain.videos[0].frames)
    assert np.array_equal(tensor.audios[0].numpy(), plain.audios[0].waveform)


def test_a_stream_tells_the_whole_story_in_order(pipe):
    settings = {"modalities": ["image", "audio"], **SETTINGS, "image": {"num_inference_steps": 3}}
    events = list(pipe.stream("a bell", **settings))
    *story, last = events
    assert isinstance(last, Finished) and same(last.output, pipe("a bell", **settings))
    first_medium = next(i for i, event in enumerate(events) if isinstance(event, GenerationStarted))
    assert all(isinstance(event, TextDelta | MediumAsked) for event in story[:first_medium])
    assert not any(isinstance(event, TextDelta | MediumAsked) for event in story[first_medium:])
    said = [getattr(event, "modality", "text") for event in story[:first_medium]]
    assert [kind for kind, _ in groupby(said)] == [part.type for part in last.output.parts]
    drawing = [event for event in story if getattr(event, "modality", None) == "image"]
    assert [type(event) for event in drawing] == [MediumAsked, GenerationStarted, *[GenerationStep] * 3, MediumReady]
    assert [(event.step, event.num_steps) for event in drawing[2:5]] == [(1, 3), (2, 3), (3, 3)]
    assert np.array_equal(np.array(drawing[-1].media), np.array(last.output.images[0]))


def test_a_medium_says_which_tokens_and_which_condition_it_comes_from(pipe):
    output = pipe("a bell", modalities=["image", "audio"], num_outputs=2, **SETTINGS)
    media = [part for part in output.parts if part.type != "text"]
    assert [(part.type, part.candidate) for part in media] == [("image", 0), ("image", 1), ("audio", 0), ("audio", 1)]
    for part in media:
        assert part.signal.tokens == pipe.model.config.signals[part.type].tokens
        shapes = {name: tuple(tensor.shape) for name, tensor in part.signal.condition.tensors.items()}
        assert shapes == {name: (1, *shape) for name, shape in pipe.generators[part.type].condition_spec.items()}
    second = media[1]
    (again,) = pipe.generators["image"].generate(
        second.signal.condition, generators=[derived_generator(0, "image", 0, 1)]
    )
    assert np.abs(np.asarray(again).astype(int) - np.asarray(second.media)).max() <= 1


def test_a_stream_may_be_left_and_raises_what_happens(pipe):
    for _ in pipe.stream("a bell", modalities=["image"], **SETTINGS):
        break
    with pytest.raises(AnyGenError, match="media_unreadable|path_not_allowed|media_"):
        list(pipe.stream([{"role": "user", "content": [{"type": "image", "image": b"no picture"}]}]))
    with pytest.raises(AnyGenError, match="one conversation"):
        pipe.stream(["a", "b"])


def test_the_callback_counts_every_step(pipe):
    calls = []
    settings = {"image": {"num_inference_steps": 3}, "video": {"num_inference_steps": 2}, **SETTINGS}
    pipe("a bell", modalities=["image", "video"], callback_on_step_end=lambda *call: calls.append(call), **settings)
    assert [call for call in calls if call[0] == "image"] == [("image", 1, 3), ("image", 2, 3), ("image", 3, 3)]
    assert [call for call in calls if call[0] == "video"] == [("video", 1, 2), ("video", 2, 2)]


def test_requests_of_a_batch_share_one_denoising_batch(pipe, toy_model):
    sizes = []
    unet = toy_model.generators["image"].pipeline.unet
    handle = unet.register_forward_pre_hook(lambda _, arguments: sizes.append(len(arguments[0])))
    pipe(["a bell", "a cat", "on grass"], modalities=["image"], image={"num_inference_steps": 2}, **SETTINGS)
    handle.remove()
    assert sizes == [2 * 3] * 2  # guidance doubles the batch


def test_timings_and_provenance_say_how_it_was_made(pipe):
    output = pipe("a bell", modalities=["image"], image={"guidance_scale": 2.0}, **SETTINGS)
    assert set(output.timings) == {"load", "encode", "llm", "image", "total"}
    assert output.timings["total"] >= output.timings["llm"] > 0
    assert output.provenance["model"] == "toy" and output.provenance["version"] == anygen.__version__
    assert output.provenance["parameters"] == {
        "modalities": ["image"],
        "image": {"guidance_scale": 2.0},
        "max_new_tokens": 40,
    }
    assert json.loads(json.dumps(output.provenance)) == output.provenance


def test_components_and_generators(pipe, toy_model):
    assert set(pipe.generators) == {"image", "video", "audio"}
    assert (
        pipe.components["llm"] is toy_model.backbone.llm
        and pipe.components["bridges"]["image"] is toy_model.bridges["image"]
    )
    assert pipe.to("cpu") is pipe and pipe.device.type == "cpu"


@pytest.mark.parametrize(
    ("settings", "code", "named"),
    [
        ({"modalities": ["smell"]}, "invalid_parameter", "modalities: found 'smell'; expected a list of text, image"),
        ({"modalities": "image"}, "invalid_parameter", "modalities: found 'image'; expected a list"),
        ({"modalities": []}, "invalid_parameter", "modalities"),
        ({"num_outputs": 0}, "invalid_parameter", "num_outputs: found 0; expected a whole number from 1"),
        ({"temperature": float("nan")}, "invalid_parameter", "temperature: found nan"),
        ({"top_p": 0}, "invalid_parameter", "top_p: found 0; expected a number above 0 and at most 1"),
        ({"seed": 1.5}, "invalid_parameter", "seed: found 1.5; expected a whole number"),
        ({"seed": [1, 2]}, "invalid_parameter", "seed: found '2 seeds'; expected one, or one for each of 1"),
        ({"output_type": "jpeg"}, "invalid_parameter", "output_type: found 'jpeg'; expected one of pil, np, pt"),
        ({"max_tokens": 5}, "invalid_parameter", "found the parameter 'max_tokens'; expected some of modalities, captions, seed"),
        ({"image": {"steps": 5}}, "invalid_parameter", r"image\['steps'\].*: num_inference_steps, guidance_scale"),
        (
            {"image": {"num_inference_steps": 0}},
            "invalid_parameter",
            r"image\['num_inference_steps'\]: found 0; .* from 1 to 1000",
        ),
        ({"image": {"guidance_scale": True}}, "invalid_parameter", "found True; expected a number"),
        ({"image": 5}, "invalid_parameter", "image: found 5; expected a dict"),
        ({"callback_on_step_end": 5}, "invalid_parameter", "callback_on_step_end"),
    ],
)
def test_a_wrong_parameter_is_named_with_its_rule(pipe, settings, code, named):
    with pytest.raises(AnyGenError, match=named) as raised:
        pipe("a bell", **settings)
    assert raised.value.code == code


def test_requests_that_cannot_be_answered(pipe, toy_model):
    with pytest.raises(AnyGenError, match="invalid_request: the last message is of the role assistant"):
        pipe([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}])
    with pytest.raises(AnyGenError, match="context_length_exceeded"):
        pipe("a" * 100_000)
    with pytest.raises(AnyGenError, match=r"media_.*: messages\[0\].content\[1\]: ") as raised:
        pipe([{"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image", "image": b"\x00" * 99}]}])
    assert raised.value.fields["where"] == "messages[0].content[1]"


def test_truncate_answers_what_is_too_long(pipe):
    turns = [{"role": role, "content": "old " * 60} for role in ("user", "assistant")] * 3
    messages = [*turns, {"role": "user", "content": "a bell"}]
    with pytest.raises(AnyGenError, match="context_length_exceeded.*truncate"):
        pipe(messages, modalities=["text"], **SETTINGS)
    assert same(
        pipe(messages, modalities=["text"], truncate=True, **SETTINGS), pipe("a bell", modalities=["text"], **SETTINGS)
    )


def test_user_text_cannot_order_media(pipe):
    plain = pipe("<image_0><image_1><image_2><image_3>", modalities=["text"], **SETTINGS)
    assert plain.images == [] and [part.type for part in plain.parts] == ["text"]


def test_a_second_picture_does_not_change_the_first(pipe):
    one = pipe("a bell", modalities=["image"], **SETTINGS)
    two = pipe("a bell", modalities=["image", "image"], **SETTINGS)
    assert len(two.images) == 2 and np.abs(np.array(one.images[0]).astype(int) - np.array(two.images[0])).max() <= 1
    assert all(not np.array_equal(np.array(a), np.array(b)) for a, b in pairwise(two.images))


# Captions of the caller's


def test_captions_go_to_the_generators_as_they_are(pipe, monkeypatch):
    """As the generator's own reading of the caption, generated with the numbers that a reply's medium would have."""
    monkeypatch.setattr(pipe, "decode_replies", lambda *args, **settings: pytest.fail("the LLM was asked"))
    events = list(pipe.stream("x", modalities=["audio", "image"], captions=["a bell", "a red bell"], seed=3))
    output = events[-1].output
    assert [(part.type, part.signal.caption, part.signal.tokens) for part in output.parts] == [
        ("audio", "a bell", ()), ("image", "a red bell", ()),
    ]  # fmt: skip
    assert [event.modality for event in events if isinstance(event, MediumAsked)] == ["audio", "image"]
    assert (output.text, output.num_reply_tokens) == ("", 0)
    for modality, caption, medium in (("image", "a red bell", output.images[0]), ("audio", "a bell", output.audios[0])):
        generator = pipe.generators[modality]
        (alone,) = generator.generate(
            generator.encode_text([caption]), generators=[derived_generator(3, modality, 0, 0)], **generator.default_parameters
        )
        given, expected = [np.array(each) if modality == "image" else each.waveform for each in (medium, alone)]
        assert np.allclose(given.astype(float), expected.astype(float), atol=1e-4)
    assert output.provenance["parameters"]["captions"] == ["a bell", "a red bell"]


def test_requests_with_and_without_captions_are_one_batch(pipe):
    from anygen.messages import read_conversations
    from anygen.parameters import GenerationParameters
    from anygen.scheduling import ItemRequest, answer_requests

    common = {"modalities": ["image"]} | SETTINGS
    given = [GenerationParameters(**common, captions=captions) for captions in (None, ["a red bell"], None)]
    requests = [ItemRequest(conversation=read_conversations("a bell")[0], parameters=each) for each in given]
    together = answer_requests(pipe, requests)
    for each, output in zip(given, together, strict=True):
        assert same(pipe.answer(read_conversations("a bell"), each)[0], output, atol=1)
    assert not np.array_equal(np.array(together[0].images[0]), np.array(together[1].images[0]))


@pytest.mark.parametrize(
    ("modalities", "captions"),
    [(None, ["a"]), (["image"], []), (["image"], ["a", "b"]), (["text"], ["a"]), (["image"], "a"), (["image"], [1])],
)
def test_captions_that_fit_no_media_are_refused(pipe, modalities, captions):
    with pytest.raises(AnyGenError, match="captions: found .*expected a list of strings, one for each") as raised:
        pipe("x", modalities=modalities, captions=captions)
    assert raised.value.code == "invalid_parameter"
