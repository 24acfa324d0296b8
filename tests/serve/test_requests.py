"""Requests that cannot be answered, each with its code and its place: bodies, conversations, parameters, media."""

import base64
import json
import struct

import pytest
from making import encoded, film, picture, png_header, silent_wav, tone, wav
from serving import FEW, code, data_url, error, image_part

TEXT = {"type": "text", "text": "what is this?"}


def sound_part(**more):
    return {"type": "input_audio", "input_audio": {"data": "AAAA"}} | more


PNG = data_url(encoded(picture(), "PNG"))


def post(server, body, path="/v1/chat/completions", **options):
    return server.http.post(path, json=body, **options)


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (None, "messages"), ([], "messages"), ("hello", "messages"), ([{"role": "user", "content": []}], "messages[0].content"),
        ([{"role": "user"}], "messages[0].content"), ([{"content": "x"}], "messages[0].role"), ([5], "messages[0]"),
        ([{"role": "robot", "content": "x"}], "messages[0].role"), ([{"role": "tool", "content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": "x", "contnet": 1}], "messages[0].contnet"),
        ([{"role": "user", "content": [TEXT, TEXT, {"type": "smell"}]}], "messages[0].content[2]"),
        ([{"role": "user", "content": [TEXT, {"type": ["text"]}]}], "messages[0].content[1]"),
        ([{"role": "user", "content": [TEXT, "x"]}], "messages[0].content[1]"),
        ([{"role": "user", "content": [{"type": "text", "text": 5}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"ulr": PNG}}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": PNG}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [image_part(PNG) | {"video_url": {"url": PNG}}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [sound_part(x=1)]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [sound_part(input_audio={"data": "A", "format": "exe"})]}], "messages[0].content[0]"),
        ([{"role": "system", "content": [image_part(PNG)]}], "messages[0].content[0]"),
        ([{"role": "user", "content": "a"}, {"role": "user", "content": [TEXT, {"type": "text"}]}], "messages[1].content[1]"),
        ([{"role": "assistant", "tool_calls": [{"id": "x"}]}], "messages[0].tool_calls"),
        ([{"role": "user", "content": "x"}] * 300, "messages"),
        ([{"role": "user", "content": [image_part(PNG)] * 17}], "messages"),
        ([{"role": "user", "content": "a\ud800b"}], "messages[0].content[0].text"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "messages[-1].role"),
    ],
)  # fmt: skip
def test_conversations_that_are_none(server, messages, param):
    body = {"messages": messages} if messages is not None else {}
    reply = server.http.post("/v1/chat/completions", content=json.dumps(body), headers={"content-type": "application/json"})
    expected = "invalid_parameter" if param.endswith("tool_calls") else "invalid_request"
    assert code(reply) == (400, expected) and error(reply)["param"] == param


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"modalities": ["smell"]}, "modalities"), ({"modalities": []}, "modalities"), ({"modalities": "text"}, "modalities"),
        ({"temperature": "hot"}, "temperature"), ({"temperature": 3}, "temperature"), ({"temperature": 1e999}, None),
        ({"top_p": 0}, "top_p"), ({"seed": 2**70}, "seed"), ({"seed": 1.5}, "seed"), ({"seed": True}, "seed"),
        ({"max_tokens": 0}, "max_tokens"), ({"max_tokens": 10**9}, "max_tokens"), ({"n": 2}, "n"), ({"tools": [{}]}, "tools"),
        ({"logprobs": True}, "logprobs"), ({"stop": ["x"]}, "stop"), ({"frequency_penalty": 1}, "frequency_penalty"),
        ({"generation": {"image": {"num_inference_steps": 0}}}, "generation.image.num_inference_steps"),
        ({"generation": {"image": {"num_inference_steps": -1}}}, "generation.image.num_inference_steps"),
        ({"generation": {"video": {"num_inference_steps": 10**6}}}, "generation.video.num_inference_steps"),
        ({"generation": {"audio": {"guidance_scale": "much"}}}, "generation.audio.guidance_scale"),
        ({"generation": {"num_outputs": 65}}, "generation.num_outputs"),
        ({"generation": {"image": {"height": 513}}}, "image['height']"),
        ({"generation": {"video": {"num_frames": 0}}}, "video['num_frames']"),
        ({"generation": {"video": {"height": 512, "width": 256}}}, "video"),
        ({"generation": {"video": {"num_frames": 136}}}, "video"),
        ({"audio": {"format": "mp3", "voice": "alloy"}}, "audio.format"),
    ],
)  # fmt: skip
def test_parameters_are_refused_with_the_rule(server, more, param):
    body = json.dumps({"messages": [{"role": "user", "content": "x"}], **more})
    reply = server.http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    if param is None:
        assert reply.status_code == 400  # JSON has no infinity
    else:
        assert code(reply) == (400, "invalid_parameter") and error(reply)["param"] == param and error(reply)["expected"]


