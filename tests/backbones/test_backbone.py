"""The backbone: trained rows and adapters, folding, and special tokens that are missing."""

import pytest
import torch

from anygen.errors import AnyGenError
from anygen.backbones import BackboneConfig, build_backbone


@pytest.fixture
def backbone(build_model):
    return build_model().backbone


def logits_of(backbone, ids):
    ids = torch.tensor([ids])
    hidden = backbone(
        backbone.embed(ids), attention_mask=torch.ones_like(ids), position_ids=torch.arange(ids.shape[1])[None]
    )
    return backbone.logits(hidden)[0]


def test_states_are_those_after_the_final_norm(backbone):
    ids = torch.tensor([[1, 2, 40, 41]])
    expected = backbone.llm(ids, output_hidden_states=True)
    hidden = backbone(backbone.embed(ids), attention_mask=torch.ones_like(ids), position_ids=torch.arange(4)[None])
    assert torch.allclose(hidden, expected.hidden_states[-1], atol=1e-5)
    assert torch.allclose(backbone.logits(hidden), expected.logits, atol=1e-5)


def test_new_rows_change_nothing_until_they_are_trained(backbone):
    before = logits_of(backbone, [1, 10, 40])
    backbone.add_token_rows([10, 11])
    assert torch.equal(logits_of(backbone, [1, 10, 40]), before)


def test_trained_rows_touch_their_tokens_only(backbone):
    with_row, without = logits_of(backbone, [1, 10]), logits_of(backbone, [1, 40])
    rows = backbone.add_token_rows([10])
    with torch.no_grad():
        rows.embedding_rows += 1.0
        rows.head_rows += 0.5
    changed = logits_of(backbone, [1, 40])
    others = [token for token in range(changed.shape[-1]) if token != 10]
    assert torch.allclose(changed[:, others], without[:, others])
    assert not torch.allclose(changed[:, 10], without[:, 10])
    assert not torch.allclose(logits_of(backbone, [1, 10])[1], with_row[1])
    assert not torch.allclose(
        backbone.embed(torch.tensor([10])), backbone.llm.get_input_embeddings()(torch.tensor([10]))
    )


def test_folding_keeps_what_is_computed(backbone):
    plain = logits_of(backbone, [1, 10, 40])
    names = set(backbone.llm.state_dict())
    rows = backbone.add_token_rows([10, 11])
    backbone.add_lora(rank=2, alpha=4)
    trainable = {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    assert all("lora" in name or "token_rows" in name for name in trainable)
    assert any("q_proj.lora_A" in name for name in trainable) and not any("lm_head" in name for name in trainable)
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if "lora_B" in name or parameter is rows.embedding_rows or parameter is rows.head_rows:
                parameter.normal_(std=0.1)
    trained = logits_of(backbone, [1, 10, 40])
    backbone.fold()
    assert not torch.allclose(trained, plain, atol=1e-2)
    assert torch.allclose(logits_of(backbone, [1, 10, 40]), trained, atol=1e-4)
    assert set(backbone.llm.state_dict()) == names and backbone.token_rows is None


def test_one_table_serves_tied_matrices(backbone):
    backbone.llm.lm_head.weight = backbone.llm.model.embed_tokens.weight
    rows = backbone.add_token_rows([10])
    assert rows.head_rows is rows.embedding_rows
    with torch.no_grad():
        rows.embedding_rows += 0.5
    trained = logits_of(backbone, [1, 10, 40])
    backbone.fold()
    assert torch.allclose(logits_of(backbone, [1, 10, 40]), trained, atol=1e-5)


def test_missing_special_tokens_are_named(backbone):
    with pytest.raises(AnyGenError, match="model_load_error.*<medium>"):
        build_backbone(backbone.llm, backbone.tokenizer, config=BackboneConfig(media_start="<medium>"))


def test_media_need_no_marks(backbone):
    unmarked = build_backbone(backbone.llm, backbone.tokenizer, config=BackboneConfig(media_start="", media_end=""))
    assert unmarked.media_start_ids == unmarked.media_end_ids == []
