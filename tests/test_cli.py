"""The command line, run whole over a toy model: exit statuses, what is on disk, what is on stdout and what is not."""

import io
import json
import os
import re
import signal
import subprocess
import sys

import pytest
from PIL import Image

from anygen.cli import main
from anygen.media import load_audio, load_video
from anygen.records import read_records


@pytest.fixture(scope="session")
def model(toy_model, tmp_path_factory) -> str:
    """The folder of a model of the real classes with random weights."""
    folder = tmp_path_factory.mktemp("toy")
    toy_model.save_pretrained(folder)
    return str(folder)


def media_of(folder) -> list:
    """The media files of every record, in order."""
    return [folder / part["path"] for record in read_records(folder) for part in record["parts"] if "path" in part]


def test_generate_writes_playable_media_and_one_record(model, tmp_path, capsys):
    arguments = ["generate", "a large red bell", "--to", "image,video,audio", "--out", str(tmp_path), "--model", model]
    assert main(arguments) == 0
    (record,) = read_records(tmp_path)
    assert (record["status"], record["error"], record["seed"], record["model"]) == ("ok", None, 0, model)
    assert {"load", "llm", "image", "video", "audio", "total"} <= record["timings"].keys()
    paths = {part["type"]: tmp_path / part["path"] for part in record["parts"] if part["type"] != "text"}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["results.jsonl", *(p.name for p in paths.values())])
    assert Image.open(paths["image"]).format == "PNG"
    assert len(load_video(paths["video"]).frames) == 2
    assert load_audio(paths["audio"]).sampling_rate == 16_000
    printed, noise = capsys.readouterr()
    assert all(str(path) in printed for path in paths.values()) and noise == ""


