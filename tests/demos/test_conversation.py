"""Sessions, replies in the making, settings and accounts, without a page."""

import pytest
import torch
from PIL import Image

from anygen import AnyGenError
from anygen.demos.account import announced, cosine
from anygen.demos.conversation import MAX_EXCHANGES, Conversation, Exchange, ShownPart, error_note
from anygen.demos.reply import ReplyInMaking
from anygen.demos.settings import read_modalities
from anygen.demos.uploads import MAX_FILES, MAX_TEXT, read_turn
from anygen.errors import PUBLIC_TEXT
from anygen.generators.generator import Condition
from anygen.media.load import load_image
from anygen.outputs import AnyGenOutput, OutputPart
from anygen.stream import GenerationStep, MediumAsked, MediumReady, TextDelta


def words(text: str) -> ShownPart:
    return ShownPart(type="text", text=text)


def answered(question: str, answer: str) -> Exchange:
    output = AnyGenOutput(parts=(OutputPart(type="text", text=answer),), seed=0)
    return Exchange(asked=(words(question),), reply=(words(answer),), output=output)


def test_only_what_was_answered_is_history():
    failed = Exchange(asked=(words("b"),), error=AnyGenError("media_empty", "secret path"))
    conversation = Conversation(exchanges=(answered("a", "A"), failed, Exchange(asked=(words("c"),))))
    assert [message["role"] for message in conversation.messages] == ["user", "assistant"]
    shown = [message["content"] for message in conversation.shown]
    assert shown[:2] == ["a", "A"] and PUBLIC_TEXT["media_empty"] in shown[3] and "secret" not in shown[3]
    assert PUBLIC_TEXT["cancelled"] in shown[5]


def test_messages_are_found_again_by_their_place():
    media = ShownPart(type="image", media=Image.new("RGB", (2, 2)), path="x.png")
    first = Exchange(asked=(media, words("a")), reply=(words("A"), media), output=answered("a", "A").output)
    conversation = Conversation(exchanges=(first, answered("b", "B")))
    assert [conversation.exchange_at(place) for place in range(6)] == [0, 0, 0, 0, 1, 1]
    for place in (-1, 6):
        with pytest.raises(AnyGenError, match="invalid_request"):
            conversation.exchange_at(place)
    assert conversation.exchanges[0].asking("other").text == "other"
    assert [part.type for part in conversation.exchanges[0].asking("other").asked] == ["image", "text"]


def test_a_conversation_has_an_end():
    full = Conversation(exchanges=(answered("a", "A"),) * MAX_EXCHANGES)
    with pytest.raises(AnyGenError, match="context_length_exceeded"):
        full.with_exchange(answered("b", "B"))


def test_notes_hold_the_fixed_sentence_and_numbers_only():
    note = error_note(AnyGenError("context_length_exceeded", "secret", found=600, limit=512))
    assert PUBLIC_TEXT["context_length_exceeded"] in note and "600" in note and "512" in note and "secret" not in note
    note = error_note(AnyGenError("invalid_parameter", "secret", where="image['height']", expected="<8>"))
    assert "height" in note and "&lt;8&gt;" in note and "secret" not in note


def test_media_keep_the_place_where_they_were_said(tmp_path):
    reply = ReplyInMaking(folder=tmp_path)
    red, blue = (Image.new("RGB", (4, 4), color) for color in ("red", "blue"))
    for event in (
        TextDelta(text="Here "),
        TextDelta(text="it is."),
        MediumAsked(modality="image", index=0),
        TextDelta(text="And this."),
        MediumAsked(modality="image", index=1),
        MediumAsked(modality="audio", index=0),
        GenerationStep(modality="image", step=3, num_steps=7),
    ):
        reply.hear(event)
    contents = [message["content"] for message in reply.messages]
    assert contents[0] == "Here it is." and contents[2] == "And this."
    assert all("step 3 of 7" in contents[place] for place in (1, 3)) and "waiting" in contents[4]
    reply.hear(MediumReady(modality="image", media=blue, index=1))
    reply.hear(MediumReady(modality="image", media=red, index=0))
    assert [type(message["content"]) for message in reply.messages] == [str, dict, str, dict, str]
    kept = [part for part in reply.finished if part.type == "image"]
    assert [load_image(part.path).getpixel((0, 0)) for part in kept] == [(255, 0, 0), (0, 0, 255)]


def test_toggles():
    assert read_modalities([]) is read_modalities(None) is read_modalities(["auto", "image"]) is None
    assert read_modalities(["text"]) == ["text"]
    assert read_modalities(["audio", "text", "image"]) == ["image", "audio"]


@pytest.mark.parametrize(
    ("said", "caption"),
    [
        ("Here is a large red bell on grass.", "a large red bell on grass"),
        (" Of course! And here is the sound of a bell.", "the sound of a bell"),
        ("A cat.", "A cat"),
        ("Here's a dog! ", "a dog"),
        ("", ""),
    ],
)
def test_the_caption_is_what_the_last_sentence_announces(said, caption):
    assert announced(said) == caption


def test_cosine_is_over_all_tensors():
    one = Condition({"a": torch.tensor([[1.0, 0.0]]), "b": torch.tensor([[0.0]])})
    other = Condition({"b": torch.tensor([[1.0]]), "a": torch.tensor([[1.0, 0.0]])})
    assert cosine(one, one) == pytest.approx(1) and cosine(one, other) == pytest.approx(0.5**0.5)


def test_a_turn_is_bounded_and_told_by_content(picture, sound, tmp_path):
    disguised = tmp_path / "film.mp4"
    disguised.write_bytes(picture.read_bytes())
    parts = read_turn(" hello ", [str(sound), str(disguised)])
    assert [part.type for part in parts] == ["audio", "image", "text"] and parts[-1].text == "hello"
    empty, drawing = tmp_path / "empty.png", tmp_path / "drawing.svg"
    empty.write_bytes(b"")
    drawing.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    for text, paths, code in (
        ("  ", [], "invalid_request"),
        ("x" * (MAX_TEXT + 1), [], "context_length_exceeded"),
        ("a", [str(picture)] * (MAX_FILES + 1), "invalid_request"),
        ("a", [str(empty)], "media_empty"),
        ("a", [str(drawing)], "media_type_not_allowed"),
    ):
        with pytest.raises(AnyGenError) as caught:
            read_turn(text, paths)
        assert caught.value.code == code
