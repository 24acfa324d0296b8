"""The official `openai` client against a real server: every endpoint it has a method for, any mix in, any mix out."""

import base64
import io
import json

import numpy as np
import openai
import pytest
from making import encoded, grey_frames, picture, tone, wav
from PIL import Image
from serving import FEW, data_url, decoded, image_part

from anygen.media import load_audio, load_image, load_video
from anygen.media.save import save_video
from anygen.media.types import Video

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
BELL = [{"role": "user", "content": "a large red bell on grass"}]


@pytest.fixture(scope="module")
def client(server):
    with server.openai() as client:
        yield client


def ask(client, messages, **options):
    extra = {"generation": FEW} | options.pop("extra_body", {})
    return client.chat.completions.create(model="nano", messages=messages, extra_body=extra, **options)


def test_models(client):
    (model,) = client.models.list().data
    assert (model.id, model.object, model.owned_by) == ("nano", "model", "anygen")
    assert model.output_modalities == ["text", "image", "video", "audio"]
    assert client.models.retrieve("nano") == model
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("gpt-4o")
    assert raised.value.code == "model_not_found"


def test_words_alone(client):
    reply = ask(client, BELL, modalities=["text"], seed=0)
    (choice,) = reply.choices
    assert choice.finish_reason == "stop" and choice.message.role == "assistant"
    assert choice.message.content == choice.message.parts[0]["text"].strip() != ""
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.usage.prompt_tokens > 5 and reply.usage.completion_tokens > 1


def test_a_short_answer_says_that_it_was_cut(client):
    reply = ask(client, BELL, modalities=["text"], max_tokens=2)
    assert reply.choices[0].finish_reason == "length" and reply.usage.completion_tokens == 2


def test_every_medium_comes_out_as_a_part_that_plays(client):
    message = ask(client, BELL, modalities=["text", "image", "video", "audio"], seed=1).choices[0].message
    parts = {part["type"]: part for part in message.parts}
    assert load_image(decoded(parts["image_url"]["image_url"]["url"])).size == (128, 128)
    assert load_video(parts["video_url"]["video_url"]["url"]).frames.shape == (8, 64, 64, 3)
    sound = load_audio(parts["audio_url"]["audio_url"]["url"])
    assert sound.sampling_rate == 16_000 and sound.duration == pytest.approx(2.048, abs=0.1)
    assert base64.b64decode(message.audio.data) == decoded(parts["audio_url"]["audio_url"]["url"])
    assert all(part["index"] == part["candidate"] == 0 for kind, part in parts.items() if kind != "text")


def test_candidates_and_flac(client):
    message = ask(
        client, BELL, modalities=["image", "audio"], audio={"format": "flac", "voice": "none"},
        extra_body={"generation": {**FEW, "num_outputs": 2}},
    ).choices[0].message  # fmt: skip
    images = [part for part in message.parts if part["type"] == "image_url"]
    assert [(part["index"], part["candidate"]) for part in images] == [(0, 0), (0, 1)]
    assert images[0]["image_url"] != images[1]["image_url"]
    assert base64.b64decode(message.audio.data)[:4] == b"fLaC"


def test_the_same_seed_gives_the_same_bytes_and_an_absent_one_is_told(client):
    first = ask(client, BELL, modalities=["image"])
    again = ask(client, BELL, modalities=["image"], seed=first.anygen["seed"])
    assert first.choices[0].message.parts == again.choices[0].message.parts


def test_every_medium_is_read(client, tmp_path):
    film = save_video(Video(frames=grey_frames(8), fps=4.0), tmp_path / "film.mp4").read_bytes()
    sound = wav(tone(1.0, 16_000), 16_000)
    content = [
        image_part(data_url(encoded(picture(), "PNG"))),
        {"type": "video_url", "video_url": {"url": data_url(film, "video/mp4")}},
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(sound).decode(), "format": "wav"}},
        {"type": "audio_url", "audio_url": {"url": data_url(sound, "audio/wav")}},
        {"type": "text", "text": "what is this?"},
    ]
    alone = ask(client, [{"role": "user", "content": content[-1:]}], modalities=["text"])
    reply = ask(client, [{"role": "user", "content": content}], modalities=["text"])
    assert reply.choices[0].message.content and reply.usage.prompt_tokens > alone.usage.prompt_tokens + 50


def test_a_reply_goes_into_the_history_as_it_is(client, server):
    first = ask(client, BELL, modalities=["image", "audio"], seed=0)
    history = [*BELL, first.choices[0].message, {"role": "user", "content": "now make it blue"}]
    assert ask(client, history, modalities=["image"]).choices[0].message.parts
    words = [*BELL, {"role": "assistant", "content": "x"}, {"role": "user", "content": "now make it blue"}]
    longer, shorter = (ask(client, each, modalities=["text"]).usage.prompt_tokens for each in (history, words))
    assert longer >= shorter + 6  # two runs of signal tokens
    named = [*BELL, {"role": "assistant", "audio": {"id": "audio_1"}}, history[-1]]
    silent = [*BELL, {"role": "assistant", "content": ""}, history[-1]]
    counts = [ask(client, each, modalities=["text"]).usage.prompt_tokens for each in (named, silent)]
    assert counts[0] > counts[1]


def test_without_modalities_the_model_decides(client):
    message = ask(client, [{"role": "system", "content": "Be short."}, {"role": "user", "content": "draw a red bell"}])
    assert message.choices[0].message.parts


