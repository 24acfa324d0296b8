"""The LLM of a published checkpoint: the frozen base with the checkpoint's rows and LoRA folded in.

The base is read from the folder or repository that the caller names; a merged checkpoint brings its own layers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from anygen.convert.account import Account
from anygen.convert.layouts import Layout
from anygen.convert.tokens import ConvertedTokens, remap_rows, source_token_ids
from anygen.errors import AnyGenError
from anygen.hub import find_folder

LEGACY_LORA_ALPHA = 32.0
"""Of NExT-GPT's first code base, which stores it nowhere; its rank is 32 too, so that the scale is 1."""
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json")


def load_base_tokenizer(folder: Path, *, llm: str | Path | None) -> Any:
    """The tokenizer beside the checkpoint, or else the LLM's."""
    from transformers import AutoTokenizer

    source = folder if any((folder / name).is_file() for name in TOKENIZER_FILES) else llm
    if source is None:
        raise AnyGenError("model_load_error", f"{folder}: found no tokenizer; expected one beside it, or an LLM: pass --llm")
    place = find_folder(source)
    try:
        return AutoTokenizer.from_pretrained(place, local_files_only=True)
    except (OSError, ValueError) as error:
        raise AnyGenError("model_load_error", f"{place}: {error}") from error


def load_base_llm(account: Account, folder: Path, *, llm: str | Path | None, allow_pickle: bool) -> Any:
    """The frozen LLM in the precision in which it was published."""
    from transformers import AutoModelForCausalLM

    if "llm" in account.tensors:
        return _own_llm(account, folder)
    if llm is None:
        raise AnyGenError(
            "model_load_error",
            f"{folder} holds no LLM; it was trained over one whose weights are not published whole; pass --llm with a folder "
            "or a repository of that LLM (Vicuna-7B-v0 for NExT-GPT's first code base)",
        )
    place = find_folder(llm, allow_pickle=allow_pickle)
    try:
        return AutoModelForCausalLM.from_pretrained(
            place, dtype="auto", local_files_only=True, use_safetensors=None if allow_pickle else True
        )
    except (OSError, ValueError, RuntimeError) as error:
        hint = "" if allow_pickle else "; pickled weights are read with --allow-pickle only"
        raise AnyGenError("model_load_error", f"{place}: {error}{hint}") from error


@torch.no_grad()
def fold_into_llm(llm: Any, account: Account, tokens: ConvertedTokens, folder: Path, layout: Layout) -> None:
    """Put the checkpoint's rows and LoRA into the LLM, in place."""
    tensors = account.tensors
    if "adapter" in tensors:
        state = merge_lora(llm.state_dict(), tensors["adapter"], alpha=_lora_alpha(folder))
        llm.load_state_dict(state)
    num_tokens = len(tokens.tokenizer)
    if "rows" in tensors:
        _add_rows(llm, tensors["rows"][""], tokens)
        return
    matrices = {role: tensors[role][""] for role in ("embedding", "head") if role in tensors}
    if not matrices:
        llm.resize_token_embeddings(max(num_tokens, llm.get_input_embeddings().num_embeddings))
        return
    sizes = {account.source_of(role, ""): matrix.shape for role, matrix in matrices.items()}
    if len(set(sizes.values())) > 1:
        raise AnyGenError("model_load_error", f"found matrices of different shapes: {sizes}")
    source = source_token_ids(folder, layout, num_rows=next(iter(sizes.values()))[0])
    mapped = {role: remap_rows(matrix.float(), source, tokens.tokenizer) for role, matrix in matrices.items()}
    install_matrices(llm, **mapped)


