"""Under which licence a part stands: by the model card beside it, or by where it came from."""

from __future__ import annotations

from pathlib import Path

from anygen.presets.preset import preset_names, read_preset

UNKNOWN = "unknown"
IMAGEBIND = "CC-BY-NC-SA 4.0"
"""Of ImageBind's published weights (Girdhar et al. 2023); code and weights, non-commercial."""


def licence_of_folder(folder: Path, *, top: Path) -> str:
    """The licence in the model card (`license:` in README.md) that is nearest to the part, "unknown" without one."""
    for place in (folder, *folder.parents):
        card = place / "README.md"
        if card.is_file():
            for line in card.read_text(encoding="utf-8", errors="replace").splitlines():
                if line.startswith("license:"):
                    return line.removeprefix("license:").strip()
        if place == top:
            break
    return UNKNOWN


def licence_of_source(source: str) -> str:
    """The licence of a hub repository that a preset names, or that is ImageBind; "unknown" of others."""
    repository = source.partition("@")[0]
    if "imagebind" in repository.lower():
        return IMAGEBIND
    parts = (part for name in preset_names() for part in read_preset(name).parts.values())
    return next((part.licence for part in parts if part.source == repository), UNKNOWN)