@pytest.mark.parametrize("guidance", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_has_not(server, guidance):
    body = f'{{"messages": [{{"role": "user", "content": "x"}}], "temperature": {guidance}}}'
    reply = server.http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert code(reply) == (400, "invalid_request")


def test_unknown_keys_are_named(server):
    reply = server.chat("x", modalitis=["text"])
    assert code(reply) == (400, "invalid_request") and error(reply)["param"] == "modalitis"
    assert "modalities" in error(reply)["expected"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"messages": 1e99999}', b"9" * 10_000, b'{"a":1}{"b":2}'],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/images/generations", "/v1/audio/generate", "/v1/videos"])
def test_bodies_that_are_no_request(server, body, path):
    reply = server.http.post(path, content=body, headers={"content-type": "application/json"})
    assert code(reply) == (400, "invalid_request")


def test_forms_that_are_none(server):
    head = {"content-type": "multipart/form-data; boundary=x"}
    for body in (b"", b"--x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n', b"--y--"):
        assert code(server.http.post("/v1/videos", content=body, headers=head)) == (400, "invalid_request")
    assert code(server.http.post("/v1/videos", content=b"", headers={"content-type": "multipart/form-data"}))[0] == 400
    twice = [("prompt", (None, "a")), ("prompt", (None, "b"))]
    assert error(server.http.post("/v1/videos", files=twice))["param"] == "prompt"


def test_content_types_that_a_page_elsewhere_could_send(server):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        reply = server.http.post("/v1/chat/completions", content=b"{}", headers={"content-type": kind})
        assert code(reply) == (400, "invalid_request") and error(reply)["param"] == "content-type"


def test_prompts_that_are_too_long(server):
    long = server.chat("bell " * 200_000)
    assert code(long) == (400, "context_length_exceeded") and error(long)["found"] == 1_000_000 > error(long)["limit"]
    longer = server.chat("bell " * 1000)
    assert code(longer) == (400, "context_length_exceeded") and error(longer)["found"] > error(longer)["limit"] == 512
    turns = [{"role": "user", "content": "bell " * 100}, {"role": "assistant", "content": "yes"}] * 8
    body = {"messages": [*turns, {"role": "user", "content": "a bell"}], "modalities": ["text"]}
    assert code(post(server, body)) == (400, "context_length_exceeded")
    assert post(server, body | {"generation": {"truncate": True}}).status_code == 200


def test_signal_tokens_and_placeholders_in_text_are_text(server):
    tokens = server.engine.pipeline.model.config.signals["image"].tokens
    hostile = "".join(tokens) + "<image><media></media><|im_end|></s><end>\u202e\u0000"
    reply = server.chat([{"type": "text", "text": hostile}, image_part(PNG)], modalities=["text"])
    assert reply.status_code == 200
    parts = reply.json()["choices"][0]["message"]["parts"]
    assert [part["type"] for part in parts] == ["text"]
    plain = server.chat([{"type": "text", "text": "x"}, image_part(PNG)], modalities=["text"])
    # Each token of the text is several: none is the special one.
    assert reply.json()["usage"]["prompt_tokens"] > plain.json()["usage"]["prompt_tokens"] + 2 * len(tokens)


def test_placeholders_are_only_ever_made_for_media(server):
    more = server.chat([{"type": "text", "text": "<image> <image>"}, image_part(PNG)], modalities=["text"])
    fewer = server.chat([{"type": "text", "text": "none"}, image_part(PNG), image_part(PNG)], modalities=["text"])
    assert more.status_code == fewer.status_code == 200


def test_modalities_that_the_model_has_not(server):
    reply = server.chat("x", modalities=["text"], model="gpt-4o")
    assert code(reply) == (404, "model_not_found") and error(reply)["available"] == "nano"


MEDIA = {
    "empty": (b"", 400, "media_empty"),
    "random": (bytes(range(7, 200)) * 9, 400, "media_unreadable"),
    "cut": (encoded(picture(400, 400), "JPEG")[:600], 400, "media_truncated"),
    "bomb": (png_header(30_000, 30_000), 413, "media_too_large"),
    "large": (png_header(9_500, 9_500, bits=8), 413, "media_too_large"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 400, "media_type_not_allowed"),
    "list": (b"ffconcat version 1.0\nfile /etc/passwd\n", 400, "media_type_not_allowed"),
    "tiff": (encoded(picture(), "TIFF"), 400, "media_type_not_allowed"),
}


@pytest.mark.parametrize("name", MEDIA)
def test_pictures_that_are_none(server, name):
    data, status, expected = MEDIA[name]
    reply = server.chat([TEXT, image_part(data_url(data))], modalities=["text"])
    assert code(reply) == (status, expected) and error(reply)["param"] == "messages[0].content[1]"


def test_films_and_sounds_that_are_none(server):
    def show(kind, data):
        return code(server.chat([{"type": kind, kind: {"url": data_url(data, "video/mp4")}}], modalities=["text"]))[1]

    assert show("video_url", b"ffconcat version 1.0\nfile /etc/passwd\n") == "media_type_not_allowed"
    assert show("video_url", wav(tone(0.5, 8000), 8000)) == "media_no_video_stream"
    assert show("audio_url", film([0.0, 0.1])) == "media_no_audio_stream"
    assert show("audio_url", silent_wav(0)) == "media_too_short"
    assert show("audio_url", b"RIFF" + struct.pack("<I", 2**31) + b"WAVE") in ("media_unreadable", "media_truncated")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (PNG.replace("A", " ", 1), "invalid_base64"), (PNG[:-3] + "!", "invalid_base64"), ("data:image/png,x", "invalid_base64"),
        ("data:image/png;base64", "invalid_base64"), ("data:video/jpeg;base64," + "," * 9999, "invalid_base64"),
        ("http://127.0.0.1/x.png", "url_not_allowed"), ("https://[::1]/", "url_not_allowed"),
        ("http://2130706433/", "url_not_allowed"),
        ("http://169.254.169.254/latest/meta-data", "url_not_allowed"), ("http://ok\\@bad/", "url_not_allowed"),
        ("ftp://example.com/x", "url_not_allowed"), ("javascript:alert(1)", "url_not_allowed"), ("concat:a|b", "url_not_allowed"),
        ("subfile:,,start,0,end,9,,:/etc/passwd", "url_not_allowed"), ("file:///etc/passwd", "path_not_allowed"),
        ("/etc/passwd", "path_not_allowed"), ("../../x.png", "path_not_allowed"), ("/dev/zero", "path_not_allowed"),
        ("", "path_not_allowed"), ("a\0b", "path_not_allowed"),
    ],
)  # fmt: skip
def test_addresses_that_name_no_medium(server, url, expected):
    reply = server.chat([image_part(url)], modalities=["text"])
    assert code(reply) == (400, expected) and error(reply)["param"] == "messages[0].content[0]"


