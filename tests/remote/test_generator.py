"""Remote generators: what they are sent, what may come back, and `anygen serve` as one of them."""

import base64
import io

import pytest
import torch
from peer import Answer
from PIL import Image

from anygen import AnyGenPipeline
from anygen.errors import AnyGenError
from anygen.remote import RemoteGenerator


def png(colour="red", size=(6, 4)):
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, format="PNG")
    return data.getvalue()


def picture(data=None):
    return Answer(body={"data": [{"b64_json": base64.b64encode(data or png()).decode()}]})


def generate(generator, captions, **parameters):
    seeds = [torch.Generator().manual_seed(index) for index in range(len(captions))]
    return generator.generate(generator.encode_text(captions), generators=seeds, **parameters)


def test_a_caption_is_its_condition():
    generator = RemoteGenerator("http://127.0.0.1:9/v1", modality="image", model="m")
    condition = generator.encode_text(["a bell", "", "\u00e9" * 3000])
    rows = [bytes(row[row > 0].tolist()).decode() for row in condition["caption"]]
    assert rows == ["a bell", "", "\u00e9" * 2048] and condition["caption"].shape == (
        3,
        *generator.condition_spec["caption"],
    )
    assert not generator.null_condition(2)["caption"].any()


def test_what_openais_dialect_is_sent(peer):
    peer.answers = [picture()]
    generator = RemoteGenerator(
        peer.url, modality="image", model="m", parameters={"num_inference_steps": 20, "guidance_scale": 3.0},
        extra_body={"size": "6x4", "response_format": None},
    )  # fmt: skip
    (image,) = generate(generator, ["a bell"], num_inference_steps=5)
    assert image.size == (6, 4) and image.getpixel((0, 0)) == (255, 0, 0)
    assert peer.asked[0].path == "/v1/images/generations"
    expected = {
        "model": "m",
        "prompt": "a bell",
        "seed": 0,
        "n": 1,
        "size": "6x4",
        "num_inference_steps": 5,
        "guidance_scale": 3.0,
    }
    assert peer.asked[0].body == expected
    with pytest.raises(ValueError, match="unknown parameters"):
        generate(generator, ["a bell"], height=4)


def test_speech_and_films(peer):
    import numpy as np

    from anygen import Audio, Video
    from anygen.serve.replies import encode

    wav = encode(Audio(waveform=np.zeros(800, dtype=np.float32), sampling_rate=8000), "wav", provenance={})
    peer.answers = [Answer(body=wav)]
    (sound,) = generate(
        RemoteGenerator(peer.url, modality="audio", model="m", extra_body={"voice": "a", "seed": None}), ["hello"]
    )
    assert sound.sampling_rate == 8000 and len(sound.waveform) == 800
    assert (peer.asked[0].path, peer.asked[0].body) == (
        "/v1/audio/speech",
        {"model": "m", "input": "hello", "response_format": "wav", "voice": "a"},
    )
    peer.asked.clear()
    mp4 = encode(Video(frames=np.zeros((4, 16, 16, 3), dtype=np.uint8), fps=4.0), "mp4", provenance={})
    peer.answers = [
        Answer(body={"id": "v_1", "status": "queued"}),
        Answer(body={"id": "v_1", "status": "completed"}),
        Answer(body=mp4),
    ]
    (film,) = generate(RemoteGenerator(peer.url, modality="video", model="m"), ["a bell"])
    assert film.frames.shape == (4, 16, 16, 3)
    assert [asked.path for asked in peer.asked] == ["/v1/videos", "/v1/videos/v_1", "/v1/videos/v_1/content"]


@pytest.mark.parametrize(
    ("modality", "answer", "message"),
    [
        ("image", Answer(body={"data": []}), "no picture"),
        ("image", Answer(body={"data": [{"url": "http://elsewhere/x.png"}]}), "an address; expected"),
        ("image", picture(b"<html>"), "remote_bad_reply"),
        ("audio", Answer(body=b"no sound"), "remote_bad_reply"),
        ("video", Answer(body={"id": "../../x", "status": "queued"}), "expected its id"),
        ("video", Answer(body={"id": "v", "status": "failed", "error": {"code": "oh"}}), "remote_refused.*oh"),
    ],
)
def test_replies_that_are_none(peer, modality, answer, message):
    peer.answers = [answer]
    with pytest.raises(AnyGenError, match=message):
        generate(RemoteGenerator(peer.url, modality=modality, model="m", max_tries=1), ["a bell"])


def test_media_of_a_batch_that_failed_are_not_paid_for_twice(peer):
    peer.answers = lambda asked: Answer(status=400) if asked.body["prompt"] == "b" else picture()
    generator = RemoteGenerator(peer.url, modality="image", model="m", max_tries=1, max_parallel=1)
    with pytest.raises(AnyGenError, match="remote_refused"):
        generate(generator, ["a", "b"])
    assert len(generate(generator, ["a"])) == 1 and [asked.body["prompt"] for asked in peer.asked] == ["a", "b"]
    assert len(generate(generator, ["a"])) == 1 and len(peer.asked) == 3


def test_progress_counts_media_and_can_end_the_batch(peer):
    peer.answers = [picture()]
    generator, steps = RemoteGenerator(peer.url, modality="image", model="m"), []
    generate(generator, ["a", "b"], callback=lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]

    def leave(step, num_steps):
        raise AnyGenError("cancelled")

    with pytest.raises(AnyGenError, match="cancelled"):
        generate(generator, ["c", "d"], callback=leave)


def test_in_a_composition_saved_and_loaded(peer, toy_model_maker, tmp_path):
    model = toy_model_maker()
    model.backbone.llm.config.max_position_embeddings = 4096
    pipe = AnyGenPipeline.compose(llm=model.backbone, image=f"openai:{peer.url}#m")
    peer.answers = [picture()]
    before = pipe(["a bell", "a cat"], modalities=["image"], seed=[1, 2])
    assert [out.images[0].size for out in before] == [(6, 4), (6, 4)]
    assert sorted(asked.body["prompt"] for asked in peer.asked) == sorted(out.parts[0].signal.caption for out in before)
    assert len({asked.body["seed"] for asked in peer.asked}) == 2
    pipe.save_pretrained(tmp_path)
    again = AnyGenPipeline.from_pretrained(tmp_path)
    assert again.generators["image"].remote == pipe.generators["image"].remote
    with pytest.raises(AnyGenError, match="a remote generator reads captions: expected text"):
        AnyGenPipeline.compose(llm=toy_model_maker().backbone, image=f"openai:{peer.url}#m", bridge="signal")


def test_nano_behind_its_own_server_is_a_generator_of_everything(nano_url):
    few = {"num_inference_steps": 2}
    for modality in ("image", "audio", "video"):
        generator = RemoteGenerator(f"anygen:{nano_url}#nano", modality=modality, parameters=few)
        (medium,) = generate(generator, ["a large red bell on grass"])
        (again,) = generate(generator, ["a large red bell on grass"])
        if modality == "image":
            assert medium.size == (128, 128) and medium.tobytes() == again.tobytes()
        elif modality == "audio":
            assert medium.sampling_rate == 16000 and len(medium.waveform) > 16000
        else:
            assert medium.frames.shape == (8, 64, 64, 3)
