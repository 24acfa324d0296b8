"""Every tensor of a published checkpoint, accounted for: read into its place, or listed as ignored with the reason.

    read_account(folder, layout=..., allow_pickle=...) -> Account

A key that the layout does not have, and values that are not finite, are refused by name before anything is written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from anygen.convert.layouts import IGNORED, Layout, place_of, weight_files
from anygen.errors import AnyGenError
from anygen.inspection.weight_files import read_tensor_headers

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Line:
    """What became of one tensor."""

    file: str
    key: str
    place: str
    """Role and name in anygen's terms, "ignored" where it has none."""
    reason: str = ""


@dataclass(kw_only=True)
class Account:
    """The tensors by role and name, and one line for each tensor of the source."""

    tensors: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)

    def source_of(self, role: str, name: str) -> str:
        """The source's name of a tensor; of one that is missing, the name that it would have by its neighbours'."""
        keys = {line.place: line.key for line in self.lines}
        if f"{role}/{name}" in keys:
            return keys[f"{role}/{name}"]
        parent, _, last = name.rpartition(".")
        for place, key in keys.items():
            if place.rpartition(".")[0] == f"{role}/{parent}":
                return f"{key.rpartition('.')[0]}.{last}"
        for place, key in keys.items():
            sibling = place.removeprefix(f"{role}/")
            if sibling != place and key.endswith(sibling):
                return key.removesuffix(sibling) + name
        return f"{role}/{name}"


def read_account(folder: Path, *, layout: Layout, allow_pickle: bool) -> Account:
    """Read a published folder. Pickled files are read only when allowed, and then as weights only.

    Raises `model_load_error` for a pickle that was not allowed, a key that no rule knows, and NaN or infinity.
    """
    account = Account()
    paths = weight_files(folder, layout)
    for path in paths:
        for key in read_tensor_headers(path):  # every name is known before any weight is read
            place_of(key, layout)
    for path in paths:
        for key, tensor in _load(path, allow_pickle=allow_pickle).items():
            _enter(account, path.name, key, tensor, layout)
    return account


def _enter(account: Account, file: str, key: str, tensor: Tensor, layout: Layout) -> None:
    """Put one tensor in its place; the same place filled twice keeps the later file's, the later stage's."""
    place = place_of(key, layout)
    if place.role == IGNORED:
        account.lines.append(Line(file=file, key=key, place=IGNORED, reason=place.reason))
        return
    if not tensor.isfinite().all():
        raise AnyGenError("model_load_error", f"{file}: {key} holds NaN or infinity; expected finite numbers")
    address = f"{place.role}/{place.name}"
    for index, line in enumerate(account.lines):
        if line.place == address:
            reason = f"{file} holds a later one"
            account.lines[index] = Line(file=line.file, key=line.key, place=IGNORED, reason=reason)
    account.tensors.setdefault(place.role, {})[place.name] = tensor.detach()
    account.lines.append(Line(file=file, key=key, place=address))


def _load(path: Path, *, allow_pickle: bool) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if not allow_pickle:
        raise AnyGenError(
            "model_load_error",
            f"{path} is a pickle, which can harm the machine that reads it; expected safetensors. Where you trust its "
            "origin, allow it: --allow-pickle on the command line, allow_pickle=True in Python; it is read as weights only",
        )
    import pickle

    import torch

    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise AnyGenError("model_load_error", f"{path}: {error}") from error
    return found.get("state_dict", found)
