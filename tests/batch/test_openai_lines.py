"""Lines of OpenAI's batch format as its documentation has them, and what is refused rather than ignored."""

import pytest

from anygen.batch.items import BatchItem
from anygen.batch.openai_lines import read_openai_line
from anygen.errors import AnyGenError


def test_a_chat_with_media():
    content = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
    ]
    body = {
        "model": "gpt-4o", "temperature": 0.5, "max_completion_tokens": 20, "seed": 1, "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "wav"}, "stream": False, "n": 1, "top_p": None,
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "be brief"}]}, {"role": "user", "content": content},
        ],
    }  # fmt: skip
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    item = BatchItem(id="a", **read_openai_line(line))
    system, user = item.conversation()
    assert system.role == "system" and [part.type for part in user.parts] == ["text", "image", "audio", "video"]
    assert user.parts[2].media.startswith("data:audio/") and user.parts[2].media.endswith(";base64,AAAA")
    parameters = item.parameters(0)
    assert (parameters.temperature, parameters.max_new_tokens, parameters.seed) == (0.5, 20, 1)
    assert parameters.modalities == ["text", "audio"]


def test_a_picture():
    line = {"custom_id": "a", "url": "/v1/images/generations", "body": {"model": "dall-e-3", "prompt": "a bell", "n": 2}}
    item = BatchItem(id="a", **read_openai_line(line))
    assert item.parameters(0).num_outputs == 2 and item.modalities == ["image"] and item.prompt == "a bell"


def shown(image_url) -> dict:
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": image_url}]}]}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"messages": [{"role": "user", "content": "x"}], "n": 3}, "invalid_parameter"),
        ({"messages": [{"role": "user", "content": "x"}], "stream": True}, "invalid_parameter"),
        ({"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function"}]}, "invalid_parameter"),
        ({"messages": [{"role": "user", "content": "x"}], "audio": {"format": "flac"}}, "invalid_parameter"),
        ({"messages": [{"role": "user", "content": "x"}], "max_token": 5}, "invalid_request"),
        ({"messages": "x"}, "invalid_request"),
        ({}, "invalid_request"),
        (shown("x"), "invalid_request"),
        (shown({"url": "http://a/b"}), "url_not_allowed"),
        (shown({"url": "secret.png"}), "url_not_allowed"),
    ],
)
def test_what_is_refused(body, code):
    with pytest.raises(AnyGenError) as raised:
        read_openai_line({"custom_id": "a", "url": "/v1/chat/completions", "body": body})
    assert raised.value.code == code


def test_another_endpoint_is_refused():
    with pytest.raises(AnyGenError, match="/v1/embeddings.*/v1/chat/completions"):
        read_openai_line({"url": "/v1/embeddings", "body": {}})
