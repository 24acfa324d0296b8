"""Endpoints: what may be named, what is sent, and how a call ends whatever the other side does."""

import time

import pytest
from peer import Answer

from anygen.errors import AnyGenError
from anygen.remote import Endpoint, is_remote

FAST = {"deadline_seconds": 5.0}


def ending(call) -> AnyGenError:
    with pytest.raises(AnyGenError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("openai:http://127.0.0.1:8000/v1", "model: found none"),
        ("openai:http:///v1#m", "expected http://host:port/v1"),
        ("openai:http://host:99999/v1#m", "expected http://host:port/v1"),
        ("openai:http://user:secret@host/v1#m", "a user, a query or a fragment"),
        ("openai:http://host/v1?key=secret#m", "a user, a query or a fragment"),
        ("name/repository", "expected openai:http"),
    ],
)
def test_addresses_that_are_none(source, message):
    error = ending(lambda: Endpoint.read(source))
    assert error.code == "invalid_parameter" and message in error.detail and "secret" not in str(error)


def test_a_source_is_read_and_written_the_same():
    endpoint = Endpoint.read("anygen:https://host:8000/v1/#my/model:4b")
    assert (endpoint.dialect, endpoint.base_url, endpoint.model) == ("anygen", "https://host:8000/v1", "my/model:4b")
    assert Endpoint.read(endpoint.source) == endpoint and is_remote(endpoint.source)
    assert not is_remote("openai/clip-vit-base-patch32") and not is_remote(None)


def test_the_key_comes_from_the_environment_and_goes_nowhere_else(peer, monkeypatch):
    monkeypatch.setenv("PEER_KEY", "secret-key-1")
    endpoint = Endpoint(base_url=peer.url, model="m", api_key_env="PEER_KEY", **FAST)
    peer.answers = [Answer(body={"ok": 1}), Answer(status=401, body={"error": "wrong key: secret-key-1"})]
    assert endpoint.post("x", {}).json() == {"ok": 1}
    assert peer.asked[0].headers["Authorization"] == "Bearer secret-key-1"
    error = ending(lambda: endpoint.post("x", {}))
    assert error.code == "remote_refused" and error.fields == {"status": 401}
    assert "wrong key: ***" in error.detail and "secret" not in str(error) + repr(endpoint)
    monkeypatch.delenv("PEER_KEY")
    assert "PEER_KEY is not set" in ending(lambda: endpoint.post("x", {})).detail
    assert Endpoint(base_url=peer.url, model="m").post and len(peer.asked) == 2


def test_a_key_is_not_sent_in_the_open():
    error = ending(lambda: Endpoint(base_url="http://example.org/v1", model="m", api_key_env="K"))
    assert "unencrypted" in error.detail
    Endpoint(base_url="https://example.org/v1", model="m", api_key_env="K")
    Endpoint(base_url="http://example.org/v1", model="m", api_key_env="K", key_over_http="allowed")


def test_a_proxy_of_the_environment_takes_no_part(peer, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    peer.answers = [Answer(body={})]
    assert Endpoint(base_url=peer.url, model="m", **FAST).post("x", {}).json() == {}


def test_a_busy_peer_is_asked_again_and_a_refusal_is_not(peer):
    endpoint = Endpoint(base_url=peer.url, model="m", **FAST)
    peer.answers = [
        Answer(status=503, headers={"retry-after": "0"}),
        Answer(status=429, headers={"retry-after": "0"}),
        Answer(body={"n": 3}),
    ]
    assert endpoint.post("x", {}).json() == {"n": 3} and len(peer.asked) == 3
    peer.asked.clear()
    peer.answers = [Answer(status=503, headers={"retry-after": "0"}, body=b"busy")]
    error = ending(lambda: endpoint.post("x", {}))
    assert (error.code, len(peer.asked)) == ("remote_unavailable", 3) and "busy" in error.detail
    peer.asked.clear()
    peer.answers = [Answer(status=400, body={"error": "no such model"})]
    error = ending(lambda: endpoint.post("x", {}))
    assert (error.code, len(peer.asked)) == ("remote_refused", 1) and "no such model" in error.detail


def test_nobody_there():
    endpoint = Endpoint(base_url="http://127.0.0.1:9/v1", model="m", max_tries=2, **FAST)
    assert ending(lambda: endpoint.post("x", {})).code == "remote_unavailable"


def test_redirects_are_not_followed(peer):
    peer.answers = [Answer(status=307, headers={"location": "http://127.0.0.1:9/elsewhere"})]
    assert ending(lambda: Endpoint(base_url=peer.url, model="m", **FAST).post("x", {})).fields == {"status": 307}


def test_one_deadline_for_everything(peer):
    endpoint = Endpoint(base_url=peer.url, model="m", deadline_seconds=0.6)
    for answer in (
        Answer(pieces=[b"x"], pause=5),
        Answer(pieces=[b"x"] * 50, pause=0.1),
        Answer(status=503, headers={"retry-after": "60"}),
    ):
        peer.answers = [answer]
        started = time.monotonic()
        error = ending(lambda: endpoint.post("x", {}))
        assert error.code == "deadline_exceeded" and time.monotonic() - started < 3


def test_replies_are_bounded(peer):
    endpoint = Endpoint(base_url=peer.url, model="m", max_reply_bytes=100, **FAST)
    for answer in (Answer(body=b"x" * 101), Answer(pieces=[b"x" * 60] * 3)):
        peer.answers = [answer]
        assert ending(lambda: endpoint.post("x", {})).code == "remote_bad_reply"


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"\xff", b""])
def test_what_is_no_json_object(peer, body):
    peer.answers = [Answer(body=body)]
    assert (
        ending(lambda: Endpoint(base_url=peer.url, model="m", **FAST).post("x", {}).json()).code == "remote_bad_reply"
    )


def test_whoever_asks_can_give_up(peer):
    def check():
        if peer.asked:
            raise AnyGenError("cancelled")

    peer.answers = [Answer(status=503, headers={"retry-after": "4"})]
    endpoint, started = Endpoint(base_url=peer.url, model="m", deadline_seconds=30), time.monotonic()
    assert ending(lambda: endpoint.post("x", {}, check=check)).code == "cancelled" and time.monotonic() - started < 2


def test_a_saved_model_talks_to_this_machine_or_to_whom_the_user_named(tmp_path, monkeypatch):
    from anygen.remote import RemoteGenerator, RemoteLLM

    here, there = "http://127.0.0.1:8000/v1", "https://example.org/v1"
    for part in (RemoteLLM, RemoteGenerator):
        more = {"modality": "image"} if part is RemoteGenerator else {}
        part(here, model="m", **more).save_pretrained(tmp_path / "here")
        part(there, model="m", api_key_env="SOME_SECRET", **more).save_pretrained(tmp_path / "there")
        assert part.from_pretrained(tmp_path / "here").remote.endpoint.base_url == here
        monkeypatch.delenv("ANYGEN_REMOTE_URLS", raising=False)
        error = ending(lambda part=part: part.from_pretrained(tmp_path / "there"))
        assert error.code == "model_load_error" and f"set ANYGEN_REMOTE_URLS={there}" in error.detail
        monkeypatch.setenv("ANYGEN_REMOTE_URLS", f"https://other.org/v1, {there}/")
        assert part.from_pretrained(tmp_path / "there").remote.endpoint.base_url == there
