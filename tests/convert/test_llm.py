"""The LLM of a converted checkpoint: rows by token string, LoRA as peft applies it, stops and separators as ids."""

import json

import pytest
import synthetic_checkpoints as synthetic
import torch
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from anygen.convert.account import read_account
from anygen.convert.layouts import detect_layout
from anygen.convert.llm import fold_into_llm, load_base_llm, load_base_tokenizer
from anygen.convert.tokens import convert_tokens, remap_rows, source_token_ids
from anygen.errors import AnyGenError

MODALITIES = ("image", "video", "audio")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The frozen LLM on disk."""
    folder = tmp_path_factory.mktemp("llm")
    torch.manual_seed(0)
    synthetic.save_llm(folder)
    return folder


def convert(folder, base, *, modalities=MODALITIES):
    layout = detect_layout(folder)
    account = read_account(folder, layout=layout, allow_pickle=True)
    tokenizer = load_base_tokenizer(folder, llm=base)
    tokens = convert_tokens(folder, layout=layout, modalities=modalities, base=tokenizer)
    llm = load_base_llm(account, folder, llm=base, allow_pickle=False)
    fold_into_llm(llm, account, tokens, folder, layout)
    return llm.eval(), tokens


def with_lora(base, *, rows, adapter, alpha):
    """The original way: base, whole matrices, peft's adapter."""
    llm = AutoModelForCausalLM.from_pretrained(base)
    embedding, head = rows
    llm.resize_token_embeddings(len(embedding))
    llm.get_input_embeddings().weight.data.copy_(embedding)
    llm.get_output_embeddings().weight.data.copy_(head)
    rank = next(tensor.shape[0] for name, tensor in adapter.items() if "lora_A" in name)
    lora = LoraConfig(r=rank, lora_alpha=alpha, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"])
    model = get_peft_model(llm, lora).eval()
    report = set_peft_model_state_dict(model, adapter)
    assert not report.unexpected_keys and not [key for key in report.missing_keys if "lora" in key]
    return model


def check_logits(converted, original):
    ids = torch.randint(3, converted.config.vocab_size, (2, 12))
    with torch.no_grad():
        found, expected = converted(ids).logits, original(ids).logits
    assert torch.allclose(found, expected, atol=1e-4) and expected.std() > 0.1


def test_legacy_logits_are_those_of_base_rows_and_peft(base, tmp_path):
    state = synthetic.write_legacy(tmp_path)
    llm, tokens = convert(tmp_path, base)
    prefix = "llama_model."
    adapter = {k.removeprefix(prefix).replace(".default", ""): v for k, v in state.items() if "lora" in k}
    rows = [state[f"llama_model.base_model.model.{name}.weight"] for name in ("model.embed_tokens", "lm_head")]
    check_logits(llm, with_lora(base, rows=rows, adapter=adapter, alpha=32))
    first = synthetic.num_base_tokens() + 2  # <Img> and </Img> come first
    assert tokens.signal_ids["image"] == tuple(range(first, first + 4))
    assert tokens.signal_ids["video"][0] == first + 4 and tokens.signal_ids["audio"] == tuple(range(first + 28, first + 36))
    assert (tokens.media_start, tokens.media_end, tokens.separator_id) == ("<Img>", "</Img>", None)


def test_legacy_stops_after_a_space_and_after_a_newline(base, tmp_path):
    synthetic.write_legacy(tmp_path)
    _, tokens = convert(tmp_path, base)
    names = [tuple(tokens.tokenizer.convert_ids_to_tokens(list(ids))) for ids in tokens.stop_ids]
    assert names == [("\u2581###",), ("##", "#")]


def test_signal_tokens_in_a_users_words_are_words(base, tmp_path):
    synthetic.write_legacy(tmp_path)
    _, tokens = convert(tmp_path, base)
    words = tokens.tokenizer.backend_tokenizer
    words.encode_special_tokens = True
    ids = words.encode("draw [IMG0] <Img>", add_special_tokens=False).ids
    assert max(ids) < synthetic.num_base_tokens()


def test_new_logits_use_the_last_stage_and_its_alpha(base, tmp_path):
    files = synthetic.write_new(tmp_path)
    llm, tokens = convert(tmp_path, base)
    last = files["non_lora_trainables.bin"]
    rows = [last[f"base_model.model.{name}.weight"] for name in ("model.embed_tokens", "lm_head")]
    check_logits(llm, with_lora(base, rows=rows, adapter=files["adapter_model.bin"], alpha=10))
    assert tokens.tokenizer.convert_ids_to_tokens(tokens.separator_id) == "\u2581\u2581"
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"legacy": False}))
    assert tokens.tokenizer.convert_ids_to_tokens(convert(tmp_path, base)[1].separator_id) == "\u2581"


