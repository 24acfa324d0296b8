"""A remote LLM in the place of a local one: its words and captions, what it is sent, and what becomes of its faults."""

import json

import numpy as np
import pytest
from peer import Answer, says
from PIL import Image

from anygen import AnyGenPipeline, Audio
from anygen.errors import AnyGenError
from anygen.remote import RemoteLLM
from anygen.stream import Finished, MediumAsked, TextDelta

REPLY = "Look: <image>a red bell</image> and <audio>the bell</audio>, done."


@pytest.fixture(scope="module")
def generators(toy_model_maker):
    made = dict(toy_model_maker().generators.items())
    return {modality: made[modality] for modality in ("image", "audio")}


@pytest.fixture
def pipe(peer, generators):
    llm = RemoteLLM(peer.url, model="m", reads=["image", "audio"], deadline_seconds=20, max_tries=1)
    return AnyGenPipeline.compose(llm=llm, **generators)


def shape(out):
    return [(part.type, part.text or part.signal.caption) for part in out.parts]


def test_an_interleaved_reply(pipe, peer):
    peer.answers = [says(REPLY)]
    out = pipe("a bell", seed=0)
    assert shape(out) == [
        ("text", "Look: "),
        ("image", "a red bell"),
        ("text", " and "),
        ("audio", "the bell"),
        ("text", ", done."),
    ]
    assert (out.num_prompt_tokens, out.num_reply_tokens) == (11, 5) and len(out.images) == len(out.audios) == 1
    body = peer.asked[0].body
    assert peer.asked[0].path == "/v1/chat/completions" and (body["model"], body["stream"]) == ("m", True)
    assert (
        "<image>what it shows</image>" in body["messages"][0]["content"] and body["messages"][1]["content"] == "a bell"
    )


def test_a_server_that_does_not_stream(pipe, peer):
    peer.answers = [
        Answer(
            body={"choices": [{"message": {"content": REPLY}}], "usage": {"prompt_tokens": 2, "completion_tokens": 3}}
        )
    ]
    out = pipe("a bell", seed=0)
    assert len(out.parts) == 5 and out.num_reply_tokens == 3


def test_a_stream_never_tells_half_a_tag(pipe, peer):
    peer.answers = [says(REPLY, size=1)]
    events = [event for event in pipe.stream("a bell", seed=0) if isinstance(event, (TextDelta, MediumAsked, Finished))]
    told = ["".join(e.text) if isinstance(e, TextDelta) else e.modality for e in events[:-1]]
    assert "".join(told) == "Look: image and audio, done." and all("<" not in piece for piece in told)


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (
            [REPLY],
            [
                ("text", "Look: "),
                ("image", "a red bell"),
                ("text", " and "),
                ("audio", "the bell"),
                ("text", ", done."),
            ],
        ),
        (["<audio>ding</audio>", "A bell, red."], [("image", "A bell, red."), ("audio", "ding")]),
        (["No.", "<image>one</image>", " two <b> \n"], [("text", "No."), ("image", "one"), ("audio", "two b>")]),
        (
            [REPLY + "<image>more</image>"],
            [("text", "Look:  and , done."), ("image", "a red bell"), ("audio", "the bell")],
        ),
    ],
)
def test_exactly_the_media_that_are_asked_for(pipe, peer, replies, expected):
    peer.answers = [says(reply) for reply in replies]
    assert shape(pipe("go", modalities=["image", "audio"], seed=0)) == expected
    assert "<image>...</image>, <audio>...</audio>" in peer.asked[0].body["messages"][0]["content"]
    assert len(peer.asked) == len(replies)


def test_no_caption_at_all_is_an_error(pipe, peer):
    peer.answers = [says("  ")]
    with pytest.raises(AnyGenError, match="remote_bad_reply.*no caption for image"):
        pipe("go", modalities=["image"], seed=0)


def test_words_alone(pipe, peer):
    peer.answers = [says(REPLY)]
    assert shape(pipe("go", modalities=["text"], seed=0)) == [("text", REPLY)]
    assert [message["role"] for message in peer.asked[0].body["messages"]] == ["user"]


def test_media_beyond_the_bound_are_left_out(pipe, peer):
    peer.answers = [says("<image>a</image>" * 6)]
    assert len(pipe("go", seed=0, image={"num_inference_steps": 1}).images) == 4


