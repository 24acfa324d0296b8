"""The expanding projector: embedding k of a token is slice k of one matrix's output."""

import torch

from anygen.projectors import InputProjectorConfig, build_input_projector


def test_slices_of_one_matrix_in_order():
    module = build_input_projector(InputProjectorConfig(type="expand", num_queries=3), in_dim=4, out_dim=5)
    features = torch.randn(2, 2, 4)
    found = module(features)
    assert found.shape == (2, 6, 5) and module.num_tokens(2) == 6
    whole = features @ module.proj.weight.T + module.proj.bias
    for token in range(2):
        for k in range(3):
            assert torch.allclose(found[:, 3 * token + k], whole[:, token, 5 * k : 5 * k + 5])
