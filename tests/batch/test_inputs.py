"""Everything that a batch is read from, whole and broken; one bad line costs one item."""

import json

import numpy as np
import pytest
from PIL import Image

from anygen.batch import inputs
from anygen.batch.inputs import BatchInput
from anygen.errors import AnyGenError


def read(path, **settings) -> list:
    return [item for _, item in BatchInput(source=str(path), **settings).items()]


def code(item) -> str | None:
    return item.problem and item.problem.code


def test_lines_of_every_kind(tmp_path):
    image = [{"role": "user", "content": [{"type": "image", "image": "a.png"}, {"type": "text", "text": "?"}]}]
    lines = [
        {"id": "a", "text": "a bell", "modalities": ["image"], "params": {"seed": 3, "image": {"guidance_scale": 2}}},
        {"id": 7, "messages": image},
        {"text": "no id"},
        {"custom_id": "c", "method": "POST", "url": "/v1/chat/completions",
         "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}},
    ]  # fmt: skip
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n\r\n".join(json.dumps(line).encode() for line in lines))
    first, second, third, fourth = read(path, modalities=["text"], params={"image": {"num_inference_steps": 5}})
    assert (first.id, first.messages, first.modalities) == ("a", "a bell", ["image"])
    assert first.params == {"seed": 3, "image": {"guidance_scale": 2, "num_inference_steps": 5}}
    assert second.id == "7" and second.messages[0]["content"][0]["image"] == str(tmp_path / "a.png")
    assert second.modalities == ["text"] and second.conversation()[0].parts[1].text == "?"
    assert third.id == "line-5"
    assert (fourth.id, fourth.params["max_new_tokens"]) == ("c", 9)
    assert not any(code(item) for item in (first, second, third, fourth))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"{", "bad_line"),
        (b'{"id": "a", "text": "cut he', "bad_line"),
        (b"[1]", "bad_line"),
        (b"\xff\xfe\x00", "bad_line"),
        (b'{"a":' * 100_000, "bad_line"),
        (b'{"id": "a"}', "invalid_request"),
        (b'{"id": "a", "text": "x", "messages": []}', "invalid_request"),
        (b'{"id": "a", "txt": "x"}', "invalid_request"),
        (b'{"id": ["a"], "text": "x"}', "invalid_request"),
        (b'{"id": "a", "text": "x", "params": [1]}', "invalid_request"),
        (b'{"custom_id": "a", "body": 5}', "invalid_request"),
    ],
)
def test_a_line_that_is_no_item_costs_itself_only(tmp_path, line, expected):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"id": "1", "text": "x"}\n' + line + b'\n{"id": "2", "text": "y"}')
    first, bad, last = read(path)
    assert [code(first), code(bad), code(last)] == [None, expected, None]
    assert bad.problem.detail.startswith("line 2: ")
    assert json.dumps(bad.problem.public())


def test_a_line_without_end_is_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "MAX_LINE_BYTES", 1000)
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"text": "x"}\n' + b"x" * 3_000_000 + b"\n" + b'{"id": "2", "text": "y"}\n' + b"y" * 5000)
    assert [code(item) for item in read(path)] == [None, "bad_line", None, "bad_line"]
    exact = b'{"text": "' + b"x" * (1000 - 13) + b'"}\n'
    path.write_bytes(exact + b'{"text": "y"}\n')
    assert len(exact) == 1000 and [code(item) for item in read(path)] == [None, None]


def test_what_is_wrong_with_parameters_is_found_when_they_are_read(tmp_path):
    path = tmp_path / "in.jsonl"
    bad = [{"image": {"num_inference_steps": 1e9}}, {"seed": 2**70}, {"output_type": "np"}, {"temperature": "hot"}]
    lines = [json.dumps({"text": "x", "params": params}) for params in bad]
    lines.append('{"text": "x", "params": {"temperature": NaN}}')
    lines.append(json.dumps({"text": "x", "modalities": ["smell"]}))
    path.write_text("\n".join(lines))
    for item in read(path)[1:]:
        with pytest.raises(AnyGenError) as raised:
            item.parameters(0)
        assert raised.value.code == "invalid_parameter"


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_tables_of_text(tmp_path, suffix):
    comma = {"csv": ",", "tsv": "\t"}[suffix]
    rows = [["id", "prompt", "modalities", "image", "note"], ["a", '"two\nlines"', '"image,audio"', "", "x"]]
    rows += [["", "b", "", "sub/p.png", ""], ["c", "  ", "", "", ""], ["d", "caf\u00e9", "", "", ""]]
    path = tmp_path / f"in.{suffix}"
    text = "\r\n".join(comma.join(row) for row in rows).encode()
    path.write_bytes(b"\xef\xbb\xbf" + text + b"\r\ne" + comma.encode() + b"\xff\r\n")
    a, b, c, d, e = read(path, text_column="prompt")
    assert a.messages[0]["content"] == [{"type": "text", "text": "two\nlines"}] and a.modalities == ["image", "audio"]
    assert b.id == "row-4" and b.messages[0]["content"][0] == {"type": "image", "image": str(tmp_path / "sub/p.png")}
    assert c.is_skipped and code(c) == "nothing_to_answer"
    assert d.messages[0]["content"][0]["text"] == "caf\u00e9"
    with pytest.raises(AnyGenError, match="invalid_request.*surrogate"):
        e.conversation()
    with pytest.raises(AnyGenError, match="no column 'text', but id, prompt, .*--text-column"):
        read(path)


def test_a_table_with_a_cell_too_long_goes_on_after_it(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("text\na\n" + "x" * 200_000 + "\nb\n")
    assert [code(item) for item in read(path)] == [None, "bad_line", None]


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")

    table = {"id": ["a", "b", None], "text": ["a bell", None, ""], "image": [None, {"bytes": b"png", "path": "x"}, None]}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "in.parquet")
    a, b, c = read(tmp_path / "in.parquet")
    assert a.id == "a" and b.messages[0]["content"] == [{"type": "image", "image": b"png"}]
    assert c.is_skipped and len({item.request for item in (a, b, c)}) == 3
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(AnyGenError, match="bad.parquet is no Parquet file"):
        read(tmp_path / "bad.parquet")


def test_a_folder_goes_by_content_and_leaves_out_its_own_results(tmp_path):
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "b.png")
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.png").rename(tmp_path / "sub" / "named.txt")
    (tmp_path / "a.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt ")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".hidden.png").write_text("x")
    (tmp_path / "out" / "media").mkdir(parents=True)
    (tmp_path / "out" / "media" / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    items = read(tmp_path, instruction="what is it?", without=tmp_path / "out")
    assert [item.id for item in items] == ["a.wav", "empty.mp4", "notes.txt", "sub/named.txt"]
    kinds = [None if item.is_skipped else item.messages[0]["content"][0]["type"] for item in items]
    assert kinds == ["audio", "video", None, "image"] and code(items[2]) == "media_type_not_allowed"
    assert items[3].prompt == "what is it?"
    with pytest.raises(AnyGenError, match="--instruction"):
        read(tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "in.docx").write_text("x")
    with pytest.raises(AnyGenError, match=r"in.docx.*\.jsonl.*\.parquet"):
        read(tmp_path / "in.docx")
