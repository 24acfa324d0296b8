"""The input projector contract over every member."""

import dataclasses
import json

import pytest
import torch

from anygen.encoders.encoder import config_from_dict
from anygen.projectors import INPUT_PROJECTORS, InputProjectorConfig, build_input_projector


@pytest.mark.parametrize("name", INPUT_PROJECTORS)
def test_contract(name):
    torch.manual_seed(0)
    config = InputProjectorConfig(type=name, num_queries=9)
    module = build_input_projector(config, in_dim=8, out_dim=12).eval()
    features = torch.randn(3, 4, 8)
    embeddings = module(features)
    assert embeddings.shape == (3, module.num_tokens(4), 12)
    assert torch.allclose(module(features[1:2]), embeddings[1:2], atol=1e-6)
    assert not torch.allclose(embeddings[0], embeddings[1], atol=1e-3), "different media give different embeddings"
    embeddings.square().mean().backward()
    assert all(parameter.grad is not None for parameter in module.parameters()), "every parameter is trained"
    again = build_input_projector(config, in_dim=8, out_dim=12).eval()
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(features), embeddings)


@pytest.mark.parametrize("name", INPUT_PROJECTORS)
def test_settings_survive_json(name):
    config = InputProjectorConfig(type=name, merge=3, grid=(4, 5), num_queries=6, head_dim=2)
    written = json.loads(json.dumps(dataclasses.asdict(config)))
    assert config_from_dict(InputProjectorConfig, written, where="config.json") == config


def test_linear_is_one_matrix():
    module = build_input_projector(InputProjectorConfig(type="linear"), in_dim=6, out_dim=10)
    features = torch.randn(1, 2, 6)
    assert torch.allclose(module(features), features @ module.proj.weight.T + module.proj.bias)


def test_only_the_transformer_lets_tokens_see_each_other_and_their_order():
    features = torch.randn(1, 4, 8)
    changed = features.clone()
    changed[0, 3, 0] += 1
    for name in ("linear", "mlp", "transformer"):
        module = build_input_projector(InputProjectorConfig(type=name), in_dim=8, out_dim=10)
        others_feel_it = not torch.allclose(module(features)[0, 0], module(changed)[0, 0], atol=1e-6)
        order_counts = not torch.allclose(module(features).flip(1), module(features.flip(1)), atol=1e-6)
        assert others_feel_it == order_counts == (name == "transformer")


def test_the_transformer_refuses_a_width_that_its_heads_do_not_divide():
    with pytest.raises(ValueError, match="width 6 .* num_heads=4"):
        build_input_projector(InputProjectorConfig(type="transformer"), in_dim=6, out_dim=10)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="linear, mlp"):
        build_input_projector(InputProjectorConfig(type="magic"), in_dim=6, out_dim=10)
