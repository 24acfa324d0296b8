"""`/v1/audio/speech` of a model with a voice: OpenAI's client gets its own words read aloud."""

import sys
from pathlib import Path

import numpy as np
import openai
import pytest

from anygen import AnyGenPipeline
from anygen.media.load import load_media
from serving import Running

sys.path.insert(0, str(Path(__file__).parents[1] / "generators"))
from tiny_audio import vits  # noqa: E402  (beside this folder)


@pytest.fixture(scope="module", params=[None, 1], ids=["loaded", "lazy"])
def speaking(request, toy_model_maker, tmp_path_factory):
    """A server of the toy LLM with a VITS behind a text bridge, in memory at once or loaded when it is used."""
    folder = tmp_path_factory.mktemp("voice")
    backbone = toy_model_maker().backbone
    backbone.llm.config.max_position_embeddings = 4096
    for part in (backbone.llm, backbone.tokenizer):
        part.save_pretrained(folder / "llm")
    vits(folder).save_pretrained(folder / "voice")
    pipe = AnyGenPipeline.compose(llm=folder / "llm", audio=folder / "voice", max_loaded=request.param)
    with Running(pipe) as running:
        yield running, pipe


def speak(server, words, **given):
    settings = {"model": "nano", "voice": "default", "input": words} | given
    return server.openai().audio.speech.create(**settings)


def test_the_input_is_read_aloud_as_it_is(speaking):
    server, pipe = speaking
    reply = speak(server, "a small blue cat", extra_body={"seed": 3})
    assert reply.response.headers["content-type"] == "audio/wav" and reply.response.headers["x-anygen-seed"] == "3"
    (own,) = pipe("-", modalities=["audio"], captions=["a small blue cat"], seed=3).audios
    heard = load_media("audio", reply.content)
    assert heard.sampling_rate == own.sampling_rate and np.allclose(heard.waveform, own.waveform, atol=1e-3)


def test_speed(speaking):
    server, _ = speaking
    slow, fast = (
        load_media("audio", speak(server, "a small blue cat", speed=speed, response_format="flac", extra_body={"seed": 3}).content)
        for speed in (0.5, 2)
    )
    assert len(slow.waveform) > 2 * len(fast.waveform)


@pytest.mark.parametrize(
    ("name", "value"), [("voice", "alloy"), ("speed", 9), ("response_format", "mp3"), ("instructions", "whisper"), ("input", 3)]
)
def test_what_it_cannot_do_is_refused(speaking, name, value):
    with pytest.raises(openai.BadRequestError) as raised:
        speak(speaking[0], "a cat", **{name: value})
    assert raised.value.param == name and raised.value.code == ("invalid_request" if name == "input" else "invalid_parameter")


@pytest.mark.parametrize(
    ("generation", "param"),
    [({"audio": 5}, "generation.audio"), (5, "generation"), ({"audio": {"speaking_rate": 2}}, "speed"), ({"audio": {"x": 1}}, None)],
)
def test_a_generation_that_speed_cannot_join_is_refused(speaking, generation, param):
    with pytest.raises(openai.BadRequestError) as raised:
        speak(speaking[0], "a cat", speed=1.5, extra_body={"generation": generation})
    assert raised.value.code in ("invalid_request", "invalid_parameter") and param in (None, raised.value.param)