def test_the_users_media_and_tags(pipe, peer):
    peer.answers = [says("ok")]
    sound = Audio(waveform=np.zeros(1600, dtype=np.float32), sampling_rate=16000)
    content = [
        {"type": "image", "image": Image.new("RGB", (4, 4))},
        {"type": "audio", "audio": sound},
        {"type": "text", "text": "<image>x</image>"},
    ]
    pipe([{"role": "user", "content": content}], seed=0)
    image, audio, words = peer.asked[0].body["messages"][-1]["content"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert audio["input_audio"]["format"] == "wav" and audio["input_audio"]["data"].startswith("UklGR")
    assert words["text"] == "\u2039image\u203ax\u2039/image\u203a"
    film = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    with pytest.raises(AnyGenError, match="modality_not_supported.*declared to read text, image, audio"):
        pipe([{"role": "user", "content": [{"type": "video", "video": film}]}])


def test_history_goes_back_as_captions(pipe, peer):
    peer.answers = [says(REPLY), says("ok")]
    out = pipe("go", seed=0)
    pipe([{"role": "user", "content": "go"}, out.message, {"role": "user", "content": "again"}], seed=0)
    assert peer.asked[1].body["messages"][2] == {"role": "assistant", "content": REPLY}


def test_one_item_fails_alone_and_is_asked_once(pipe, peer):
    from anygen.messages import read_conversations
    from anygen.parameters import GenerationParameters
    from anygen.scheduling import ItemRequest, answer_requests

    peer.answers = lambda asked: (
        Answer(status=400, body={"error": "bad"}) if asked.body["messages"][-1]["content"] == "b" else says("yes")
    )
    parameters = GenerationParameters.read(seed=0)
    requests = [ItemRequest(conversation=c, parameters=parameters) for c in read_conversations(["a", "b", "c"])]
    outcomes = answer_requests(pipe, requests)
    assert [getattr(outcome, "text", None) or outcome.code for outcome in outcomes] == ["yes", "remote_refused", "yes"]
    assert len(peer.asked) == 3


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=b""), Answer(body=b"<html>"), Answer(body={"choices": 5}), Answer(body={"choices": [{"message": {"content": [1]}}]}),
        Answer(pieces=[b"data: {nonsense\n\n"]), Answer(pieces=[b'data: {"error": {"message": "oh"}}\n\n']),
        Answer(pieces=[b'data: {"choices": [5]}\n\n']),
    ],
)  # fmt: skip
def test_replies_that_are_none(pipe, peer, answer):
    peer.answers = [answer]
    with pytest.raises(AnyGenError, match="remote_bad_reply"):
        pipe("go", seed=0)


def test_saved_and_loaded_without_its_key(peer, generators, tmp_path, monkeypatch):
    monkeypatch.setenv("PEER_KEY", "secret-key-2")
    llm = RemoteLLM(
        f"openai:{peer.url}#m", api_key_env="PEER_KEY", reads=["image"], extra_body={"top_k": 5}, max_tries=1
    )
    AnyGenPipeline.compose(llm=llm, image=generators["image"]).save_pretrained(tmp_path)
    assert "secret" not in "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    again = AnyGenPipeline.from_pretrained(tmp_path)
    assert again.model.backbone.remote == llm.remote
    peer.answers = [says(REPLY)]
    out = again("go", seed=0)
    assert peer.asked[0].body["top_k"] == 5 and peer.asked[0].headers["Authorization"] == "Bearer secret-key-2"
    assert "secret" not in json.dumps(out.provenance)
    path = tmp_path / "llm/remote.json"
    path.write_text(path.read_text().replace('"reads"', '"raeds"'))
    with pytest.raises(AnyGenError, match="model_load_error.*raeds"):
        AnyGenPipeline.from_pretrained(tmp_path)


@pytest.mark.parametrize("bridge", ["signal", "query", "blend"])
def test_no_learned_bridge_reaches_a_remote_llm(peer, generators, bridge):
    with pytest.raises(AnyGenError, match=f"found the {bridge} bridge of image; a remote LLM takes and gives words"):
        AnyGenPipeline.compose(llm=f"openai:{peer.url}#m", image=generators["image"], bridge=bridge)


def test_nano_behind_its_own_server_is_an_llm_like_any_other(nano_url, generators):
    llm = RemoteLLM(f"anygen:{nano_url}#nano", extra_body={"modalities": ["text"], "generation": {"truncate": True}})
    out = AnyGenPipeline.compose(llm=llm, image=generators["image"])(
        "a large red bell on grass", modalities=["image"], seed=0
    )
    assert out.parts[-1].type == "image" and out.parts[-1].signal.caption and out.num_prompt_tokens > 0