def _add_rows(llm: Any, rows: Tensor, tokens: ConvertedTokens) -> None:
    """GILL keeps the rows of its signal tokens alone; OPT's matrices are tied, so they serve as the head's too."""
    (ids,) = tokens.signal_ids.values()
    width = llm.get_input_embeddings().embedding_dim
    if rows.shape != (len(ids), width):
        raise AnyGenError(
            "model_load_error", f"found rows {tuple(rows.shape)} of signal tokens; expected {(len(ids), width)}, as the LLM is"
        )
    llm.resize_token_embeddings(max(len(tokens.tokenizer), llm.get_input_embeddings().num_embeddings), mean_resizing=False)
    llm.get_input_embeddings().weight[list(ids)] = rows.to(llm.dtype)


def install_matrices(llm: Any, *, embedding: Tensor, head: Tensor | None = None) -> None:
    """Put whole matrices float[V, D] in the place of the LLM's; without a head the output head stays as it is."""
    width = llm.get_input_embeddings().embedding_dim
    if embedding.shape[1] != width:
        raise AnyGenError(
            "model_load_error", f"the checkpoint's embeddings are {embedding.shape[1]} wide; the LLM's are {width}"
        )
    llm.resize_token_embeddings(len(embedding), mean_resizing=False)
    llm.get_input_embeddings().weight.copy_(embedding)
    if head is not None:
        llm.get_output_embeddings().weight.copy_(head)


def merge_lora(state: dict[str, Tensor], adapter: dict[str, Tensor], *, alpha: float) -> dict[str, Tensor]:
    """The LLM's tensors with a LoRA adapter folded in: W + alpha / r * B A (Hu et al. 2021, section 4.1).

    Raises `model_load_error` by name for an adapter of a layer that the LLM does not have, and for misfitting shapes.
    """
    merged = dict(state)
    for name in sorted(adapter):
        if not name.endswith(".lora_A.weight"):
            continue
        place = name.removesuffix(".lora_A.weight")
        target = place.removeprefix("base_model.model.") + ".weight"
        down, up = adapter[name].float(), adapter.get(f"{place}.lora_B.weight")
        if target not in merged or up is None:
            raise AnyGenError("model_load_error", f"adapter: {place}: found no LLM tensor {target} or no lora_B of it")
        change = up.float() @ down * (alpha / down.shape[0])
        if change.shape != merged[target].shape:
            found, expected = tuple(change.shape), tuple(merged[target].shape)
            raise AnyGenError("model_load_error", f"adapter: {place} makes {found}; the LLM's {target} is {expected}")
        merged[target] = (merged[target].float() + change).to(merged[target].dtype)
    return merged


def _lora_alpha(folder: Path) -> float:
    path = folder / "adapter_config.json"
    if not path.is_file():
        return LEGACY_LORA_ALPHA
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["lora_alpha"])
    except (ValueError, KeyError, TypeError) as error:
        raise AnyGenError("model_load_error", f"{path}: {error}; expected lora_alpha") from error


def _own_llm(account: Account, folder: Path) -> Any:
    """The Llama of a merged checkpoint, whose own class transformers does not know."""
    from transformers import LlamaConfig, LlamaForCausalLM

    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    known = LlamaConfig().to_dict()
    config = LlamaConfig(**{key: value for key, value in values.items() if key in known and key != "model_type"})
    with torch.device("meta"):
        llm = LlamaForCausalLM(config)
    expected = {name: tensor for name, tensor in llm.state_dict().items() if not name.endswith(("embed_tokens.weight", "lm_head.weight"))}
    found = account.tensors["llm"]
    if missing := sorted(expected.keys() - found.keys()):
        raise AnyGenError("model_load_error", f"{folder}: missing are {missing[:5]} and {max(0, len(missing) - 5)} more")
    for name, tensor in found.items():
        if name in expected and tensor.shape != expected[name].shape:
            shape, wanted = tuple(tensor.shape), tuple(expected[name].shape)
            raise AnyGenError("model_load_error", f"{folder}: {name} has shape {shape}; expected {wanted}")
    llm = llm.to_empty(device="cpu").to(next(iter(found.values())).dtype)
    llm.load_state_dict({name: tensor for name, tensor in found.items() if name in expected}, strict=False)
    return llm
