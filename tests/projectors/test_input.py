"""The input projector contract over every member."""

import pytest
import torch

from anygen.projectors import INPUT_PROJECTORS, InputProjectorConfig, build_input_projector


@pytest.mark.parametrize("name", INPUT_PROJECTORS)
def test_contract(name):
    torch.manual_seed(0)
    module = build_input_projector(InputProjectorConfig(type=name), in_dim=6, out_dim=10)
    features = torch.randn(3, 4, 6)
    embeddings = module(features)
    assert embeddings.shape == (3, module.num_tokens(4), 10)
    assert torch.allclose(module(features[1:2]), embeddings[1:2], atol=1e-6)


def test_linear_is_one_matrix():
    module = build_input_projector(InputProjectorConfig(type="linear"), in_dim=6, out_dim=10)
    features = torch.randn(1, 2, 6)
    assert torch.allclose(module(features), features @ module.proj.weight.T + module.proj.bias)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="linear, mlp"):
        build_input_projector(InputProjectorConfig(type="magic"), in_dim=6, out_dim=10)
