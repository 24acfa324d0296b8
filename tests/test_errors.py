"""The one exception: its codes are fixed, its public form leaks nothing, and it survives a process boundary."""

import pickle

import pytest

from anygen.errors import PUBLIC_TEXT, AnyGenError


def test_public_form():
    error = AnyGenError("media_too_large", "films/a.mp4 has 5 bytes; expected 3", found=5, limit=3)
    assert error.public() == {"code": "media_too_large", "message": PUBLIC_TEXT["media_too_large"], "found": 5, "limit": 3}
    assert str(error) == "media_too_large: films/a.mp4 has 5 bytes; expected 3"


def test_pickled_and_back():
    error = pickle.loads(pickle.dumps(AnyGenError("bad_line", "line 3", line=3)))
    assert (error.code, error.detail, error.fields) == ("bad_line", "line 3", {"line": 3})


def test_codes_are_from_the_table():
    with pytest.raises(KeyError):
        AnyGenError("no_such_code")


@pytest.mark.parametrize("text", PUBLIC_TEXT.values())
def test_public_texts_are_sentences(text):
    assert text[0].isupper()
    assert text.endswith(".")
