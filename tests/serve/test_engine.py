"""Requests together: batches, fair shares, one thread at a time, errors that stay with their own."""

import collections
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from making import encoded, picture, tone, wav
from serving import FEW, code, data_url, decoded, error, image_part, metric, wait_until

from anygen.media import load_image, save_video
from anygen.messages import read_conversation
from anygen.parameters import GenerationParameters
from anygen.serve.tickets import Lanes, Shares, Ticket

LONG = {"video": {"num_inference_steps": 20}}


def pixels(reply) -> np.ndarray:
    (part,) = [part for part in reply.json()["choices"][0]["message"]["parts"] if part["type"] == "image_url"]
    return np.array(load_image(decoded(part["image_url"]["url"])), int)


def test_requests_that_wait_are_answered_together_as_if_alone(start, nano):
    go = threading.Event()

    def load():
        go.wait()
        return nano

    server = start(load, deadline_seconds=600)
    prompts = ["a red bell", "a blue car on grass", "a small cat", "a green star"]
    bodies = [{"modalities": ["image"], "seed": seed, "generation": FEW} for seed in range(4)]
    go.set()
    wait_until(lambda: server.engine.is_ready)
    alone = [pixels(server.chat(prompt, **body)) for prompt, body in zip(prompts, bodies, strict=True)]
    with ThreadPoolExecutor(9) as pool:
        # A film keeps the thread busy while the others come; one of them cannot be answered.
        film = pool.submit(server.chat, "a ball", modalities=["video", "audio"], generation=LONG)
        wait_until(lambda: server.engine.running)
        together = [pool.submit(server.chat, prompt, **body) for prompt, body in zip(prompts, bodies, strict=True)]
        words = pool.submit(server.chat, "hello", modalities=["text"])
        spoiled = pool.submit(server.chat, "x " * 800, modalities=["image"])
        wait_until(lambda: server.engine.num_waiting == 6)
        for expected, reply in zip(alone, together, strict=True):
            assert np.abs(pixels(reply.result()) - expected).max() <= 1
        assert words.result().status_code == film.result().status_code == 200
        assert code(spoiled.result()) == (400, "context_length_exceeded")
    text = server.http.get("/metrics").text
    assert metric(text, "anygen_batch_size_bucket", le="4.0") < metric(text, "anygen_batch_size_count")


def test_light_requests_go_in_between_the_steps_of_a_film_and_the_film_gets_its_share(server):
    job = server.http.post("/v1/videos", json={"prompt": "a ball", "generation": {"video": {"num_inference_steps": 40}}}).json()
    wait_until(lambda: server.http.get(f"/v1/videos/{job['id']}").json()["progress"] > 0)

    def progress() -> dict:
        return server.http.get(f"/v1/videos/{job['id']}").json()

    seen = []
    for seed in range(4):
        kind = ["image", "text", "audio"][seed % 3]
        assert server.chat("a red bell", modalities=[kind], seed=seed, generation=FEW).status_code == 200
        seen.append(progress())
    assert all(each["status"] == "in_progress" for each in seen), seen
    assert seen[-1]["progress"] > seen[0]["progress"]  # the film went on in between
    wait_until(lambda: progress()["status"] == "completed")
    assert server.http.get(f"/v1/videos/{job['id']}/content").content[4:8] == b"ftyp"


def test_what_goes_in_between_changes_no_pixel_of_the_film(server, monkeypatch):
    """As it is before it is coded: H.264 has been seen to make other bytes of the same frames."""
    made = []

    def save(video, path, **about):
        made.append(video.frames)
        return save_video(video, path, **about)

    for module in [module for name, module in sys.modules.items() if name.startswith("anygen.")]:
        if getattr(module, "save_video", None) is save_video:
            monkeypatch.setattr(module, "save_video", save)

    def film(*, disturb: bool) -> np.ndarray:
        body = {"prompt": "a ball moves left", "seed": 1, "generation": {"video": {"num_inference_steps": 8}}}
        job = server.http.post("/v1/videos", json=body).json()
        for seed in range(2 if disturb else 0):
            server.chat("a cat", modalities=["image", "audio"], seed=seed, generation=FEW)
        wait_until(lambda: server.http.get(f"/v1/videos/{job['id']}").json()["status"] == "completed")
        return made.pop()

    alone, among_others = film(disturb=False), film(disturb=True)
    assert alone.std() > 5 and np.array_equal(alone, among_others) and not made


def test_a_flood_is_answered_or_put_off_and_never_lost(start):
    server = start(max_queue=8, max_connections=400)
    with ThreadPoolExecutor(60) as pool:
        replies = list(pool.map(lambda seed: server.chat("a bell", modalities=["text"], seed=seed), range(200)))
    counts = collections.Counter(reply.status_code for reply in replies)
    assert set(counts) <= {200, 503} and counts[200] >= 8 and sum(counts.values()) == 200
    put_off = [reply for reply in replies if reply.status_code == 503]
    assert all(code(reply) == (503, "overloaded") and reply.headers["retry-after"] for reply in put_off)
    assert server.engine.num_waiting == 0 and not server.engine.running