def test_json_is_the_record_and_the_same_seed_gives_the_same_bytes(model, tmp_path, capsys):
    arguments = ["generate", "a bell", "--to", "image", "--out", str(tmp_path), "--model", model, "--json"]
    assert main([*arguments, "--seed", "5"]) == main([*arguments, "--seed", "5"]) == main([*arguments, "--seed", "6"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == read_records(tmp_path)
    assert len({record["id"] for record in printed}) == 3 and [record["seed"] for record in printed] == [5, 5, 6]
    first, again, other = (path.read_bytes() for path in media_of(tmp_path))
    assert first == again != other


def test_steps_and_guidance_reach_the_generators(model, tmp_path):
    arguments = ["generate", "a bell", "--to", "image", "--out", str(tmp_path), "--model", model]
    assert main(arguments) == main([*arguments, "--steps", "4"]) == main([*arguments, "--guidance", "9"]) == 0
    assert len({path.read_bytes() for path in media_of(tmp_path)}) == 3


def test_media_are_read_and_an_unreadable_one_fails_its_item_only(model, tmp_path, capsys):
    Image.new("RGB", (40, 30), "blue").save(tmp_path / "good.jpg")
    (tmp_path / "bad.png").write_bytes(b"this is no picture")
    out = tmp_path / "out"
    rest = ["--to", "text", "--out", str(out), "--model", model]
    assert main(["generate", "what is this?", "--image", str(tmp_path / "good.jpg"), *rest]) == 0
    assert main(["generate", "what is this?", "--image", str(tmp_path / "bad.png"), *rest]) == 3
    assert main(["generate", "--image", str(tmp_path / "missing.png"), *rest]) == 3
    good, bad, missing = read_records(out)
    assert good["status"] == "ok" and bad["status"] == missing["status"] == "failed"
    assert bad["error"]["code"].startswith("media_") and str(tmp_path) not in json.dumps([bad["error"], missing["error"]])
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["generate", "a bell", "--out", "o", "--to", "image,smell"], "smell.*text, image, video, audio"),
        (["generate", "--out", "o"], "found nothing to answer"),
        (["generate", "a bell"], "--out"),
        (["generate", "a bell", "--out", "o", "--seed", "many"], "--seed"),
        (["train", "mega"], "mega.*nano"),
        (["eval", "nano", "--split", "train"], "train.*test or held_out"),
        (["paint"], "paint"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_is_right(arguments, expected, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    assert main(arguments) == 2
    printed, message = capsys.readouterr()
    assert re.search(expected, message) and printed == "" and list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_there_is_status_1_without_a_traceback(tmp_path, capsys):
    assert main(["generate", "a bell", "--out", str(tmp_path / "out"), "--model", str(tmp_path / "none")]) == 1
    message = capsys.readouterr().err
    assert "found no folder" in message and "Traceback" not in message and not (tmp_path / "out").exists()


def test_a_modality_that_the_model_lacks_and_a_bad_parameter_fail_the_item(build_model, model, tmp_path):
    arguments = ["generate", "a bell", "--to", "image", "--out", str(tmp_path), "--model", model]
    assert main([*arguments, "--steps", "0"]) == 3
    assert main([*arguments, "--guidance", "nan"]) == 3
    assert [record["error"]["code"] for record in read_records(tmp_path)] == ["invalid_parameter"] * 2


def test_chat_keeps_the_history_attaches_media_and_counts_failures(model, tmp_path, capsys, monkeypatch):
    Image.new("RGB", (16, 16), "green").save(tmp_path / "a picture.png")
    (tmp_path / "bad.png").write_bytes(b"")
    lines = [
        "/to image,audio", "a bell", "", f"/image '{tmp_path / 'a picture.png'}'", "/to text", "what is this?",
        "/image nowhere.png", "/dance", "/to smell", f"/image {tmp_path / 'bad.png'}", "and this?", "still there?", "/quit",
        "never said",
    ]  # fmt: skip
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    assert main(["chat", "--model", model, "--out", str(tmp_path / "chat")]) == 3
    records = read_records(tmp_path / "chat")
    assert [record["status"] for record in records] == ["ok", "ok", "failed", "ok"]
    assert [part["type"] for part in records[0]["parts"] if part["type"] != "text"] == ["image", "audio"]
    assert [record["seed"] for record in records] == [0, 1, 2, 3]
    printed, messages = capsys.readouterr()
    assert all(str(path) in printed for path in media_of(tmp_path / "chat"))
    assert "/dance" in printed and "nowhere.png" in messages and "smell" in messages and "Traceback" not in messages


def test_chat_hears_what_was_said_before(model, tmp_path, monkeypatch):
    def last_reply(*lines: str) -> dict:
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        assert main(["chat", "--model", model, "--out", str(folder)]) == 0
        return read_records(folder)[-1]

    alone, after, forgotten = last_reply("/to text", "a cat"), last_reply("/to text", "a bell", "a cat"), last_reply(
        "/to text", "a bell", "/new", "a cat"
    )
    assert after["text"] != alone["text"] == forgotten["text"]


def test_info_counts_every_parameter_and_names_classes(model, toy_model, capsys):
    assert main(["info", model, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    parts = {part["name"]: part for part in found["parts"]}
    unet = toy_model.generators["video"].pipeline.unet
    assert parts["generators/video/unet"]["num_parameters"] == sum(p.numel() for p in unet.parameters())
    classes = {name: part["class_name"] for name, part in parts.items()}
    assert classes["generators/video/unet"] == "UNet3DConditionModel" and classes["llm"] == "LlamaForCausalLM"
    assert classes["encoder"] == "imagebind" and classes["input_projectors/video"] == "mlp"
    assert parts["output_projectors/audio"]["training"] == "trained" and parts["encoder"]["training"] == "frozen"
    assert found["num_parameters"] == sum(part["num_parameters"] for part in parts.values())
    assert main(["info", model]) == 0
    assert "UNet3DConditionModel" in capsys.readouterr().out


def test_info_of_what_is_no_model_is_status_1(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 20)
    assert main(["info", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "model.safetensors" in message and "Traceback" not in message


def test_help_of_every_command(capsys):
    for command in ("generate", "chat", "train", "eval", "info"):
        assert main([command, "--help"]) == 0
        assert command in capsys.readouterr().out


INTERRUPTED_RUN = """
import os, sys, threading, time
from anygen.cli import main

def interrupt():
    while not any(thread.name == "anygen-stream" for thread in threading.enumerate()):
        time.sleep(0.01)
    os.kill(os.getpid(), int(sys.argv[1]))

threading.Thread(target=interrupt, daemon=True).start()
sys.exit(main(sys.argv[2:]))
"""
"""Sends itself a signal as soon as the model is at work."""


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupt_ends_with_a_record_and_status_130(number, model, tmp_path):
    arguments = ["generate", "a bell", "--to", "video", "--steps", "1000", "--out", str(tmp_path), "--model", model]
    command = [sys.executable, "-c", INTERRUPTED_RUN, str(int(number)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 130, done.stderr
    (record,) = read_records(tmp_path)
    assert record["error"]["code"] == "cancelled"
    assert done.stdout == "" and "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]
