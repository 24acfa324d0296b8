"""The markup of the text bridge: every form of it, well-formed or not, has one outcome."""

import pytest

from anygen.bridges import INSTRUCTIONS
from anygen.bridges.markup import Piece, Reader, escape, instruct, num_shown, parse
from anygen.messages import read_conversation

ALL = ("image", "video", "audio")


def pieces(reply, modalities=ALL):
    return [(piece.type, piece.text) for piece in parse(reply, modalities=modalities)]


FORMS = [
    ("", []),
    ("Just words.", [("text", "Just words.")]),
    ("<image>a bell</image>", [("image", "a bell")]),
    ("Here: <image> a bell\n</image> and <audio>ringing</audio>.",
     [("text", "Here: "), ("image", "a bell"), ("text", " and "), ("audio", "ringing"), ("text", ".")]),
    ("<image>one</image><image>two</image>", [("image", "one"), ("image", "two")]),
    ("cut off <image>a be", [("text", "cut off "), ("image", "a be")]),
    ("cut tag <image>a bell</ima", [("text", "cut tag "), ("image", "a bell"), ("text", "</ima")]),
    ("nested <image>a <video>b</video></image>",
     [("text", "nested "), ("image", "a"), ("video", "b"), ("text", "</image>")]),
    ("wrong end <image>a</video>", [("text", "wrong end "), ("image", "a"), ("text", "</video>")]),
    ("empty <image> </image>!", [("text", "empty <image> </image>!")]),
    ("open only <image>", [("text", "open only <image>")]),
    ("stray </image> tag", [("text", "stray </image> tag")]),
    ("<IMAGE>a</IMAGE> < image>b</image> <image x=1>c</image>", [("text", "<IMAGE>a</IMAGE> < image>b</image> <image x=1>c</image>")]),
    ("<smell>rose</smell>", [("text", "<smell>rose</smell>")]),
    ("a < b and <b>bold</b> <image>c < d</image>",
     [("text", "a < b and <b>bold</b> "), ("image", "c"), ("text", "< d</image>")]),
    ("<<image>a</image>>", [("text", "<"), ("image", "a"), ("text", ">")]),
    ("<image>a</image> \n <audio>b</audio>  ", [("image", "a"), ("audio", "b")]),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "found"), FORMS)
def test_every_form_has_one_outcome(reply, found):
    assert pieces(reply) == found


@pytest.mark.parametrize(("reply", "found"), FORMS)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_reply_that_comes_in_stretches_is_read_as_the_whole_is(reply, found, size):
    reader, told = Reader(modalities=ALL), []
    for start in range(0, len(reply), size):
        told += reader.read(reply[start : start + size])
    told = [(piece.type, piece.text) for piece in [*told, *reader.finish()]]
    said = []
    for kind, text in told:
        if kind == "text" and said and said[-1][0] == "text":
            said[-1] = ("text", said[-1][1] + text)
        else:
            said.append((kind, text))
    assert said == found


def test_words_come_at_once_and_half_a_tag_never():
    reader = Reader(modalities=ALL)
    steps = [("Look: <i", "Look: "), ("mage", ""), (">", ""), (" ", ""), ("a bell </ima", ""), ("ge> and", "a bell| and"), (" <b", " <b")]
    for stretch, told in steps:
        assert "|".join(piece.text for piece in reader.read(stretch)) == told
    assert reader.begun is None and reader.finish() == []
    assert reader.read("<image>x") == [] and reader.begun == "image"


def test_a_modality_that_is_not_made_is_words():
    reply = "<video>a bell</video> <image>a bell</image>"
    assert pieces(reply, ("image",)) == [("text", "<video>a bell</video> "), ("image", "a bell")]


def test_no_character_of_words_is_lost():
    reply = "  a <image>b</image>\n c <image></image> d "
    assert "".join(text for kind, text in pieces(reply) if kind == "text") == "  a \n c <image></image> d "


def test_long_hostile_markup_is_read_in_linear_time():
    assert len(pieces("<image>x" * 100_000)) == 100_000
    assert pieces("<image>" * 100_000) == [("text", "<image>" * 100_000)]


@pytest.mark.parametrize(
    ("words", "shown"),
    [("abc", 3), ("abc <", 4), ("abc <ima", 4), ("abc <image>", 4), ("abc </vid", 4), ("a < b", 5), ("a <b", 4), ("a <imagine", 10)],
)
def test_what_may_become_a_tag_waits(words, shown):
    assert num_shown(words) == shown


def test_the_users_tags_are_shown_in_other_brackets():
    assert escape("say <image>x</image> or <b>") == "say \u2039image\u203ax\u2039/image\u203a or <b>"
    assert parse(escape("<image>x</image>"), modalities=ALL) == [Piece(type="text", text="\u2039image\u203ax\u2039/image\u203a")]


@pytest.mark.parametrize("has_system", [True, False])
@pytest.mark.parametrize("system", [[], [{"role": "system", "content": "Be <image>brief</image>."}]])
def test_the_model_is_told_once_and_sees_its_own_media_as_elements(has_system, system):
    conversation = read_conversation(
        [
            *system,
            {"role": "user", "content": "a <audio>bell</audio>"},
            {"role": "assistant", "content": [
                {"type": "text", "text": "Here: "}, {"type": "image", "caption": "a bell"}, {"type": "image"},
            ]},
            {"role": "user", "content": "again"},
        ]
    )  # fmt: skip
    shown = instruct(conversation, modalities=["image"], instructions=INSTRUCTIONS, has_system=has_system)
    roles = [turn.role for turn in shown]
    assert roles == (["system"] if system or has_system else []) + ["user", "assistant", "user"]
    whole = ["".join(part.text for part in turn.parts) for turn in shown]
    assert sum("For a picture write <image>what it shows</image>." in words for words in whole) == 1
    assert "audio" not in INSTRUCTIONS and "For a sound" not in whole[0]
    assert "\u2039audio\u203abell\u2039/audio\u203a" in "".join(whole)
    assert whole[-2] == "Here: <image>a bell</image><image>a picture that was shown before</image>"
    if system:
        assert whole[0].endswith("Be \u2039image\u203abrief\u2039/image\u203a.")
