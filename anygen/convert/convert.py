"""`convert_checkpoint`: a published any-to-any checkpoint -> a model folder of anygen.

    read       every tensor accounted for          account.py, layouts.py
    projectors shapes checked, names ours          projectors.py
    tokens     ids stored, rows by token string    tokens.py
    LLM        rows and LoRA folded in             llm.py
    write      the folder, and conversion.json: what became of every tensor
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from anygen.convert.account import Account, Line, read_account
from anygen.convert.layouts import LAYOUTS, Layout, detect_layout, generator_sources
from anygen.convert.llm import fold_into_llm, load_base_llm, load_base_tokenizer
from anygen.convert.projectors import ConvertedProjector, convert_input_projector, convert_output_projector
from anygen.convert.tokens import convert_tokens
from anygen.convert.write import write_folder
from anygen.errors import AnyGenError
from anygen.hub import find_folder


@dataclass(frozen=True, kw_only=True)
class FrozenParts:
    """Where the parts are that a checkpoint does not hold; folders, or repositories of the hub with `@revision`."""

    llm: str | None = None
    encoder: str | None = None
    generators: dict[str, str] = field(default_factory=dict)
    """Modality -> generator."""


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What a conversion did."""

    layout: Layout
    folder: Path
    lines: tuple[Line, ...]
    """One for each tensor of the source."""
    frozen: FrozenParts

    @property
    def ignored(self) -> dict[str, int]:
        """Reason -> how many tensors were not used because of it."""
        return dict(Counter(line.reason for line in self.lines if line.reason))


def convert_checkpoint(
    source: str | Path, out: str | Path, *, frozen: FrozenParts | None = None, allow_pickle: bool = False
) -> Conversion:
    """Convert a folder or repository of NExT-GPT (either code base) or GILL.

    Args:
        source: the published folder, or `name/repository` of the hub that is in the cache.
        out: a folder that does not exist yet, or is empty.
        frozen: the parts that are not in the checkpoint; by default those that it was published with.
        allow_pickle: read pickled weights, as weights only. Published files are pickles; allow it where you trust them.

    Raises:
        AnyGenError: `model_load_error`, by name, for whatever does not fit; `path_not_allowed` for a folder in use.
    """
    folder, out = find_folder(source, allow_pickle=allow_pickle), Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AnyGenError("path_not_allowed", f"{out} is not an empty folder; expected a new one for the converted model")
    layout = detect_layout(folder)
    if layout is None:
        known = "; ".join(f"{each.name}: {' or '.join(each.files)}" for each in LAYOUTS.values())
        raise AnyGenError("model_load_error", f"{folder}: found no published layout; expected one of {known}")
    frozen = _complete(frozen or FrozenParts(), folder, layout)
    account = read_account(folder, layout=layout, allow_pickle=allow_pickle)
    projectors = _projectors(account, layout)
    modalities = tuple(name.partition(".")[2] for name in projectors if name.startswith("output."))
    tokenizer = load_base_tokenizer(folder, llm=frozen.llm)
    tokens = convert_tokens(folder, layout=layout, modalities=modalities, base=tokenizer)
    llm = load_base_llm(account, folder, llm=frozen.llm, allow_pickle=allow_pickle)
    _check_width(llm, projectors, layout)
    fold_into_llm(llm, account, tokens, folder, layout)
    conversion = Conversion(layout=layout, folder=out, lines=tuple(account.lines), frozen=frozen)
    write_folder(conversion, llm=llm, tokens=tokens, projectors=projectors, allow_pickle=allow_pickle)
    return conversion


def _complete(frozen: FrozenParts, folder: Path, layout: Layout) -> FrozenParts:
    """The caller's parts, and the published ones where the caller names none."""
    return FrozenParts(
        llm=frozen.llm or layout.llm or None,
        encoder=frozen.encoder or layout.encoder_source or None,
        generators=generator_sources(folder, layout) | frozen.generators,
    )


def _projectors(account: Account, layout: Layout) -> dict[str, ConvertedProjector]:
    """"input" and "output.{modality}" -> the projectors that the checkpoint has."""
    found = {}
    if "input_projector" in account.tensors:
        found["input"] = convert_input_projector(account, tokens_per_medium=layout.tokens_per_medium)
    for modality in layout.generators:
        if f"output_projector.{modality}" in account.tensors:
            found[f"output.{modality}"] = convert_output_projector(account, modality)
    if not found:
        raise AnyGenError("model_load_error", f"found no projector; expected those of {layout.system}")
    return found


def _check_width(llm, projectors: dict[str, ConvertedProjector], layout: Layout) -> None:
    """Refuse an LLM of another width than the one that the checkpoint was trained over."""
    width = llm.get_input_embeddings().embedding_dim
    for name, projector in projectors.items():
        taken = projector.out_dim if name == "input" else projector.in_dim
        if taken != width:
            raise AnyGenError(
                "model_load_error",
                f"the {name} projector of {layout.system} is made for an LLM of width {taken}; {type(llm).__name__} has {width}",
            )
