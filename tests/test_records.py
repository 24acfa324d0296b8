"""Records and media on disk: ids, order, atomicity, and what a crash or a full disk leaves."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from anygen.errors import AnyGenError
from anygen.media.types import Audio, Video
from anygen.outputs import AnyGenOutput, OutputPart
from anygen.records import RESULTS, Record, append_record, failure, read_records, request_id, save_output

REQUEST = {"content": [{"type": "text", "text": "../../etc/passwd \u202e"}], "seed": 0}


def reply() -> AnyGenOutput:
    sound = np.sin(np.arange(1600) / 8).astype(np.float32)
    parts = (
        OutputPart(type="text", text="Here is a bell."),
        OutputPart(type="image", media=Image.new("RGB", (8, 8), "red")),
        OutputPart(type="video", media=Video(frames=np.zeros((2, 16, 16, 3), np.uint8), fps=4.0, audio=None)),
        OutputPart(type="text", text=" And its sound."),
        OutputPart(type="audio", media=Audio(waveform=sound, sampling_rate=16_000)),
    )
    return AnyGenOutput(parts=parts, seed=0)


def record(id: str) -> Record:
    return Record(id=id, status="ok", model="nano", seed=0)


def test_media_are_named_by_id_and_position_and_keep_the_order(tmp_path):
    parts = save_output(reply(), id="abc", folder=tmp_path / "new" / "folder")
    assert parts == [
        {"type": "text", "text": "Here is a bell."},
        {"type": "image", "path": "abc_1.png"},
        {"type": "video", "path": "abc_2.mp4"},
        {"type": "text", "text": " And its sound."},
        {"type": "audio", "path": "abc_4.wav"},
    ]
    names = sorted(path.name for path in (tmp_path / "new" / "folder").iterdir())
    assert names == ["abc_1.png", "abc_2.mp4", "abc_4.wav"]
    assert Image.open(tmp_path / "new" / "folder" / "abc_1.png").getpixel((4, 4)) == (255, 0, 0)


def test_an_id_says_nothing_of_the_words_and_is_given_once(tmp_path):
    first = request_id(REQUEST, folder=tmp_path)
    assert re.fullmatch("[0-9a-f]{16}", first)
    assert request_id(REQUEST | {"seed": 1}, folder=tmp_path) != first
    for expected in (first, f"{first}-2", f"{first}-3"):
        assert request_id(REQUEST, folder=tmp_path) == expected
        append_record(record(expected), folder=tmp_path)


def test_a_record_has_the_documented_fields(tmp_path):
    append_record(failure(AnyGenError("media_empty", "/secret/path"), id="x", model="nano", seed=3), folder=tmp_path)
    (found,) = read_records(tmp_path)
    error = {"code": "media_empty", "message": "The medium holds no data."}
    assert found == {
        "id": "x", "status": "failed", "model": "nano", "seed": 3, "text": "", "parts": [], "timings": {},
        "version": found["version"], "error": error,
    }  # fmt: skip
    assert re.match(r"\d+\.\d+", found["version"])


def test_a_torn_last_line_is_dropped_and_whole_ones_are_kept(tmp_path):
    append_record(record("a"), folder=tmp_path)
    with open(tmp_path / RESULTS, "a") as file:
        file.write('{"id": "b", "sta')
    assert [r["id"] for r in read_records(tmp_path)] == ["a"]
    append_record(record("c"), folder=tmp_path)
    lines = (tmp_path / RESULTS).read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a", "c"]


def test_a_whole_line_that_is_no_record_is_named(tmp_path):
    (tmp_path / RESULTS).write_text('{"id": "a"}\nnonsense\n')
    with pytest.raises(AnyGenError, match="line 2") as raised:
        read_records(tmp_path)
    assert raised.value.code == "bad_line"


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for write in (lambda folder: append_record(record("a"), folder=folder), lambda f: save_output(reply(), id="a", folder=f)):
        with pytest.raises(AnyGenError) as raised:
            write(tmp_path / "file")
        assert raised.value.code == "storage_error"
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_medium_that_cannot_be_written_leaves_no_file(tmp_path):
    broken = OutputPart(type="audio", media=Audio(waveform=np.full(100, 0.5, np.float32), sampling_rate=16_000))
    broken.media.waveform[3] = np.nan
    with pytest.raises(AnyGenError) as raised:
        save_output(AnyGenOutput(parts=(broken,), seed=0), id="a", folder=tmp_path)
    assert raised.value.code == "generation_not_finite"
    assert list(tmp_path.iterdir()) == []
