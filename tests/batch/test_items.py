"""What follows from an id: names of files, seeds, and what counts as the same request."""

import re

from anygen.batch.items import BatchItem, with_folder

IDS = ["a", "A", "../../x", "/etc/passwd", "x" * 300, "\u202e\0\ud800", "", "caf\u00e9", "cafe\u0301"]


def test_names_are_hashes_of_ids():
    names = [BatchItem(id=id).name for id in IDS]
    assert len(set(names)) == len(IDS) and all(re.fullmatch("[0-9a-f]{32}", name) for name in names)


def test_seeds_come_from_the_run_and_the_id_unless_the_item_has_one():
    seeds = {BatchItem(id=id).seed(run) for id in IDS for run in (0, 1)}
    assert len(seeds) == 2 * len(IDS) and all(0 <= seed < 2**32 for seed in seeds)
    assert BatchItem(id="a").seed(0) == BatchItem(id="a", messages="other").seed(0)
    assert BatchItem(id="a", params={"seed": 5}).parameters(0).seed == 5


def test_the_request_is_what_is_asked():
    asked = BatchItem(id="a", messages="x", params={"seed": 1})
    assert asked.request == BatchItem(id="b", messages="x", params={"seed": 1}).request
    others = [{"messages": "y"}, {"messages": "x", "modalities": ["image"]}, {"messages": b"x"}]
    assert len({asked.request, *(BatchItem(id="a", **other).request for other in others)}) == 4


def test_paths_are_seen_from_the_folder_and_nothing_else_is_touched(tmp_path):
    sources = ["p.png", str(tmp_path / "abs.png"), "data:image/png;base64,AA==", "https://example.org/a.png", 5, None, b"x"]
    parts = [{"type": "image", "image": source} for source in sources]
    (message,) = with_folder([{"role": "user", "content": [*parts, {"type": "text", "text": "p.png"}, 3]}], tmp_path)
    found = [part.get("image") for part in message["content"][:-2]]
    assert found == [str(tmp_path / "p.png"), *sources[1:]] and message["content"][-2]["text"] == "p.png"
    for messages in ("text", None, [5], [{"role": "user"}], {"a": 1}):
        assert with_folder(messages, tmp_path) == messages


def test_whether_media_have_to_be_opened():
    with_media = [{"role": "user", "content": [{"type": "image", "image": "a"}]}]
    words = [{"role": "user", "content": [{"type": "text", "text": "a"}]}, {"role": "assistant", "content": "b"}]
    assert BatchItem(id="a", messages=with_media).has_media
    assert not BatchItem(id="a", messages=words).has_media and not BatchItem(id="a", messages="a").has_media
    assert BatchItem(id="a", messages=5).has_media  # which finds out that it is not well formed
