"""Every accepted way to write a conversation, and for every other one an error that names the place."""

import pytest

from anygen.errors import AnyGenError
from anygen.messages import is_batch, read_conversation, read_conversations

IMAGE = {"type": "image", "image": "bell.png"}


def outline(conversation) -> list:
    return [(turn.role, [(part.type, part.text or part.media) for part in turn.parts]) for turn in conversation]


def test_a_string_is_one_turn_of_the_user():
    assert outline(read_conversation("draw a bell")) == [("user", [("text", "draw a bell")])]


def test_content_may_be_a_string_or_parts():
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [IMAGE, {"type": "text", "text": "what is it?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "a bell"}, {"type": "audio", "caption": "a bell"}]},
    ]
    assert outline(read_conversation(messages)) == [
        ("system", [("text", "be brief")]),
        ("user", [("image", "bell.png"), ("text", "what is it?")]),
        ("assistant", [("text", "a bell"), ("audio", None)]),
    ]


def test_a_batch_keeps_order_and_number():
    batch = ["one", [{"role": "user", "content": "two"}]]
    assert is_batch(batch) and not is_batch("one") and not is_batch(batch[1])
    assert [outline(c)[0][1][0][1] for c in read_conversations(batch)] == ["one", "two"]
    assert len(read_conversations(batch[1])) == 1


def test_reading_twice_changes_nothing():
    once = read_conversation([{"role": "user", "content": [IMAGE]}])
    assert read_conversation(once) == once


def user(*parts):
    return [{"role": "user", "content": list(parts)}]


@pytest.mark.parametrize(
    ("messages", "where"),
    [
        ([], "messages"),
        (None, "messages"),
        (7, "messages"),
        ([[]], "messages[0]"),
        ([7], "messages[0]"),
        (["fine", [{"role": "user"}]], "messages[1][0]"),
        ([{"role": "robot", "content": "hi"}], "messages[0].role"),
        ([{"role": "user", "content": 7}], "messages[0].content"),
        (user(), "messages[0].content"),
        ([{"role": "user", "content": "hi", "name": "x"}], "messages[0]"),
        (user(IMAGE, "text"), "messages[0].content[1]"),
        (user(IMAGE, {"type": "smell"}), "messages[0].content[1].type"),
        (user({"type": "text", "text": 7}), "messages[0].content[0].text"),
        (user({"type": "text", "text": "a \ud800 b"}), "messages[0].content[0].text"),
        (user({"type": "text", "txet": "hi"}), "messages[0].content[0]"),
        (user(IMAGE, IMAGE, {"type": "image", "imgae": "x"}), "messages[0].content[2]"),
        (user({"type": "image"}), "messages[0].content[0]"),
        (user({"type": "image", "image": "x", "features": [1]}), "messages[0].content[0]"),
        (user({"type": "image", "image": "x", "video": "y"}), "messages[0].content[0]"),
        (user({"type": "image", "image": "x", "caption": 7}), "messages[0].content[0].caption"),
        ([{"role": "system", "content": [IMAGE]}], "messages[0].content[0]"),
    ],
)
def test_a_fault_is_named_with_its_place(messages, where):
    with pytest.raises(AnyGenError) as raised:
        read_conversations(messages)
    assert raised.value.code == "invalid_request"
    assert raised.value.fields["where"] == where
    assert "expected" in raised.value.detail
