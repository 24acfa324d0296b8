"""The published layouts that `anygen convert` reads: how each is recognised, and a table of every key it may hold.

    nextgpt-legacy   pytorch_model.pt: NExT-GPT's first code base, the one with public weights (ChocoWu/nextgpt_7b_tiva_v0)
    nextgpt          mm_input_projector.bin, mm_output_projector.bin, non_lora_trainables.bin with an adapter, or merged shards
    gill             pretrained_ckpt.pth.tar (kohjingyu/gill)

A rule maps a key to a place: the role of a part, and the tensor's name there. A key that no rule knows is refused by
name; one that anygen has no use for has a rule that says why. Nothing here needs torch.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from anygen.errors import AnyGenError

MODALITIES = ("image", "video", "audio")
IGNORED = "ignored"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Keys that match `pattern` as a whole go to `role` under `name`, a template of the match."""

    pattern: str
    role: str
    name: str = ""
    reason: str = ""
    """Of a rule whose role is "ignored"."""


@dataclass(frozen=True, kw_only=True)
class PublishedGenerator:
    """A frozen generator that a checkpoint was trained for."""

    source: str
    """Its repository on the hub."""
    width: int
    """How wide the condition is that it takes."""


KNOWN_GENERATORS: dict[str, PublishedGenerator] = {
    source: PublishedGenerator(source=source, width=width)
    for source, width in (
        ("stable-diffusion-v1-5/stable-diffusion-v1-5", 768),
        ("stabilityai/stable-diffusion-2", 1024),
        ("cerspense/zeroscope_v2_576w", 1024),
        ("cerspense/zeroscope_v2_XL", 1024),
        ("cvssp/audioldm", 512),
        ("cvssp/audioldm-l-full", 512),
    )
}
MOVED = {"runwayml/stable-diffusion-v1-5": "stable-diffusion-v1-5/stable-diffusion-v1-5"}
"""Repositories that the hub no longer has -> where their files are now."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One published layout."""

    name: str
    system: str
    """What its authors call it."""
    files: tuple[str, ...]
    """Globs of its weight files; any of them makes a folder this layout."""
    rules: tuple[Rule, ...]
    licence: str
    input_modalities: tuple[str, ...]
    """What its encoder reads for the LLM."""
    encoder: str
    """What its frozen encoder is."""
    encoder_licence: str
    encoder_source: str
    """Its repository on the hub, "" where its authors publish a file elsewhere."""
    encoder_type: str
    """A key of `anygen.encoders.ENCODERS`."""
    encoder_read: str
    """Which of its tokens are read, as that encoder's configuration calls it."""
    encoder_width: int
    tokens_per_medium: int
    """LLM embeddings that the input projector makes of one encoder token."""
    llm: str
    """The frozen LLM's repository on the hub, "" where it is not published whole."""
    generators: dict[str, str]
    """Modality -> the frozen generator's repository, a key of `KNOWN_GENERATORS`."""
    signal_tokens: dict[str, tuple[str, ...]]
    """Modality -> its signal tokens as the tokenizer writes them."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a source tensor goes."""

    role: str
    name: str
    reason: str = ""


def _output_rules(prefix: str, modality: str, *, reader: str, writer: str) -> tuple[Rule, ...]:
    """The mapper of GILL and NExT-GPT: one linear layer in, a transformer with learned queries, one linear layer out."""
    role = f"output_projector.{modality}"
    return (
        Rule(pattern=rf"{prefix}\.{reader}\.(weight|bias)", role=role, name=r"in_fc.\1"),
        Rule(pattern=rf"{prefix}\.{writer}\.(weight|bias)", role=role, name=r"out_fc.\1"),
        Rule(pattern=rf"{prefix}\.query_embs", role=role, name="query_embs"),
        Rule(pattern=rf"{prefix}\.tfm\.(.+)", role=role, name=r"tfm.\1"),
    )


