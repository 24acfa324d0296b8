"""IDEFICS: which pictures are looked at in a conversation, its prompts, and its vocabulary in one matrix."""

import pytest
import torch
from test_vision_language import PICTURES
from tiny_llms import build_model
from tiny_seers import save_idefics
from transformers import AutoProcessor, IdeficsConfig, IdeficsForVisionText2Text, MllamaConfig

from anygen.backbones import load_backbone
from anygen.backbones.cross_attention import join_vocabulary
from anygen.errors import AnyGenError

SHOWN = "<fake_token_around_image><image><fake_token_around_image>"
END = "<end_of_utterance>"
HISTORY = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": [{"type": "text", "text": "what is it?"}, {"type": "image", "image": PICTURES[0]}]},
    {"role": "assistant", "content": "a bell"},
    {
        "role": "user",
        "content": [*({"type": "image", "image": each} for each in PICTURES[1:]), {"type": "text", "text": "and it?"}],
    },
]
PUBLISHED = [
    "be brief\nUser:what is it?",
    PICTURES[0],
    f"{END}\nAssistant:a bell{END}\nUser:",
    *PICTURES[1:],
    f"and it?{END}\nAssistant:",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_idefics(tmp_path_factory.mktemp("idefics"))


@torch.no_grad()
@pytest.mark.parametrize("use_resampler", [True, False])
def test_each_turn_looks_at_its_last_picture(use_resampler, tmp_path):
    """The processor's own ids and mask of a conversation with pictures in two turns, all of its positions."""
    folder = save_idefics(tmp_path, use_resampler=use_resampler)
    bare = IdeficsForVisionText2Text.from_pretrained(folder).eval()
    given = AutoProcessor.from_pretrained(folder)(text=PUBLISHED, return_tensors="pt", add_end_of_utterance_token=False)
    model = build_model(folder)
    inputs = model.collate([HISTORY], add_generation_prompt=True)
    assert inputs.input_ids.tolist() == given["input_ids"].tolist()
    expected = bare(**given).logits
    found = model(inputs).logits
    assert torch.allclose(found[..., : expected.shape[-1]], expected, atol=2e-4)


def test_a_model_that_was_not_taught_to_chat_ends_with_its_end_token(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes().replace(b"<end_of_utterance>", b"<another_word_of_it>"))
    model = build_model(tmp_path)
    text = model.backbone.tokenizer.decode(model.write_script(HISTORY, add_generation_prompt=True).ids)
    two = SHOWN.removesuffix("<fake_token_around_image>") + SHOWN
    assert text == f"<s>be brief\nUser:what is it?{SHOWN}\nAssistant:a bell</s>\nUser:{two}and it?\nAssistant:"
    assert model.backbone.end_id == model.backbone.tokenizer.eos_token_id


@torch.no_grad()
@pytest.mark.parametrize("tied", [True, False])
def test_one_vocabulary_says_what_two_did(folder, tmp_path, tied):
    config = IdeficsConfig.from_pretrained(folder, tie_word_embeddings=tied)
    model = IdeficsForVisionText2Text(config).eval()
    total = config.vocab_size + config.additional_vocab_size
    ids = torch.arange(total - 8, total)[None]
    given = {"image_encoder_embeddings": torch.randn(1, 1, 5, 16), "image_attention_mask": torch.ones(1, 8, 1)}
    expected = model(ids, **given).logits
    join_vocabulary(model)
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied
    model.save_pretrained(tmp_path)
    for joined in (model, IdeficsForVisionText2Text.from_pretrained(tmp_path).eval()):
        assert (joined.config.vocab_size, joined.config.additional_vocab_size) == (total, 0)
        assert torch.allclose(joined(ids, **given).logits, expected, atol=1e-5)


def test_other_cross_attention_is_refused_by_name(tmp_path):
    MllamaConfig().save_pretrained(tmp_path)
    with pytest.raises(AnyGenError, match="model_load_error.*mllama.*cross-attention"):
        load_backbone(tmp_path)
