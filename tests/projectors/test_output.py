"""The output projector: its shape, its names, and what NExT-GPT's is known to do."""

import pytest
import torch

from anygen.projectors import OutputProjectorConfig, build_output_projector

SMALL = OutputProjectorConfig(hidden_dim=16, num_layers=1, num_heads=2, feedforward_dim=32)


def projector(config=SMALL, **spec):
    torch.manual_seed(0)
    return build_output_projector(config, in_dim=12, condition_spec=spec or {"prompt_embeds": (5, 7)}).eval()


def signal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_order_is_carried_by_the_input_embeddings_alone():
    """`in_fc(h + e)` has no positions: rows of h and e together may be permuted, rows of h alone may not."""
    module, h, e, order = projector(), signal(2, 4, 12), signal(2, 4, 12).roll(1, 0), torch.tensor([2, 0, 3, 1])
    straight = module(h, e)["prompt_embeds"]
    assert torch.allclose(module(h[:, order], e[:, order])["prompt_embeds"], straight, atol=1e-5)
    assert not torch.allclose(module(h[:, order], e)["prompt_embeds"], straight, atol=1e-3)


def test_input_embeddings_may_be_left_out():
    config = OutputProjectorConfig(
        hidden_dim=16, num_layers=1, num_heads=2, feedforward_dim=32, add_input_embeddings=False
    )
    module, h = projector(config), signal(2, 4, 12)
    assert torch.equal(module(h, signal(2, 4, 12))["prompt_embeds"], module(h, torch.zeros_like(h))["prompt_embeds"])


def test_each_condition_tensor_has_its_own_queries_and_head():
    condition = projector(prompt_embeds=(5, 7), pooled=(3,))(signal(2, 4, 12), signal(2, 4, 12))
    assert {name: tuple(tensor.shape) for name, tensor in condition.tensors.items()} == {
        "prompt_embeds": (2, 5, 7),
        "pooled": (2, 3),
    }


def test_items_do_not_depend_on_their_batch():
    module, h, e = projector(), signal(3, 4, 12), signal(3, 4, 12)
    alone = module(h[1:2], e[1:2])["prompt_embeds"]
    assert torch.allclose(module(h, e)["prompt_embeds"][1:2], alone, atol=1e-6)


def test_null_condition_is_the_projection_of_zeros():
    module = projector()
    zeros = torch.zeros(1, 4, 12)
    expected = module(zeros, zeros)["prompt_embeds"]
    assert torch.equal(module.null_condition(2, num_tokens=4)["prompt_embeds"], expected.expand(2, -1, -1))


def test_queries_differ_at_the_start():
    answers = projector()(signal(1, 4, 12), signal(1, 4, 12))["prompt_embeds"][0]
    assert torch.pdist(answers).min() > 1e-3


def test_published_size_and_names():
    """77 queries of 768 for Stable Diffusion 1.5 out of a width of 4096: 31.96 M parameters, as NExT-GPT's."""
    with torch.device("meta"):
        module = build_output_projector(
            OutputProjectorConfig(), in_dim=4096, condition_spec={"prompt_embeds": (77, 768)}
        )
    assert sum(parameter.numel() for parameter in module.parameters()) == pytest.approx(31.96e6, rel=2e-4)
    assert {name.split(".")[0] for name in module.state_dict()} == {"in_fc", "tfm", "out_fc", "query_embs"}
    layer = "tfm.encoder.layers.3"
    assert {f"{layer}.self_attn.in_proj_weight", f"{layer}.linear1.bias", "tfm.decoder.norm.weight"} <= set(
        module.state_dict()
    )


def test_unknown_names_and_widths_are_refused():
    with pytest.raises(ValueError, match="transformer"):
        projector(OutputProjectorConfig(type="magic"))
    with pytest.raises(ValueError, match="hidden_dim 10 .* num_heads 4"):
        OutputProjectorConfig(hidden_dim=10)