NEXTGPT_LEGACY = Layout(
    name="nextgpt-legacy",
    system="NExT-GPT (first code base)",
    files=("pytorch_model.pt",),
    rules=(
        Rule(pattern=r"llama_proj\.(weight|bias)", role="input_projector", name=r"proj.\1"),
        *_output_rules(r"gen_text_hidden_fcs\.0", "image", reader="fc", writer="model"),
        *_output_rules(r"gen_text_hidden_fcs_video\.0", "video", reader="fc", writer="model"),
        *_output_rules(r"gen_text_hidden_fcs_audio\.0", "audio", reader="fc", writer="model"),
        Rule(
            pattern=r"llama_model\.base_model\.model\.(model\.layers\.\d+\..+\.lora_[AB])\.default\.weight",
            role="adapter",
            name=r"base_model.model.\1.weight",
        ),
        Rule(pattern=r"llama_model\.(?:base_model\.model\.)?model\.embed_tokens\.weight", role="embedding"),
        Rule(pattern=r"llama_model\.(?:base_model\.model\.)?lm_head\.weight", role="head"),
    ),
    licence="BSD-3-Clause",
    input_modalities=MODALITIES,
    encoder="ImageBind huge, pooled token",
    encoder_licence="CC-BY-NC-SA 4.0",
    encoder_source="",
    encoder_type="imagebind",
    encoder_read="cls",
    encoder_width=1024,
    tokens_per_medium=1,
    llm="",  # Vicuna-7B-v0 is published as a difference to LLaMA's weights only
    generators={
        "image": "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "video": "cerspense/zeroscope_v2_576w",
        "audio": "cvssp/audioldm-l-full",
    },
    signal_tokens={
        "image": tuple(f"[IMG{index}]" for index in range(4)),
        "video": tuple(f"[VID{index}]" for index in range(24)),
        "audio": tuple(f"[AUD{index}]" for index in range(8)),
    },
)

_ROOT = r"(?:base_model\.)?(?:model\.)*"
"""How often `model.` stands before a key of the second code base depends on which stage wrote it."""

NEXTGPT = Layout(
    name="nextgpt",
    system="NExT-GPT (second code base)",
    files=("mm_input_projector.bin", "mm_output_projector.bin", "non_lora_trainables.bin"),
    rules=(
        Rule(pattern=_ROOT + r"mm_input_projector\.(weight|bias)", role="input_projector", name=r"proj.\1"),
        Rule(pattern=_ROOT + r"mm_input_projector\.([02])\.(weight|bias)", role="input_projector", name=r"proj.\1.\2"),
        *_output_rules(_ROOT + r"mm_output_img_projector", "image", reader="in_fc", writer="out_fc"),
        *_output_rules(_ROOT + r"mm_output_vid_projector", "video", reader="in_fc", writer="out_fc"),
        *_output_rules(_ROOT + r"mm_output_aud_projector", "audio", reader="in_fc", writer="out_fc"),
        Rule(
            pattern=r"base_model\.model\.(model\.layers\.\d+\..+\.lora_[AB])(?:\.default)?\.weight",
            role="adapter",
            name=r"base_model.model.\1.weight",
        ),
        Rule(pattern=_ROOT + r"embed_tokens\.weight", role="embedding"),
        Rule(pattern=_ROOT + r"lm_head\.weight", role="head"),
        Rule(pattern=r"model\.((?:layers\.\d+|norm)\..+)", role="llm", name=r"model.\1"),
        Rule(
            pattern=_ROOT + r"multimodal_tower\..+",
            role=IGNORED,
            reason="the frozen ImageBind inside a merged checkpoint; the published one is referred to",
        ),
    ),
    licence="BSD-3-Clause",
    input_modalities=MODALITIES,
    encoder="ImageBind huge, patch tokens",
    encoder_licence="CC-BY-NC-SA 4.0",
    encoder_source="",
    encoder_type="imagebind",
    encoder_read="patches",
    encoder_width=1024,
    tokens_per_medium=1,
    llm="lmsys/vicuna-7b-v1.5",
    generators={
        "image": "stabilityai/stable-diffusion-2",
        "video": "cerspense/zeroscope_v2_XL",
        "audio": "cvssp/audioldm",
    },
    signal_tokens={
        "image": tuple(f"<image_{index:02d}>" for index in range(4)),
        "video": tuple(f"<video_{index:02d}>" for index in range(24)),
        "audio": tuple(f"<audio_{index:02d}>" for index in range(8)),
    },
)

