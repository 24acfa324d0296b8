"""Clients that dawdle, lie about lengths, go away or may not ask: what happens at the socket."""

import json
import socket
import threading
import time

import pytest
from making import encoded, picture
from serving import FEW, code, data_url, error, image_part, received, request_body, wait_until
from test_url_guard import http, site

from anygen.errors import AnyGenError
from anygen.serve.settings import ServeSettings

LONG = {"generation": {"video": {"num_inference_steps": 150}}, "modalities": ["video"]}
"""Takes the model a while."""


def status(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1])


def told(reply: bytes) -> str:
    return json.loads(reply.partition(b"\r\n\r\n")[2])["error"]["code"]


def clients(server) -> set[tuple[str, int]]:
    """The addresses of the clients that the server is connected with."""
    return {connection.client for connection in set(server.server.server_state.connections)}


def test_addresses_and_methods_that_are_not_there(server):
    assert code(server.http.get("/v1/nothing")) == (404, "not_found") == code(server.http.get("/v1/models/"))[:1] + ("not_found",)
    refused = server.http.get("/v1/chat/completions")
    assert code(refused) == (405, "method_not_allowed") and refused.headers["allow"] == "POST"
    assert code(server.http.delete("/v1/videos/video_x")) == (404, "not_found")
    assert code(server.http.post("/v1/completions", json={})) == (404, "not_found")


def test_a_body_that_claims_a_gigabyte_is_refused_before_it_comes(server):
    with server.raw("/v1/chat/completions", b"", length=2**30) as client:
        reply = received(client)
    assert status(reply) == 413 and told(reply) == "request_too_large"


def test_an_endless_body_is_cut_off(start):
    server = start(max_body_bytes=100_000)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(25):  # just above the bound: what came after the refusal would meet a closed connection
            client.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        reply = received(client)
    assert status(reply) == 413 and told(reply) == "request_too_large" and server.server.service.holdings.held == 0


def test_slow_heads_bodies_and_idlers_are_not_waited_for(start):
    server = start(header_seconds=0.5, read_seconds=0.5)
    with socket.create_connection(("127.0.0.1", server.port)) as idle:
        assert received(idle) == b""
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: loc")
        assert received(slow) == b""
    with server.raw("/v1/chat/completions", b'{"messages"', length=500) as client:
        reply = received(client)
    assert status(reply) == 408 and told(reply) == "request_timeout"
    with server.raw("/health", b"") as second:  # a second request on one connection has no more time than the first
        wait_until(lambda: b"}}" in second.recv(65536))
        second.sendall(b"GET /health HTT")
        assert received(second) == b""
    assert server.chat("x", modalities=["text"]).status_code == 200


def test_compressed_bodies_and_bytes_that_are_no_http_are_refused(server):
    with server.raw("/v1/chat/completions", b"x", headers="Content-Encoding: gzip\r\nConnection: close\r\n") as client:
        assert told(received(client)) == "invalid_request"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"\x16\x03\x01\x02\x00\x01\r\n\r\n")
        reply = received(client)
    assert status(reply) == 400 and told(reply) == "invalid_request"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nX-Endless: " + b"x" * 70_000)
        assert status(received(client)) == 400


def test_a_reader_that_reads_nothing_is_hung_up_on(start):
    server = start(write_seconds=0.5)
    body = {"generation": {**FEW, "num_outputs": 4}, "modalities": ["audio"] * 3}
    with server.raw("/v1/chat/completions", request_body("a bell", **body)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        address = client.getsockname()
        wait_until(lambda: address in clients(server))
        wait_until(lambda: server.metric("anygen_media_total", modality="audio") >= 12)
        wait_until(lambda: address not in clients(server))
    assert server.chat("x", modalities=["text"]).status_code == 200


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_client_that_goes_away_costs_at_most_another_step(server, is_stream):
    def steps():
        return server.metric("anygen_denoising_steps_total", modality="video")

    before = steps()
    with server.raw("/v1/chat/completions", request_body("a red ball", stream=is_stream, **LONG)):
        wait_until(lambda: steps() > before + 2)
    wait_until(lambda: server.metric("anygen_requests_running") == 0, seconds=10)
    stopped = steps()
    assert stopped - before < 100
    time.sleep(0.5)
    assert steps() == stopped
    assert server.metric("anygen_requests_total", code="cancelled", endpoint="/v1/chat/completions") >= (0 if is_stream else 1)


def test_clients_that_leave_the_line_free_their_places(start):
    server = start(max_queue=2)
    busy = threading.Thread(target=lambda: server.chat("a red ball", **LONG))
    busy.start()
    wait_until(lambda: server.metric("anygen_requests_running") == 1)
    bodies = [request_body("x", modalities=["video"]) for _ in range(2)]
    with server.raw("/v1/chat/completions", bodies[0]), server.raw("/v1/chat/completions", bodies[1]):
        wait_until(lambda: server.engine.num_waiting == 2)
        full = server.chat("x")
        assert code(full) == (503, "overloaded") and 1 <= int(full.headers["retry-after"]) <= 60
        assert full.headers["x-should-retry"] == "true"
    wait_until(lambda: server.engine.num_waiting == 0)
    assert server.chat("x", modalities=["text"]).status_code == 200  # between two steps of the film
    server.server.should_exit = True
    busy.join()


def test_a_deadline_ends_what_is_at_work_and_what_waits(start):
    server = start(deadline_seconds=1.5)
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(server.chat("a ball", **LONG))) for _ in range(2)]
    for thread in threads:
        thread.start()
        time.sleep(0.3)
    for thread in threads:
        thread.join()
    assert [code(reply) for reply in replies] == [(504, "deadline_exceeded")] * 2
    assert replies[0].headers["x-should-retry"] == "false"
    stream = server.chat("a ball", stream=True, **LONG)
    assert stream.status_code == 200 and '"deadline_exceeded"' in stream.text and "[DONE]" not in stream.text
    wait_until(lambda: server.metric("anygen_requests_running") == 0, seconds=10)


