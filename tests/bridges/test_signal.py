"""The bridge contract, and the signal bridge's own rules."""

import pytest
import torch

from anygen.bridges import SignalBridge, SignalSpec, Spoken
from anygen.projectors import OutputProjectorConfig, build_output_projector

SIGNAL = SignalSpec(tokens=("<image_0>", "<image_1>", "<image_2>"), ids=(7, 8, 9))
SPEC = {"prompt_embeds": (5, 7), "pooled": (3,)}


@pytest.fixture(scope="module")
def bridge():
    torch.manual_seed(0)
    config = OutputProjectorConfig(hidden_dim=16, num_layers=1, num_heads=2, feedforward_dim=32)
    return SignalBridge(SIGNAL, build_output_projector(config, in_dim=12, condition_spec=SPEC)).eval()


def test_conditions_are_as_the_generator_declares_them(bridge):
    states, embeddings = torch.randn(4, 3, 12), torch.randn(4, 3, 12)
    condition, null = bridge.condition(Spoken(states=states, embeddings=embeddings)), bridge.null_condition(4)
    for name, shape in SPEC.items():
        assert condition[name].shape == null[name].shape == (4, *shape)
        alone = bridge.condition(Spoken(states=states[2:3], embeddings=embeddings[2:3]))
        assert torch.allclose(condition.select([2])[name], alone[name], atol=1e-6)
        assert torch.equal(null[name][0], null[name][3])


@pytest.mark.parametrize(("states", "embeddings"), [((1, 2, 12), (1, 2, 12)), ((1, 3, 12), (2, 3, 12))])
def test_a_run_of_another_shape_is_refused(bridge, states, embeddings):
    with pytest.raises(ValueError, match=r"expected both \(N, 3, 12\)"):
        bridge.condition(Spoken(states=torch.zeros(states), embeddings=torch.zeros(embeddings)))


@pytest.mark.parametrize("ids", [(), (7, 8), (7, 8, 8)])
def test_tokens_and_ids_must_agree(ids):
    with pytest.raises(ValueError, match="as many, and the ids distinct"):
        SignalSpec(tokens=SIGNAL.tokens, ids=ids)