GILL = Layout(
    name="gill",
    system="GILL",
    files=("pretrained_ckpt.pth.tar",),
    rules=(
        *_output_rules(r"model\.gen_text_hidden_fcs\.0", "image", reader="fc", writer="model"),
        Rule(pattern=r"model\.visual_embeddings\.(weight|bias)", role="input_projector", name=r"proj.\1"),
        Rule(pattern=r"model\.input_embeddings\.weight", role="rows"),
        Rule(
            pattern=r"model\.ret_text_hidden_fcs\.0\.(?:model|fc)\.(?:weight|bias)|model\.visual_fc\.(?:weight|bias)"
            r"|model\.logit_scale",
            role=IGNORED,
            reason="GILL's retrieval head; anygen's retrieve bridge compares embeddings of the encoder instead",
        ),
    ),
    licence="Apache-2.0",
    input_modalities=("image",),
    encoder="CLIP ViT-L/14, pooled",
    encoder_licence="MIT",
    encoder_source="openai/clip-vit-large-patch14",
    encoder_type="transformers",
    encoder_read="pooled",
    encoder_width=1024,
    tokens_per_medium=4,
    llm="facebook/opt-6.7b",
    generators={"image": "stable-diffusion-v1-5/stable-diffusion-v1-5"},
    signal_tokens={"image": tuple(f"[IMG{index}]" for index in range(8))},
)

LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (NEXTGPT_LEGACY, NEXTGPT, GILL)}


def detect_layout(folder: Path) -> Layout | None:
    """The layout that a folder has, or None. Merged shards of NExT-GPT are told by their config.json."""
    for layout in LAYOUTS.values():
        if any(next(folder.glob(pattern), None) for pattern in layout.files):
            return layout
    return NEXTGPT if is_merged_nextgpt(folder) else None


def generator_sources(folder: Path, layout: Layout) -> dict[str, str]:
    """Modality -> the generator's repository: what the checkpoint's config.json names, or the layout's usual one."""
    config = _config(folder) if layout is NEXTGPT else {}
    named = {modality: config.get(f"{modality}_decoder") for modality in layout.generators}
    sources = {modality: named[modality] or usual for modality, usual in layout.generators.items()}
    return {modality: MOVED.get(source, source) for modality, source in sources.items()}


def is_merged_nextgpt(folder: Path) -> bool:
    """Whether config.json is that of NExT-GPT's second code base, as it is beside merged shards."""
    return "multimodal_input_tower" in _config(folder)


def _config(folder: Path) -> dict:
    """config.json, empty where there is none that can be read."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def weight_files(folder: Path, layout: Layout) -> list[Path]:
    """The weight files of a published folder, its adapter's among them."""
    patterns = list(layout.files)
    if layout is NEXTGPT:
        patterns += ["adapter_model.safetensors", "adapter_model.bin"]
        if is_merged_nextgpt(folder):
            patterns += ["model*.safetensors", "pytorch_model*.bin"]
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    safe = {path.stem for path in found if path.suffix == ".safetensors"}
    return [path for path in found if path.suffix == ".safetensors" or path.stem not in safe]


def place_of(key: str, layout: Layout) -> Place:
    """Where the tensor of that name goes. Raises `model_load_error` for a key that the layout does not have."""
    for rule in layout.rules:
        if match := re.fullmatch(rule.pattern, key):
            return Place(role=rule.role, name=match.expand(rule.name), reason=rule.reason)
    raise AnyGenError(
        "model_load_error",
        f"found the tensor {key}, which the layout {layout.name} does not have; expected keys of {layout.system}. "
        "Other kinds of projectors (group, qformer, linear, identity) cannot be converted",
    )