def test_one_bad_medium_spoils_no_other_request(server):
    good, bad = data_url(encoded(picture(), "PNG")), data_url(encoded(picture(200, 200), "JPEG")[:500])
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda i: server.chat([image_part([good, bad][i % 2])], modalities=["text"]), range(8)))
    assert [reply.status_code for reply in replies] == [200, 400] * 4
    assert {code(reply)[1] for reply in replies[1::2]} == {"media_truncated"}


def test_a_bug_in_a_batch_is_an_internal_error_without_a_traceback(server, monkeypatch):
    def broken(*arguments, **named):
        raise KeyError("/srv/secret")

    monkeypatch.setattr(server.engine.pipeline, "project", broken)
    assert code(server.chat("a bell", modalities=["image"], generation=FEW)) == (500, "internal_error")
    monkeypatch.undo()
    assert server.chat("a bell", modalities=["image"], generation=FEW).status_code == 200


def test_a_modality_that_the_model_lacks_is_refused_with_what_there_is(server, monkeypatch):
    model = server.engine.pipeline.model
    for modules, name in ((model.bridges, "video"), (model.input_projectors, "audio")):  # put back in their order afterwards
        monkeypatch.setattr(modules, "_modules", {key: module for key, module in modules.items() if key != name})
    refused = server.chat("a ball", modalities=["video"])
    assert code(refused) == (400, "modality_not_supported")
    assert (error(refused)["found"], error(refused)["available"]) == ("video", "text, image, audio")
    sound = {"type": "audio_url", "audio_url": {"url": data_url(wav(tone(0.2, 8000), 8000), "audio/wav")}}
    unheard = server.chat([sound], modalities=["text"])
    assert code(unheard) == (400, "modality_not_supported") and error(unheard)["available"] == "text, image, video"


def test_a_lost_device_ends_the_server_and_every_request_with_it(start, monkeypatch):
    import torch

    server = start()

    def lost(*arguments, **named):
        raise torch.AcceleratorError("device-side assert triggered")

    monkeypatch.setattr(server.engine.pipeline, "project", lost)
    assert code(server.chat("a bell", modalities=["image"], generation=FEW)) == (500, "worker_died")
    server.thread.join(timeout=30)
    assert not server.thread.is_alive() and isinstance(server.server.fault, torch.AcceleratorError)


def ticket(*media: str) -> Ticket:
    modalities = list(media) if media != ("any",) else None
    return Ticket(conversation=read_conversation("x"), parameters=GenerationParameters(modalities=modalities))


def test_lanes():
    assert [ticket(*media).lane for media in (["text"], ["image"], ["video", "image"], ["any"], ["audio", "text"])] == [
        "text", "image", "video", "any", "audio",
    ]  # fmt: skip
    lanes, shares = Lanes(), Shares()
    images, sound, film = [ticket("image") for _ in range(10)], ticket("audio"), ticket("video")
    for each in (*images, sound, film):
        lanes.add(each)
    assert len(lanes) == 12 and lanes.lengths()["image"] == 10
    shares.charge(["video"], 5.0)
    assert lanes.take(4, shares=shares) == [images[0], sound, images[1], images[2]]
    shares.charge(["image"] * 3 + ["audio"], 8.0)
    assert shares.seconds["image"] == 6.0 and shares.seconds["audio"] == 2.0
    assert lanes.take(4, shares=shares) == [film]
    assert lanes.take(20, shares=shares, lanes=("text", "audio")) == []
    lanes.discard(images[5])
    assert lanes.take(20, shares=shares) == [*images[3:5], *images[6:]] and not len(lanes)


def test_idle_time_is_no_credit():
    shares = Shares()
    shares.charge(["image"], 100.0)
    shares.enter("audio", busy=["image"])
    assert shares.seconds["audio"] == 100.0
    shares.enter("text", busy=[])
    assert shares.seconds["text"] == 0.0


@pytest.mark.parametrize("result", ["output", "error"])
def test_a_ticket_ends_once(result):
    from anygen.errors import AnyGenError

    one = ticket("image")
    one.finish(AnyGenError("cancelled") if result == "error" else result)
    one.finish(AnyGenError("worker_died"))
    assert one.outcome.done() and (one.outcome.exception() is None) == (result == "output")
    late = ticket("image")
    late.deadline = time.monotonic() - 1
    assert late.is_over()
    late.finish(AnyGenError("cancelled"))
    assert late.outcome.exception().code == "deadline_exceeded"
