"""From a source's tensors to anygen's projectors: configuration and state dict, every name and shape checked.

The output projector of GILL and NExT-GPT is anygen's `TransformerProjector`; sizes are read off the tensors. The number
of attention heads leaves no trace in them: it is 4 in all that was published.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from anygen.convert.account import Account
from anygen.errors import AnyGenError
from anygen.projectors import (
    InputProjectorConfig,
    OutputProjectorConfig,
    build_input_projector,
    build_output_projector,
)

CONDITION = "prompt_embeds"
"""The argument of Stable Diffusion, ZeroScope and AudioLDM that takes the text encoder's output."""
NUM_HEADS = 4


@dataclass(frozen=True, kw_only=True)
class ConvertedProjector:
    """One projector, ready to be written."""

    config: Any
    state: dict[str, Tensor]
    in_dim: int
    out_dim: int
    condition_spec: dict[str, tuple[int, ...]] | None = None
    """Of an output projector: what the generator takes."""


def convert_input_projector(account: Account, *, tokens_per_medium: int = 1) -> ConvertedProjector:
    """The projector from encoder tokens to the LLM: one linear layer, or two with a GELU between.

    With `tokens_per_medium` above 1 the linear layer makes that many embeddings of a token, side by side (GILL).
    """
    role = "input_projector"
    found = account.tensors[role]
    kind = "mlp" if any(name.startswith("proj.0.") for name in found) else "linear"
    first, last = ("proj.0.weight", "proj.2.weight") if kind == "mlp" else ("proj.weight", "proj.weight")
    out_dim, in_dim = _matrix(account, role, last).shape[0], _matrix(account, role, first).shape[1]
    config = InputProjectorConfig(type=kind)
    if tokens_per_medium > 1:
        config = InputProjectorConfig(type="expand", num_queries=tokens_per_medium)
        out_dim //= tokens_per_medium
    with torch.device("meta"):
        module = build_input_projector(config, in_dim=in_dim, out_dim=out_dim)
    return ConvertedProjector(
        config=config, state=_checked(account, role, found, module), in_dim=in_dim, out_dim=out_dim
    )


def convert_output_projector(account: Account, modality: str) -> ConvertedProjector:
    """The mapper from signal states to a generator's condition."""
    role = f"output_projector.{modality}"
    found = account.tensors[role]
    hidden_dim, in_dim = _matrix(account, role, "in_fc.weight").shape
    out_dim = _matrix(account, role, "out_fc.weight").shape[0]
    num_queries = _tensor(account, role, "query_embs", rank=3).shape[1]
    layers = [re.match(r"tfm\.(?:en|de)coder\.layers\.(\d+)\.", name) for name in found]
    config = OutputProjectorConfig(
        hidden_dim=hidden_dim,
        num_layers=1 + max((int(match.group(1)) for match in layers if match), default=0),
        num_heads=NUM_HEADS,
        feedforward_dim=_matrix(account, role, "tfm.encoder.layers.0.linear1.weight").shape[0],
        add_input_embeddings=True,
    )
    spec = {CONDITION: (out_dim,) if num_queries == 1 else (num_queries, out_dim)}
    with torch.device("meta"):
        module = build_output_projector(config, in_dim=in_dim, condition_spec=spec)
    renamed = {re.sub(r"^out_fc\.", f"out_fc.{CONDITION}.", name): tensor for name, tensor in found.items()}
    state = _checked(account, role, renamed, module)
    return ConvertedProjector(config=config, state=state, in_dim=in_dim, out_dim=out_dim, condition_spec=spec)


def _checked(account: Account, role: str, state: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The state in float32, if it has just the names and shapes of the module's."""
    expected = module.state_dict()

    def origin(name: str) -> str:
        return account.source_of(role, name.replace(f"out_fc.{CONDITION}.", "out_fc."))

    if missing := sorted(expected.keys() - state.keys()):
        raise AnyGenError("model_load_error", f"{role}: missing are {[origin(name) for name in missing]}")
    if surplus := sorted(state.keys() - expected.keys()):
        raise AnyGenError("model_load_error", f"{role}: {[origin(name) for name in surplus]} have no place in it")
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            found, wanted = tuple(tensor.shape), tuple(expected[name].shape)
            raise AnyGenError("model_load_error", f"{role}: {origin(name)} has shape {found}; expected {wanted}")
    return {name: tensor.float().contiguous() for name, tensor in state.items()}


def _tensor(account: Account, role: str, name: str, *, rank: int) -> Tensor:
    """A tensor that sizes are read off."""
    tensor = account.tensors[role].get(name)
    if tensor is None:
        raise AnyGenError("model_load_error", f"{role}: missing are {[account.source_of(role, name)]}")
    if tensor.ndim != rank:
        found = f"{account.source_of(role, name)} has shape {tuple(tensor.shape)}; expected {rank} dimensions"
        raise AnyGenError("model_load_error", f"{role}: {found}")
    return tensor


def _matrix(account: Account, role: str, name: str) -> Tensor:
    return _tensor(account, role, name, rank=2)
