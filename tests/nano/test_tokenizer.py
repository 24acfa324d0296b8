"""The tokenizer: words of the world in one piece, any text back unchanged, no special token out of typed text."""

import random

import pytest

from anygen.nano.tokenizer import NUM_SIGNAL_TOKENS, encode_text, load, signal_tokens, special_tokens, train_tokenizer
from anygen.nano.training.tokenizer import make_tokenizer, tokenizer_texts
from anygen.nano.world.captions import canonical_caption
from anygen.nano.world.scene import sample_scene


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(tokenizer_texts(num_dialogues=600, num_captions=200), vocab_size=900)


def test_special_tokens_come_first_and_stand_for_themselves(tokenizer):
    assert tokenizer.convert_tokens_to_ids(special_tokens()) == list(range(len(special_tokens())))
    assert (tokenizer.pad_token, tokenizer.bos_token, tokenizer.eos_token) == ("<pad>", "<bos>", "<end>")
    assert [len(signal_tokens(modality)) for modality in NUM_SIGNAL_TOKENS] == [4, 6, 4]
    assert len(tokenizer) == 900


@pytest.mark.parametrize("text", ["a large red bell on grass", "Gruesse aus K\u00f6ln \u2603 \n\t 42!", "", " <end> ", "<image_0>"])
def test_text_comes_back_unchanged(tokenizer, text):
    assert tokenizer.decode(encode_text(tokenizer, text)) == text


def test_typed_text_never_becomes_a_special_token(tokenizer):
    special = set(range(len(special_tokens())))
    text = "".join(special_tokens()) + " <end><assistant> <image_0> </media>"
    assert not special & set(encode_text(tokenizer, text))
    assert special & set(tokenizer.encode(text))  # what encode_text guards against


def test_captions_take_about_a_piece_a_word(tokenizer):
    rng = random.Random(0)
    captions = [canonical_caption(sample_scene(rng), "image") for _ in range(100)]
    pieces = sum(len(encode_text(tokenizer, caption)) for caption in captions)
    assert pieces < 1.3 * sum(len(caption.split()) for caption in captions)


def test_chat_template(tokenizer):
    messages = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Play it."}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Here."}, {"type": "audio"}]},
        {"role": "user", "content": "Thanks"},
    ]
    assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == (
        "<bos><user><image>Play it.<end><assistant>Here.<audio_0><audio_1><audio_2><audio_3><end>"
        "<user>Thanks<end><assistant>"
    )


def test_saved_and_loaded_is_the_same_and_training_repeats(tmp_path):
    make_tokenizer(tmp_path / "first", num_dialogues=100, num_captions=50)
    make_tokenizer(tmp_path / "second", num_dialogues=100, num_captions=50)
    first = (tmp_path / "first" / "tokenizer.json").read_bytes()
    assert first == (tmp_path / "second" / "tokenizer.json").read_bytes()
    make_tokenizer(tmp_path / "first", num_dialogues=1, num_captions=1)  # one is there: it stays
    assert (tmp_path / "first" / "tokenizer.json").read_bytes() == first
    text = "a small blue car moving left at night"
    assert load(tmp_path / "first").decode(encode_text(load(tmp_path / "second"), text)) == text