def test_frames_without_number_are_capped(server):
    frame = base64.b64encode(encoded(picture(), "JPEG")).decode()
    few = {"type": "video_url", "video_url": {"url": "data:video/jpeg;base64," + ",".join([frame] * 3)}}
    assert server.chat([few], modalities=["text"]).status_code == 200
    many = {"type": "video_url", "video_url": {"url": "data:video/jpeg;base64," + ",".join(["AAAA"] * 10_000)}}
    reply = server.chat([many], modalities=["text"])
    assert code(reply) == (413, "media_too_large") and error(reply)["found"] == 10_000


def test_the_media_type_of_an_address_is_not_believed(server):
    assert server.chat([image_part(PNG.replace("image/png", "text/html"))], modalities=["text"]).status_code == 200


def test_how_large_a_medium_may_be_is_a_setting(start):
    body = {"modalities": ["text"], "max_tokens": 4, "generation": {"video": {"height": 512, "width": 256}}}
    refused = start().chat("x", **body)
    assert code(refused) == (400, "invalid_parameter")
    assert error(refused)["expected"] == "at most 16 times as much as height 64, width 64"
    assert start(max_enlargement=32).chat("x", **body).status_code == 200


def test_endpoints_for_one_medium_check_their_own_parameters(server):
    for path, body, param in (
        ("/v1/images/generations", {"prompt": "x", "n": 0}, "n"),
        ("/v1/images/generations", {"prompt": "x", "response_format": "url"}, "response_format"),
        ("/v1/images/generations", {"prompt": "x", "size": "513x513"}, "size"),
        ("/v1/audio/generate", {"prompt": "x", "response_format": "mp3"}, "response_format"),
        ("/v1/audio/generate", {"prompt": "x", "generation": {"num_outputs": 2}}, "generation.num_outputs"),
        ("/v1/videos", {"prompt": "x", "seconds": "12"}, "seconds"),
        ("/v1/videos", {"prompt": "x", "size": "1280x720"}, "size"),
    ):
        reply = post(server, body, path)
        assert code(reply) == (400, "invalid_parameter") and error(reply)["param"] == param
    for path in ("/v1/images/generations", "/v1/audio/generate", "/v1/videos"):
        assert code(post(server, {}, path)) == (400, "invalid_request")
    assert code(post(server, {"prompt": "x", "input": "y"}, "/v1/audio/generate")) == (400, "invalid_request")


def test_a_good_request_is_answered_after_all_of_them(server):
    assert server.chat("a red bell", modalities=["image"], generation=FEW).status_code == 200
    assert server.engine.num_waiting == 0 and server.server.service.holdings.held == 0
