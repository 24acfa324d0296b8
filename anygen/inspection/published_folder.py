"""Checkpoints as their authors published them, before `anygen convert`: what they hold and what it fits."""

from __future__ import annotations

from pathlib import Path

from anygen.convert.layouts import KNOWN_GENERATORS, Layout, generator_sources, place_of, weight_files
from anygen.errors import AnyGenError
from anygen.inspection.folder_weights import merged_headers
from anygen.inspection.hub_folders import make_part
from anygen.inspection.inventory import Inventory, Joint, PartInfo
from anygen.inspection.weight_files import TensorHeader

CLASSES = {
    "input_projector": "linear layers",
    "output_projector": "transformer with learned queries",
    "adapter": "LoRA",
    "embedding": "all rows of the LLM's embeddings",
    "head": "all rows of the LLM's output head",
    "rows": "rows of the signal tokens",
    "llm": "the LLM's layers",
    "ignored": "not used by anygen",
    "unknown": "no key of this layout",
}


def read_published(folder: Path, layout: Layout) -> Inventory:
    """Parts by what the layout's key table calls them, and widths read off the tensors' shapes."""
    groups: dict[str, dict[str, TensorHeader]] = {}
    for key, header in merged_headers(weight_files(folder, layout)).items():
        role, name = _role(key, layout)
        groups.setdefault(role, {})[name] = header
    parts = [
        make_part(role, CLASSES[role.partition(".")[0]], tensors, training="trained", licence=layout.licence)
        for role, tensors in groups.items()
    ]
    parts.insert(0, _frozen("encoder", layout.encoder, licence=layout.encoder_licence))
    return Inventory(kind=layout.name, parts=tuple(parts), joints=tuple(_joints(groups, layout, folder)))


def _role(key: str, layout: Layout) -> tuple[str, str]:
    try:
        place = place_of(key, layout)
    except AnyGenError:
        return "unknown", key
    return place.role, place.name or key


def _frozen(name: str, class_name: str, *, licence: str) -> PartInfo:
    return PartInfo(
        name=name, class_name=class_name, num_parameters=0, num_bytes=0, training="frozen, not in the files",
        licence=licence,
    )  # fmt: skip


def _joints(groups: dict[str, dict[str, TensorHeader]], layout: Layout, folder: Path) -> list[Joint]:
    """Every width that two parts of the files share; the LLM's is that of its rows."""
    llm = next(
        (header.shape[1] for role in ("embedding", "rows", "head") for header in groups.get(role, {}).values()), None
    )
    joints = []
    matrices = [h.shape for name, h in sorted(groups.get("input_projector", {}).items()) if len(h.shape) == 2]
    if matrices:
        joints.append(
            Joint(left="encoder", left_width=layout.encoder_width, right="input_projector", right_width=matrices[0][1])
        )
        tokens = layout.tokens_per_medium
        if llm:
            given = matrices[-1][0] // tokens
            joints.append(Joint(left="input_projector", left_width=given, right="llm", right_width=llm))
    for modality, source in generator_sources(folder, layout).items():
        tensors = groups.get(f"output_projector.{modality}", {})
        if llm and "in_fc.weight" in tensors:
            taken = tensors["in_fc.weight"].shape[1]
            name = f"output_projector.{modality}"
            joints.append(Joint(left="llm", left_width=llm, right=name, right_width=taken))
        if "out_fc.weight" in tensors and source in KNOWN_GENERATORS:
            joints.append(
                Joint(
                    left=f"output_projector.{modality}",
                    left_width=tensors["out_fc.weight"].shape[0],
                    right=source,
                    right_width=KNOWN_GENERATORS[source].width,
                )
            )
    return joints
