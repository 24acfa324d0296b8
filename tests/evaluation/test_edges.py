"""The requests at the edges: each is readable, none is one that training draws, and what is right is what the words say."""

import random
import re
from collections import Counter

import pytest

from anygen.evaluation import edges
from anygen.evaluation.edges import KINDS, OUTSIDE, ask_at_the_edge, read_edges
from anygen.evaluation.matrix import find_cells, make_request
from anygen.evaluation.observe import observe
from anygen.nano.world.dialogues import sample_dialogue
from anygen.nano.world.scene import Tone
from anygen.nano.world.refusals import REFUSAL, is_refusal
from anygen.nano.world.turns import Speaker
from anygen.outputs import AnyGenOutput, OutputPart


def plain(words: str) -> str:
    return " ".join(re.findall(r"\w+", words.lower()))


def test_there_are_three_hundred_and_each_once():
    words = Counter(plain(edge.words) for edge in read_edges())
    assert len(words) > 300 and max(words.values()) == 1
    assert {edge.kind for edge in read_edges()} == set(KINDS)


def test_none_is_drawn_in_training():
    rng = random.Random(0)
    drawn = {plain(turn.text) for _ in range(3000) for turn in sample_dialogue(rng, "train").turns if turn.role == "user"}
    assert not drawn & {plain(edge.words) for edge in read_edges()} and len(drawn) > 2000


def test_what_is_right_is_what_the_line_says(monkeypatch, tmp_path):
    lines = (
        "image\tthing=star color=yellow background=night\tyelow star at nite",
        "image\tthing=fish color=blue count=3\tthree blue fish!",
        "video\tthing=phone color=green motion=spins\ta green phone in rotation",
        "audio\ttone=middle fast beeps\trapid beeps of medium pitch",
        "choice\tmedia=image+audio\ta drum, seen and heard",
        "outside\t\ta donkey with a hat",
    )
    (tmp_path / "edges.tsv").write_text("\n".join(lines))
    monkeypatch.setattr(edges, "files", lambda package: tmp_path)
    star, fish, phone, beeps, drum, donkey = read_edges.__wrapped__()
    shown = star.scene
    assert (shown.thing, shown.color, shown.background, shown.place, shown.count) == ("star", "yellow", "night", "center", 1)
    assert (fish.scene.count, phone.scene.motion) == (3, "spins")
    assert beeps.scene.tone == Tone(height="middle", contour="fast beeps")
    assert (star.media, phone.media, drum.media, donkey.media) == (("image",), ("video",), ("image", "audio"), ())


@pytest.mark.parametrize("kind", KINDS)
def test_requests_keep_to_the_split(kind):
    for index in range(40):
        question, reply = ask_at_the_edge(Speaker(random.Random(index), split="test"), kinds=(kind,))
        assert question.text in {edge.words for edge in read_edges() if edge.kind == kind}
        assert all(Speaker(random.Random(), split="test").allows(part.scene) for part in reply.media)
        assert is_refusal(reply.text) == (kind == OUTSIDE) == (not reply.media)


def test_a_refusal_is_seen_where_there_is_one():
    (outside,) = find_cells(["outside the world"])
    (choice,) = find_cells(["edges, choice of media"])
    assert make_request(outside, "test", 0, 0).expected == {"refused": "yes"}
    assert make_request(choice, "test", 0, 0).expected["refused"] == "no"
    said = [REFUSAL, "Here is a red bell on white.", "Sorry?"]
    replies = [AnyGenOutput(parts=(OutputPart(type="text", text=text),), seed=0) for text in said]
    assert observe(replies, "choice", None) == [{"media": "none", "refused": each} for each in ("yes", "no", "no")]


@pytest.mark.parametrize("line", ["image\tthing=dragon\tx", "film\t\tx", "image\tx", "audio\ttone=high\tx", "image\tcount=9\tx"])
def test_a_line_that_cannot_be_read_is_named(line, monkeypatch, tmp_path):
    (tmp_path / "edges.tsv").write_text(f"outside\t\tfine\n{line}\n")
    monkeypatch.setattr(edges, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match="edges.tsv, line 2: "):
        read_edges.__wrapped__()