def test_rows_follow_token_strings_where_the_base_has_a_row_more(base, tmp_path):
    """The published 32042-row case: a base that already had a token shifts the ids of all that were added."""
    state = synthetic.write_legacy(tmp_path)
    rows = state["llama_model.base_model.model.model.embed_tokens.weight"]
    shifted = synthetic.llama_tokenizer(["[PAD]", *synthetic.LEGACY_TOKENS])
    source = source_token_ids(tmp_path, detect_layout(tmp_path), num_rows=len(rows))
    mapped = remap_rows(rows, source, shifted)
    assert len(mapped) == len(rows) + 1
    for token in ("a", "##", "<Img>", "[IMG0]", "[AUD7]"):
        own = synthetic.llama_tokenizer(synthetic.LEGACY_TOKENS).convert_tokens_to_ids(token)
        assert torch.equal(mapped[shifted.convert_tokens_to_ids(token)], rows[own])
    pad = mapped[shifted.convert_tokens_to_ids("[PAD]")]
    assert torch.allclose(pad, rows[: synthetic.num_base_tokens()].mean(dim=0))


def test_rows_and_tokens_that_do_not_belong_together_are_refused(base, tmp_path):
    rows = synthetic.num_base_tokens() + len(synthetic.LEGACY_TOKENS)
    synthetic.write_legacy(tmp_path, rows=rows + 4)
    with pytest.raises(AnyGenError, match=rf"the matrices have {rows + 4} rows; .*\[AUD7\] has id {rows - 1}"):
        convert(tmp_path, base)
    synthetic.write_legacy(tmp_path, added=synthetic.LEGACY_TOKENS[:-1])
    with pytest.raises(AnyGenError, match=r"its tokenizer has no \['\[AUD7\]'\]"):
        convert(tmp_path, base)


def test_gill_sets_its_eight_rows_and_leaves_the_others(base, tmp_path):
    state = synthetic.write_gill(tmp_path)
    llm, tokens = convert(tmp_path, base, modalities=("image",))
    before = AutoModelForCausalLM.from_pretrained(base).get_input_embeddings().weight
    after = llm.get_input_embeddings().weight
    ids = list(tokens.signal_ids["image"])
    assert torch.equal(after[ids], state["model.input_embeddings.weight"]) and torch.equal(after[: len(before)], before)
    assert [len(ids) for ids in tokens.stop_ids] == [1]


def test_an_llm_that_does_not_fit_is_refused(tmp_path, base):
    state = synthetic.write_legacy(tmp_path)
    wide = {key: torch.cat([value, value], dim=-1) if "embed" in key else value for key, value in state.items()}
    torch.save(wide, tmp_path / "pytorch_model.pt")
    with pytest.raises(AnyGenError, match="found matrices of different shapes"):
        convert(tmp_path, base)
    bad = {key: torch.zeros(3, 5) if key.endswith("layers.1.self_attn.q_proj.lora_A.default.weight") else value for key, value in state.items()}
    torch.save(bad, tmp_path / "pytorch_model.pt")
    with pytest.raises(AnyGenError, match=r"layers.1.self_attn.q_proj makes \(32, 5\); the LLM's .* is \(32, 32\)"):
        convert(tmp_path, base)


def test_without_an_llm_it_says_which_one(tmp_path):
    synthetic.write_legacy(tmp_path)
    account = read_account(tmp_path, layout=detect_layout(tmp_path), allow_pickle=True)
    with pytest.raises(AnyGenError, match="pass --llm .*Vicuna-7B-v0"):
        load_base_llm(account, tmp_path, llm=None, allow_pickle=False)


def test_a_merged_checkpoint_brings_its_own_llm_and_needs_no_pickle(tmp_path):
    state = synthetic.write_merged(tmp_path)
    account = read_account(tmp_path, layout=detect_layout(tmp_path), allow_pickle=False)
    (ignored,) = [line for line in account.lines if line.place == "ignored"]
    assert "multimodal_tower" in ignored.key and "frozen ImageBind" in ignored.reason
    llm, _ = convert(tmp_path, None)
    found = llm.state_dict()
    own = {key: value for key, value in state.items() if "mm_" not in key and "multimodal" not in key}
    assert found.keys() == own.keys() and all(torch.equal(found[key], own[key]) for key in own)


def test_a_merged_checkpoint_with_a_layer_missing_is_refused(tmp_path):
    synthetic.write_merged(tmp_path)
    path = tmp_path / "model-00001-of-00002.safetensors"
    tensors = load_file(path)
    gone = next(key for key in tensors if "layers.1" in key)
    save_file({key: value for key, value in tensors.items() if key != gone}, path)
    with pytest.raises(AnyGenError, match=rf"missing are \['{gone}'\]"):
        convert(tmp_path, None)