def test_a_token_opens_all_but_health(start):
    server = start(token="open sesame", host="127.0.0.1")
    wait_until(lambda: server.engine.is_ready)
    assert server.http.get("/health").status_code == server.http.get("/ready").status_code == 200
    wrong = [{"Authorization": value} for value in ("Bearer wrong", "open sesame", "Bearer \xe9".encode("latin-1"))]
    for headers in ({}, *wrong):
        for path in ("/v1/models", "/metrics", "/v1/nothing"):
            refused = server.http.get(path, headers=headers)
            assert code(refused) == (401, "unauthorized") and refused.headers["www-authenticate"] == "Bearer"
    with server.openai(api_key="open sesame") as client:
        assert client.models.list().data[0].id == "nano"
    headers = {"Authorization": "bearer open sesame", "Host": "a.example"}
    assert server.http.get("/v1/models", headers=headers).status_code == 200


def test_pages_in_a_browser_cannot_ask_a_server_without_a_token(server):
    for headers in (
        {"Host": "evil.example"}, {"Host": "evil.example:80"}, {"Host": "169.254.1.1"}, {"Host": "[::"},
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost:1"},
    ):  # fmt: skip
        assert code(server.http.get("/v1/models", headers=headers)) == (403, "origin_not_allowed")
    own = f"127.0.0.1:{server.port}"
    assert server.http.get("/v1/models", headers={"Host": own, "Origin": f"http://{own}"}).status_code == 200
    assert server.http.options("/v1/chat/completions").headers.get("access-control-allow-origin") is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.com", ""])
def test_other_addresses_than_loopback_need_a_token(host):
    with pytest.raises(AnyGenError, match="token") as raised:
        ServeSettings(host=host)
    assert raised.value.code == "invalid_parameter"
    assert ServeSettings(host=host, token="x").token == "x"


def test_before_the_model_is_there_faults_are_told_and_good_requests_put_off(nano, start):
    go = threading.Event()

    def load():
        go.wait()
        return nano

    server = start(load)
    assert server.http.get("/health").status_code == 200
    waiting = server.http.get("/ready")
    assert waiting.status_code == 503 and waiting.headers["retry-after"] == "1"
    assert code(server.http.post("/v1/chat/completions", json={"messages": []})) == (400, "invalid_request")
    assert code(server.chat("x", modalities=["smell"])) == (400, "invalid_parameter")
    put_off = server.chat("x")
    assert code(put_off) == (503, "not_ready") and put_off.headers["retry-after"]
    go.set()
    wait_until(lambda: server.http.get("/ready").status_code == 200)
    assert server.chat("x", modalities=["text"]).status_code == 200


def test_media_of_the_network_and_of_a_folder(start, tmp_path):
    (tmp_path / "bell.png").write_bytes(encoded(picture(), "PNG"))
    (tmp_path / "out.png").symlink_to("/etc/passwd")
    server = start(allow_urls=True, url_networks=("127.0.0.1/32",), media_root=tmp_path, fetch_seconds=2.0)

    def show(url):
        return server.chat([image_part(url)], modalities=["text"])

    assert show("file://bell.png").status_code == show(f"file://{tmp_path}/bell.png").status_code == 200
    for address in ("file://out.png", "file:///etc/passwd", "file://../bell.png", "file:///dev/zero"):
        assert code(show(address)) == (400, "path_not_allowed")
    with site(http((tmp_path / "bell.png").read_bytes())) as (url, _):
        assert show(url).status_code == 200
    with site(http(status="302 Found", Location="http://10.0.0.1/")) as (url, _):
        assert code(show(url)) == (400, "url_not_allowed")
    with site(http(status="404 Not Found")) as (url, _):
        assert code(show(url)) == (400, "url_unreadable") and error(show(url))["status"] == 404
    with site(http(Content_Length="9000"), endless=b"x") as (url, _):
        assert code(show(url)) == (400, "media_timeout")
    assert server.server.service.holdings.held == 0


def test_bodies_together_are_bounded(start):
    server = start(max_held_bytes=100_000)
    large = image_part(data_url(bytes(90_000)))
    assert code(server.chat([large])) == (503, "overloaded")
    assert server.chat("x", modalities=["text"]).status_code == 200 and server.server.service.holdings.held == 0