def test_a_stream_says_words_then_sends_media(client):
    options = {"include_usage": True, "include_progress": True}
    pieces = list(ask(client, BELL, modalities=["image", "audio"], seed=0, stream=True, stream_options=options))
    whole = ask(client, BELL, modalities=["image", "audio"], seed=0)
    assert len({piece.id for piece in pieces}) == 1 and pieces[0].choices[0].delta.role == "assistant"
    deltas = [piece.choices[0].delta for piece in pieces if piece.choices]
    assert "".join(delta.content or "" for delta in deltas).strip() == whole.choices[0].message.content
    sent = [part for delta in deltas for part in getattr(delta, "parts", [])]
    expected = [part for part in whole.choices[0].message.parts if part["type"] != "text"]
    assert sorted(json.dumps(part["type"]) for part in sent) == sorted(json.dumps(part["type"]) for part in expected)
    pictures = [np.array(load_image(p["image_url"]["url"]).convert("L"), int) for p in (*sent, *expected) if "image_url" in p]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
    events = [piece.anygen["event"] for piece in pieces if "event" in (getattr(piece, "anygen", None) or {})]
    assert events[:2] == ["asked", "asked"] and events.count("started") == 2 and events.count("step") == 4
    assert [p.choices[0].finish_reason for p in pieces if p.choices and p.choices[0].finish_reason] == ["stop"]
    assert pieces[-1].usage == whole.usage


def test_what_fails_before_a_stream_begins_has_a_status(client):
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, [{"role": "user", "content": [image_part(data_url(b"no picture"))]}], stream=True)
    assert raised.value.code == "media_type_not_allowed" and raised.value.param == "messages[0].content[0]"


def test_images(client):
    made = client.images.generate(model="nano", prompt="a red bell", n=2, size="128x128", extra_body={"seed": 3})
    pictures = [Image.open(io.BytesIO(base64.b64decode(each.b64_json))) for each in made.data]
    assert [each.format for each in pictures] == ["PNG"] * 2 and {each.size for each in pictures} == {(128, 128)}
    assert made.data[0].b64_json != made.data[1].b64_json and made.anygen["seed"] == 3
    for size in ("1024x1024", "513x513"):
        with pytest.raises(openai.BadRequestError) as raised:
            client.images.generate(model="nano", prompt="a red bell", size=size)
        assert raised.value.code == "invalid_parameter" and raised.value.param == "size"
        assert raised.value.body["expected"].startswith("128x128")


def test_speech_is_refused_with_what_there_is(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.audio.speech.create(model="nano", voice="alloy", input="hello")
    assert raised.value.code == "modality_not_supported"
    told = raised.value.body
    assert (told["found"], told["available"]) == ("speech", "text, image, video, audio")
    assert told["instead"] == "/v1/audio/generate"


def test_sounds(server):
    reply = server.http.post("/v1/audio/generate", json={"input": "the sound of a bell", "response_format": "flac", "seed": 5})
    assert reply.headers["content-type"] == "audio/flac" and reply.headers["x-anygen-seed"] == "5"
    assert load_audio(reply.content).sampling_rate == 16_000
    prompted = server.http.post("/v1/audio/generate", json={"prompt": "the sound of a bell", "seed": 5})
    assert prompted.content[:4] == b"RIFF"


def test_videos_are_jobs(client, server):
    more = {"generation": json.dumps(FEW), "seed": 4}
    job = client.videos.create(model="nano", prompt="a red ball moves left", extra_body=more)
    assert job.id.startswith("video_") and job.status in ("queued", "in_progress") and job.seconds == "2"
    done = client.videos.poll(job.id, poll_interval_ms=50)
    assert (done.status, done.progress, done.size, done.error) == ("completed", 100, "64x64", None)
    assert done.completed_at >= done.created_at and done.expires_at > done.completed_at and done.anygen == {"seed": 4}
    film = client.videos.download_content(job.id).read()
    assert load_video(film).frames.shape == (8, 64, 64, 3)
    assert job.id in [each.id for each in client.videos.list()]
    assert client.videos.delete(job.id).deleted
    with pytest.raises(openai.NotFoundError) as raised:
        client.videos.retrieve(job.id)
    assert raised.value.code == "not_found"


def test_a_video_may_start_from_a_picture(client):
    reference = ("bell.png", encoded(picture(), "PNG"), "image/png")
    job = client.videos.create(prompt="animate it", input_reference=reference, extra_body={"generation": json.dumps(FEW)})
    assert client.videos.poll(job.id, poll_interval_ms=50).status == "completed"
    spoiled = ("bell.png", b"no picture", "image/png")
    job = client.videos.create(prompt="animate it", input_reference=spoiled)
    failed = client.videos.poll(job.id, poll_interval_ms=50)
    assert failed.status == "failed" and failed.error.code == "media_type_not_allowed"
    with pytest.raises(openai.BadRequestError) as raised:
        client.videos.download_content(job.id)
    assert raised.value.code == "media_type_not_allowed"


def test_a_video_that_is_not_ready_has_no_content(client):
    more = {"generation": json.dumps({"video": {"num_inference_steps": 100}})}
    job = client.videos.create(prompt="a red ball", extra_body=more)
    with pytest.raises(openai.BadRequestError) as raised:
        client.videos.download_content(job.id)
    assert raised.value.code == "invalid_request" and raised.value.body["expected"] == "completed"
    client.videos.delete(job.id)
