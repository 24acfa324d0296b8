"""From a folder, or from loaded parts, to the backbone of the right kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2_5OmniThinkerForConditionalGeneration,
)

from anygen.backbones.backbone import Backbone, BackboneConfig
from anygen.backbones.blip import PROMPTS, build_blip
from anygen.backbones.cross_attention import CrossAttentionBackbone
from anygen.backbones.decoder_only import DecoderOnlyBackbone
from anygen.backbones.encoder_decoder import EncoderDecoderBackbone
from anygen.backbones.recurrent import RecurrentBackbone, is_recurrent
from anygen.backbones.stills import load_processor
from anygen.backbones.vision_language import VisionLanguageBackbone
from anygen.errors import AnyGenError

THINKERS = {"qwen2_5_omni": Qwen2_5OmniThinkerForConditionalGeneration}
"""`model_type` of a model that speaks for itself -> the class of its part that reads and writes, which is loaded."""
REFUSED = {"mllama": "its pictures go into cross-attention of another kind than IDEFICS's"}
"""`model_type` of a model that would load, and could not be shown anything -> why."""


def build_backbone(
    llm: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast | ProcessorMixin,
    *,
    config: BackboneConfig | None = None,
) -> Backbone:
    """An LLM and its tokenizer, or a vision-language model and its processor, as the backbone of its kind."""
    if isinstance(tokenizer, ProcessorMixin):
        if llm.config.model_type in PROMPTS:
            return build_blip(llm, tokenizer, config=config)
        if llm.config.model_type == "idefics":
            return CrossAttentionBackbone(llm, tokenizer, config=config)
        return VisionLanguageBackbone(llm, tokenizer, config=config)
    if llm.config.is_encoder_decoder:
        return EncoderDecoderBackbone(llm, tokenizer, config=config)
    kind = RecurrentBackbone if is_recurrent(llm) else DecoderOnlyBackbone
    return kind(llm, tokenizer, config=config)


def load_backbone(
    folder: str | Path, *, config: BackboneConfig | None = None, trust_remote_code: bool = False, **options: Any
) -> Backbone:
    """Read a transformers folder (LLM and tokenizer) into float32, nothing fetched, safetensors alone.

    Args:
        folder: what `save_pretrained` writes, or a snapshot of the hub.
        trust_remote_code: refused: code that comes with a model is never run.
        options: for the LLM's `from_pretrained`: dtype, device_map, quantization_config, attn_implementation.

    Raises:
        AnyGenError: `model_load_error` for a folder that is not one, and for missing, surplus or misshapen tensors.
    """
    if trust_remote_code:
        raise AnyGenError("model_load_error", f"{folder}: code that comes with a model is never run; found trust_remote_code")
    settings = {"dtype": torch.float32} | options | {"local_files_only": True, "use_safetensors": True}
    try:
        described = AutoConfig.from_pretrained(folder, local_files_only=True)
        kind = _kind(described)
        if kind in (AutoModelForImageTextToText, *THINKERS.values()):
            tokenizer = load_processor(folder, described=described)
        else:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        llm, report = kind.from_pretrained(folder, output_loading_info=True, **settings)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise AnyGenError("model_load_error", f"{folder}: {error}") from error
    if faults := {name: sorted(map(str, found)) for name, found in report.items() if found}:
        raise AnyGenError("model_load_error", f"{folder}: found {faults}; expected the tensors of its config.json")
    return build_backbone(llm, tokenizer, config=config)


def _kind(described: PreTrainedConfig) -> Any:
    """Which class of transformers reads the LLM."""
    if described.model_type in REFUSED:
        raise ValueError(f"found a {described.model_type}, which anygen has no backbone for: {REFUSED[described.model_type]}")
    if described.model_type in THINKERS:
        return THINKERS[described.model_type]
    if described.is_encoder_decoder and described.model_type not in PROMPTS:
        return AutoModelForSeq2SeqLM
    if type(described) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        return AutoModelForImageTextToText
    return AutoModelForCausalLM
