"""Tokenizers that bring less than a chat needs, contexts without a bound, rows for new tokens, and how LLMs are loaded."""

import pytest
import torch
from tiny_llms import UNMARKED, build_tokenizer, save_llm

from anygen.backbones import NO_LIMIT, Backbone, build_backbone
from anygen.errors import AnyGenError


def prompt_of(backbone, *texts: str) -> str:
    """A conversation as the LLM reads it, the last turn left to the assistant."""
    outline = tuple(("assistant" if index % 2 else "user", 1) for index in range(len(texts)))
    opening, *frames = backbone.template_ids(outline, add_generation_prompt=True)
    ids = list(opening)
    for text, frame in zip(texts, frames, strict=True):
        ids += [*backbone.encode_text(text), *frame]
    return backbone.tokenizer.decode(ids)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return Backbone.from_pretrained(save_llm("Llama", tmp_path_factory.mktemp("llm")), config=UNMARKED)


def test_without_a_chat_template_a_plain_one_is_used(llama):
    assert llama.tokenizer.chat_template is None
    assert prompt_of(llama, "hi") == "User: hi</s>\nAssistant: "
    assert prompt_of(llama, "hi", "yes", "and?") == "User: hi</s>\nAssistant: yes</s>\nUser: and?</s>\nAssistant: "


def test_a_plain_template_begins_as_the_tokenizer_begins_a_text(llama):
    begins = build_backbone(llama.llm, build_tokenizer(adds_bos=True), config=UNMARKED)
    assert prompt_of(begins, "hi") == "<s>User: hi</s>\nAssistant: "


def test_without_padding_the_end_pads_and_without_an_end_there_is_no_backbone(llama):
    unpadded = build_backbone(llama.llm, build_tokenizer(pad=None), config=UNMARKED)
    assert unpadded.pad_id == unpadded.end_id
    endless = build_tokenizer()
    endless.eos_token = None
    with pytest.raises(AnyGenError, match="model_load_error: tokenizer: found no eos_token"):
        build_backbone(llama.llm, endless)


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    tokenizer = build_tokenizer(bos=None)
    tokenizer.model_max_length = 512
    return Backbone.from_pretrained(save_llm("T5", tmp_path_factory.mktemp("t5"), tokenizer=tokenizer), config=UNMARKED)


def test_an_encoder_reads_a_single_request_as_it_is(t5):
    assert prompt_of(t5, "translate: hi") == "translate: hi</s>"
    assert prompt_of(t5, "hi", "yes", "and?") == "User: hi\nAssistant: yes\nUser: and?\nAssistant:</s>"


def test_contexts_without_a_bound_of_the_llm(t5, llama, tmp_path):
    assert t5.context_length == 512 and t5.room_for_reply(500) == 511 and t5.room_for_reply(513) == 0
    assert llama.context_length == 256 and llama.room_for_reply(200) == 56
    mamba = Backbone.from_pretrained(save_llm("Mamba", tmp_path), config=UNMARKED)
    assert mamba.context_length == NO_LIMIT


@pytest.mark.parametrize("family", ["Llama", "GPT2", "T5", "Bart"])
@torch.no_grad()
def test_new_tokens_leave_the_others_as_they_are(family, tmp_path):
    backbone = Backbone.from_pretrained(save_llm(family, tmp_path), config=UNMARKED)
    words = torch.tensor([[10, 20, 30]])
    before = backbone.embed(words)
    num_rows = backbone.llm.get_input_embeddings().weight.shape[0]
    hidden = torch.randn(1, 3, backbone.width, generator=torch.Generator().manual_seed(0))
    logits = backbone.logits(hidden)
    ids = backbone.add_tokens([f"<image_{index}>" for index in range(4)])
    assert len(set(ids)) == 4 and min(ids) >= num_rows and backbone.add_tokens(["<image_1>"]) == [ids[1]]
    assert torch.equal(backbone.embed(words), before)
    assert torch.allclose(backbone.logits(hidden)[..., :num_rows], logits, atol=1e-5)
    rows = backbone.embed(torch.tensor(ids))
    assert not torch.equal(rows[0], rows[1]) and (rows - rows.mean(dim=0)).norm() < before.norm()


@torch.no_grad()
def test_matrices_keep_their_multiple_and_rows_without_a_token_are_never_said(llama):
    llama.llm.resize_token_embeddings(384, mean_resizing=False)
    llama.add_tokens([f"<extra_{index}>" for index in range(390 - len(llama.tokenizer))])
    rows = llama.llm.get_output_embeddings().weight.shape[0]
    assert rows == 448 and len(llama.tokenizer) == 390
    assert set(range(390, 448)) <= set(llama.special_token_ids)


def test_options_reach_the_llm_and_remote_code_is_refused(tmp_path):
    folder = save_llm("Llama", tmp_path)
    half = Backbone.from_pretrained(folder, config=UNMARKED, dtype=torch.bfloat16, attn_implementation="eager")
    assert half.llm.dtype == torch.bfloat16 and half.llm.config._attn_implementation == "eager"
    with pytest.raises(AnyGenError, match="never run"):
        Backbone.from_pretrained(folder, trust_remote_code=True)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(AnyGenError, match="model_load_error"):
        Backbone.from_pretrained(folder)


@pytest.mark.parametrize("family", ["GPT2", "Mamba", "Bart"])
@torch.no_grad()
def test_adapters_and_rows_fold_into_every_kind(family, tmp_path):
    backbone = Backbone.from_pretrained(save_llm(family, tmp_path), config=UNMARKED)
    ids = torch.tensor([[10, 20, 30]])
    backbone.add_token_rows([20])
    backbone.add_lora(rank=2, alpha=4)
    for name, parameter in backbone.named_parameters():
        if "lora_B" in name or "token_rows" in name:
            parameter.normal_(std=0.2)

    def computed():
        given = {"decoder_inputs_embeds": backbone.embed(ids)} if family == "Bart" else {}
        base = backbone.llm.base_model(inputs_embeds=backbone.embed(ids), **given)
        return backbone.logits(base.last_hidden_state)

    trained = computed()
    backbone.fold()
    assert torch.allclose(computed(), trained, atol=1e-4)
    assert not any("lora" in name for name, _ in backbone.named_parameters()) and backbone.token_rows is None
