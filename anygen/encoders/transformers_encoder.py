"""Encoders out of transformers behind the contract: CLIP, SigLIP, SigLIP 2, DINOv2, CLAP, Whisper, HuBERT, VideoMAE.

Steps 2 and 3 of the data flow. N media -> `preprocess` -> (N, pieces, ...), see `transformers_inputs.py`; text -> (N, context)
ids. `forward` -> (N, pieces * P, D): the tokens of a film's frames, or of a sound's clips, one after the other. What differs
between families is a row of `transformers_families.py`.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anygen.encoders.encoder import CONFIG_FILE, ENCODER_FILE, Encoder, config_from_dict, loading, locate, read_json
from anygen.encoders.transformers_families import FAMILIES, family_of
from anygen.errors import AnyGenError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True, kw_only=True)
class TransformersEncoderConfig:
    """What is read of the model, and how much of a film or a sound."""

    read: Literal["patches", "pooled", "all"] = "patches"
    """"patches": the tokens of the patches, as LLaVA reads CLIP; CLS and registers are left out. "all": these too, in
    front, as BLIP-2 reads its 257 tokens. "pooled": one token a piece: after the last layer what the model's own pooler
    gives, after an earlier one CLS; in families that have neither, the mean over the tokens."""
    layer: int = -1
    """Whose output is read: -1 the model's last states as it returns them, its final norm included where it has one; -2 the
    block before the last (LLaVA, with CLS dropped); 0 what enters the first block; n, from 1 on, the output of block n
    without the final norm."""
    num_frames: int = 8
    """Frames of a film for models of pictures; models of films take the number that they were trained on."""
    num_audio_clips: int = 1
    """Clips of a sound, at even distances; a single one is the start."""
    audio_seconds: float = 10.0
    """Length of a clip for models that take any (HuBERT); Whisper's is 30 s and CLAP's 10 s."""

    def __post_init__(self):
        if self.read not in ("patches", "pooled", "all"):
            raise ValueError(f"read={self.read!r}; expected one of patches, pooled, all")
        for name in ("num_frames", "num_audio_clips", "audio_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)}; expected more than 0")


class TransformersEncoder(Encoder):
    """See the module docstring.

    Args:
        model: a model of transformers, of a class that `FAMILIES` names for its `model_type`.
        processor: the image processor (`backend="pil"`) or feature extractor of its checkpoint.
        tokenizer: needed for text, in families that read it.
        config: what is read.

    Raises:
        AnyGenError: `model_load_error` where model, processor and config do not go together.
    """

    encoder_type = "transformers"
    config_class = TransformersEncoderConfig

    def __init__(
        self,
        model: nn.Module,
        *,
        processor: Any,
        tokenizer: Any = None,
        config: TransformersEncoderConfig | None = None,
    ):
        super().__init__(config or TransformersEncoderConfig())
        self.family = family_of(model.config.model_type, where=type(model).__name__)
        self.model, self.processor, self.tokenizer = model, processor, tokenizer
        self.inputs = self.family.inputs(processor, self._tower.config, self.config)
        layers, layer = self.inputs.num_layers, self.config.layer
        if not -layers - 1 <= layer <= layers:
            raise AnyGenError(
                "model_load_error", f"layer={layer}; this model has {layers} blocks: -{layers + 1} to {layers}"
            )

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the family reads; text only with a tokenizer."""
        return (*(("text",) if self.family.text and self.tokenizer else ()), *self.family.modalities)

    @property
    def joint_dim(self) -> int | None:
        """Width of `embed`; None for models without a space that media and text share."""
        if self.family.projection is None or not self._has_pooler:
            return None
        config = self.model.config
        return config.projection_dim if self.family.projection else config.vision_config.hidden_size

    def width(self, modality: str) -> int:
        """D: channels of the layer that is read; of a text, those of its pooled token."""
        self.check_modality(modality)
        if modality != "text":
            return self.inputs.width(self._depth)
        return self.model.config.text_config.hidden_size if self.family.text_projection else self.joint_dim

    def num_tokens(self, modality: str) -> int:
        """P of a piece times the pieces; a text is one token."""
        self.check_modality(modality)
        if modality == "text":
            return 1
        prefix = self._num_prefix if self.config.read == "all" else 0
        tokens = 1 if self.config.read == "pooled" else prefix + math.prod(self.inputs.grid(self._depth))
        return self.inputs.num_pieces(modality) * tokens

    def grid(self, modality: str) -> tuple[int, ...]:
        """Pieces (where there are several), rows and columns; sounds of one axis are one axis, clips included."""
        axes = self.inputs.grid(self._depth)
        if modality == "text" or self.config.read != "patches" or len(axes) == 1:
            return (self.num_tokens(modality),)
        pieces = self.inputs.num_pieces(modality)
        is_film = modality == "video" and len(axes) == 2
        return (pieces, *axes) if is_film or pieces > 1 else axes

    def preprocess(self, modality: str, media: Sequence) -> Tensor:
        """N media -> (N, pieces, ...), texts -> ids int64 (N, context)."""
        self.check_modality(modality)
        if modality == "text":
            return self._tokenize(media)
        return torch.stack([self.inputs.prepare(modality, medium) for medium in media])

    def forward(self, modality: str, inputs: Tensor) -> Tensor:
        """Tokens for the language model, (N, ...) -> (N, P, D)."""
        self.check_modality(modality)
        if modality == "text":
            return self._pool_text(inputs)[:, None]
        tokens = self._read(inputs.flatten(0, 1).to(self.dtype))
        return tokens.unflatten(0, inputs.shape[:2]).flatten(1, 2)

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Unit vectors of the space that media and text share, averaged over the pieces, (N, ...) -> (N, joint_dim).

        Raises `modality_not_supported` for models that have no such space.
        """
        self.check_modality(modality)
        if self.joint_dim is None:
            have = ", ".join(name for name, family in FAMILIES.items() if family.projection is not None)
            detail = (
                f"{self.model.config.model_type} has no space that media and text share; these have: {have}, imagebind"
            )
            raise AnyGenError("modality_not_supported", detail)
        if modality == "text":
            return F.normalize(self._project(self.family.text_projection, self._pool_text(inputs)), dim=-1)
        pieces = inputs.flatten(0, 1).to(self.dtype)
        pooled = self.inputs.run(self._tower, pieces).pooler_output
        vectors = F.normalize(self._project(self.family.projection, pooled), dim=-1)
        return F.normalize(vectors.unflatten(0, inputs.shape[:2]).mean(dim=1), dim=-1)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights; inputs are cast to it."""
        return next(self.model.parameters()).dtype

    def save_pretrained(self, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
        """Write the folder as transformers does (config.json, preprocessor_config.json, model.safetensors, tokenizer), and
        this class's own settings beside it. `dtype` sets the precision on disk."""
        folder = Path(folder)
        state = self.model.state_dict()
        if dtype is not None:
            state = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in state.items()}
        self.model.save_pretrained(folder, state_dict=state)
        self.processor.save_pretrained(folder)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(folder)
        settings = {"encoder_type": self.encoder_type, **dataclasses.asdict(self.config)}
        (folder / ENCODER_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        config: TransformersEncoderConfig | None = None,
        dtype: torch.dtype = torch.float32,
        allow_pickle: bool = False,
    ) -> Self:
        """Load a checkpoint in the layout of transformers, in evaluation mode.

        Args:
            source: a folder, or `name/repository`, with `@revision` where wanted, of the hub.
            config: what is read; by default what `save_pretrained` wrote, or the defaults.
            dtype: precision in memory.
            allow_pickle: whether pickled weights (pytorch_model.bin) will do where there is no safetensors file; they are
                read with `weights_only=True`.

        Raises:
            AnyGenError: `model_load_error` for another model_type, missing files or tensors; `hub_unavailable`.
        """
        folder, reference = locate(source, allow_pickle=allow_pickle)
        family = family_of(read_json(folder / CONFIG_FILE).get("model_type"), where=str(folder / CONFIG_FILE))
        if config is None and (folder / ENCODER_FILE).exists():
            settings = read_json(folder / ENCODER_FILE)
            settings.pop("encoder_type", None)
            config = config_from_dict(cls.config_class, settings, where=str(folder / ENCODER_FILE))
        import transformers

        is_image = "image" in family.modalities or "video" in family.modalities
        auto = transformers.AutoImageProcessor if is_image else transformers.AutoFeatureExtractor
        with loading(folder):
            processor = auto.from_pretrained(folder, local_files_only=True, **({"backend": "pil"} if is_image else {}))
            has_words = family.text and any((folder / name).exists() for name in TOKENIZER_FILES)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True) if has_words else None
            module, _, name = f"transformers.{family.model_class}".rpartition(".")
            model, report = getattr(importlib.import_module(module), name).from_pretrained(
                folder,
                dtype=dtype,
                local_files_only=True,
                use_safetensors=None if allow_pickle else True,
                weights_only=True,
                key_mapping=dict(family.key_mapping) or None,
                output_loading_info=True,
            )
        if report["missing_keys"]:
            missing = sorted(report["missing_keys"])
            detail = f"{folder}: {len(missing)} tensors of {family.model_class} are missing, such as {missing[0]}"
            raise AnyGenError("model_load_error", detail)
        encoder = cls(model, processor=processor, tokenizer=tokenizer, config=config)
        encoder.source = None if allow_pickle else reference  # a reference gives nobody leave to read pickles
        return encoder.eval()

    @property
    def _tower(self) -> nn.Module:
        return self.model.get_submodule(self.family.tower)

    @property
    def _num_prefix(self) -> int:
        """CLS and registers."""
        registers = getattr(self.model.config, self.family.registers) if self.family.registers else 0
        return self.family.num_cls + registers

    @property
    def _has_pooler(self) -> bool:
        field = self.family.pooler_field
        return self.family.pooler and (field is None or getattr(self._tower.config, field))

    @property
    def _depth(self) -> int:
        """The layer that is read, counted from the input: 0 to num_layers."""
        return self.config.layer % (self.inputs.num_layers + 1)

    def _read(self, pieces: Tensor) -> Tensor:
        """(B, ...) -> (B, tokens, D)."""
        output = self.inputs.run(self._tower, pieces)
        if self.config.read == "pooled" and self.config.layer == -1 and self._has_pooler:
            return output.pooler_output[:, None]
        states = output.last_hidden_state if self.config.layer == -1 else output.hidden_states[self.config.layer]
        tokens = self.inputs.tokens(states, pieces)
        if self.config.read == "all":
            return tokens
        if self.config.read == "patches":
            return tokens[:, self._num_prefix :]
        return tokens[:, :1] if self.family.num_cls else tokens.mean(dim=1, keepdim=True)

    def _project(self, name: str, vectors: Tensor) -> Tensor:
        return self.model.get_submodule(name)(vectors) if name else vectors

    def _tokenize(self, texts: Sequence[str]) -> Tensor:
        config = self.model.config.text_config
        masked = self.family.text == "masked"  # RoBERTa counts positions from behind its padding id
        context = config.max_position_embeddings - (config.pad_token_id + 1 if masked else 0)
        given = self.tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=context, return_tensors="pt"
        )
        return given["input_ids"]

    def _pool_text(self, ids: Tensor) -> Tensor:
        """(N, context) -> (N, D) of the text tower's pooler."""
        mask = None
        if self.family.text == "masked":
            mask = (ids != self.model.config.text_config.pad_token_id).long()
            longest = int(mask.sum(dim=1).max())
            ids, mask = ids[:, :longest], mask[:, :longest]
        return self.model.text_model(input_ids=ids, attention_mask=mask).pooler_output
