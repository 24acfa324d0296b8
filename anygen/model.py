"""READ THIS FIRST: the any-to-any model, from what was said and shown to the conditions of the generators.

    encode       media                    -> encoder tokens   (N, P, D_enc)   frozen
    project in   encoder tokens           -> LLM embeddings   (N, K, D_llm)   trained
    merge        into the places that the chat template keeps -> (B, T, D_llm)
    LLM          embeddings               -> hidden states, logits            frozen, or LoRA
    project out  states at a signal run   -> Condition        (N, ...)        trained
    generate     Condition, seeds         -> media                            frozen

`forward` is one pass over whole conversations, for training. Inference goes on from the same `collate` and `embed` with
`decoding.py`, and `pipeline.py` joins the steps for the user. Files: `checkpoint.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from anygen.backbones import Backbone, BackboneConfig
from anygen.bridges import BridgeConfig, QueryBridge, SignalSpec, Spoken, TextBridge, build_bridge, markup
from anygen.chat import Inputs, MediaSlot, Script, SignalRun, pad_scripts, write_script
from anygen.encoders import Encoder
from anygen.errors import AnyGenError
from anygen.generators.generator import Condition, Generator
from anygen.messages import Conversation, Part, read_conversation
from anygen.projectors import (
    InputProjectorConfig,
    OutputProjectorConfig,
    build_input_projector,
    build_output_projector,
)


@dataclass(frozen=True, kw_only=True)
class AnyGenConfig:
    """How the parts are joined; each part has a configuration of its own, and widths are asked of the neighbours."""

    format_version: int = 1
    model_type: str = "anygen"
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    signals: dict[str, SignalSpec] = field(default_factory=dict)
    """Modalities that the model answers in -> their runs of signal tokens."""
    input_projectors: dict[str, InputProjectorConfig] = field(default_factory=dict)
    """Modalities that the model reads -> their input projectors."""
    output_projectors: dict[str, OutputProjectorConfig] = field(default_factory=dict)
    """Modalities that the model answers in -> their output projectors."""
    conditions: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    """What each generator declared it takes, recorded so that the projectors can be built and trained without it."""
    guidance_null: str = "generator"
    """What guidance leads away from: the "generator"'s condition of the empty caption, or the "bridge"'s of no signal,
    which has to be trained."""
    bridges: dict[str, BridgeConfig] = field(default_factory=dict)
    """Modalities whose bridge is another one than a signal bridge. Those with a text bridge are in none of `signals`,
    `output_projectors` and `conditions`."""
    llm_options: dict[str, Any] = field(default_factory=dict)
    """How an LLM that is referred to is loaded: dtype, device_map, quantization_config, ... of its `from_pretrained`."""
    instructions: str = markup.INSTRUCTIONS
    """What a model with text bridges is told about them; `{elements}` stands for one sentence a modality."""

    def __post_init__(self):
        if self.guidance_null not in ("generator", "bridge"):
            raise ValueError(f"guidance_null is {self.guidance_null!r}; expected generator or bridge")
        spoken = {"signals": self.signals, "output_projectors": self.output_projectors, "conditions": self.conditions}
        if len({frozenset(group) for group in spoken.values()}) > 1:
            found = "; ".join(f"{name}: {', '.join(group) or 'none'}" for name, group in spoken.items())
            raise ValueError(f"signals, output_projectors and conditions must name the same modalities; found {found}")
        if both := sorted(set(self.text_modalities) & set(self.signals)):
            raise ValueError(f"found a text bridge and a signal for {', '.join(both)}; expected one of the two")
        if unspoken := sorted(set(self.bridges) - set(self.text_modalities) - set(self.signals)):
            raise ValueError(f"bridges names {', '.join(unspoken)}, which signals does not; expected its run of signal tokens")

    @property
    def text_modalities(self) -> tuple[str, ...]:
        """Modalities that are asked for by captions in the words of the reply."""
        return tuple(modality for modality, bridge in self.bridges.items() if bridge.type == "text")


@dataclass(frozen=True, kw_only=True)
class ModelOutput:
    """One pass over B rows of T positions."""

    logits: Tensor
    """float[B, T, V], of the token after each position."""
    hidden_states: Tensor
    """float[B, T, D_llm]: the last layer's, after the final norm."""
    input_embeddings: Tensor
    """float[B, T, D_llm]: what the LLM read, media merged in."""


class AnyGenModel(nn.Module):
    """Encoders, input projectors, an LLM, signal bridges and generators, each exchangeable.

    Args:
        config: how they are joined.
        encoders: one for each modality that is read; one object may serve several.
        backbone: the LLM with its tokenizer.
        generators: one for each modality that is made. May be left out for training without them.

    Raises:
        AnyGenError: `model_load_error` where a part does not fit its neighbour.
    """

    def __init__(
        self,
        config: AnyGenConfig,
        *,
        encoders: Mapping[str, Encoder],
        backbone: Backbone,
        generators: Mapping[str, Generator] | None = None,
    ):
        super().__init__()
        self.config = config
        self.encoders = nn.ModuleDict(encoders)
        self.backbone = backbone
        self.generators = nn.ModuleDict(generators or {})
        _check_parts(self)
        self.input_projectors = nn.ModuleDict(
            {
                modality: build_input_projector(
                    part,
                    in_dim=encoders[modality].width(modality),
                    out_dim=backbone.width,
                    grid=encoders[modality].grid(modality),
                )
                for modality, part in config.input_projectors.items()
            }
        )
        self.bridges = nn.ModuleDict(
            {
                modality: build_bridge(
                    config.bridges.get(modality, BridgeConfig()),
                    signal=config.signals[modality],
                    projector=build_output_projector(
                        part, in_dim=backbone.width, condition_spec=config.conditions[modality]
                    ),
                )
                for modality, part in config.output_projectors.items()
            }
            | {modality: TextBridge() for modality in config.text_modalities}
        )

    @classmethod
    def from_pretrained(cls, source: str | Path) -> AnyGenModel:
        """Load "nano", a model folder, or a model of the hub; see `checkpoint.load_model`."""
        from anygen.checkpoint import load_model

        return load_model(source)

    def save_pretrained(self, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
        """Write the model folder that `from_pretrained` reads; see `checkpoint.save_model`."""
        from anygen.checkpoint import save_model

        save_model(self, folder, dtype=dtype)

    # Conversations -> token rows

    def collate(
        self,
        conversations: Sequence[Any],
        *,
        add_generation_prompt: bool = False,
        certain_tokens: str = "learned",
    ) -> Inputs:
        """Conversations as one batch, for training (padded right, labels) or to go on speaking (padded left).

        Each is whatever `read_conversation` takes. Raises `modality_not_supported` for media that no part of this model
        reads or makes, and `context_length_exceeded` with both numbers. `certain_tokens`: see `chat.write_script`.
        """
        scripts = [
            self.write_script(conversation, add_generation_prompt=add_generation_prompt, certain_tokens=certain_tokens)
            for conversation in conversations
        ]
        longest, limit = max(len(script.ids) for script in scripts), self.backbone.context_length
        if longest > limit:
            raise AnyGenError(
                "context_length_exceeded",
                f"found a conversation of {longest} tokens; this model takes {limit}; shorten it, or truncate it",
                found=longest,
                limit=limit,
            )
        return pad_scripts(scripts, pad_id=self.backbone.pad_id, side="left" if add_generation_prompt else "right")

    def write_script(self, conversation: Any, **settings: Any) -> Script:
        """One conversation as tokens, media expanded; settings as for `chat.write_script`."""
        return write_script(
            self.instruct(read_conversation(conversation)),
            self.backbone,
            signals=self.config.signals,
            num_tokens=self.num_embeddings,
            **settings,
        )

    def instruct(self, conversation: Conversation) -> Conversation:
        """What the LLM is shown of a conversation: with text bridges it is told how to ask for media, see `markup.instruct`."""
        if not self.config.text_modalities:
            return conversation
        return markup.instruct(
            conversation,
            modalities=[modality for modality in self.config.text_modalities if modality in self.generators],
            instructions=self.config.instructions,
            has_system=self.backbone.has_system_role,
        )

    def truncate(self, conversation: Conversation, *, reserve: int) -> Conversation:
        """Leave out the oldest turns, up to the next one of the user, until `reserve` tokens of the context are free.

        System turns and the last turn stay.
        """
        limit = self.backbone.context_length - reserve
        while len(self.write_script(conversation, add_generation_prompt=True).ids) > limit:
            users = [index for index, turn in enumerate(conversation) if turn.role == "user"]
            if len(users) < 2:
                break
            system = tuple(turn for turn in conversation[: users[1]] if turn.role == "system")
            conversation = system + conversation[users[1] :]
        return conversation

    def num_embeddings(self, part: Part) -> int:
        """K: how many LLM embeddings a user's medium takes."""
        if part.type not in self.input_projectors:
            read = ", ".join(self.input_modalities)
            detail = f"{part.where or 'a part'}: found {part.type}; this model reads {read}"
            raise AnyGenError("modality_not_supported", detail, found=part.type, available=read)
        given = self.encoders[part.type].num_tokens(part.type) if part.features is None else len(part.features)
        return self.input_projectors[part.type].num_tokens(given)

    # Token rows -> logits and states

    def forward(self, inputs: Inputs) -> ModelOutput:
        """Read whole conversations at once."""
        embeddings = self.embed(inputs)
        hidden = self.backbone.read(embeddings, inputs)
        return ModelOutput(logits=self.backbone.logits(hidden), hidden_states=hidden, input_embeddings=embeddings)

    def embed(self, inputs: Inputs) -> Tensor:
        """float[B, T, D_llm]: token embeddings, with each medium's embeddings merged into its slot."""
        embeddings = self.embed_ids(inputs.input_ids)
        if inputs.slots and (own := [slot for slot in inputs.slots if slot.part.type in self.backbone.reads]):
            seen = self.backbone.embed_media(own)
            embeddings = embeddings if seen is None else merge(embeddings, seen.to(embeddings.dtype), own)
        for modality in self.input_projectors:
            slots = [slot for slot in inputs.slots if slot.part.type == modality]
            if slots:
                projector = self.input_projectors[modality]
                features = self.encode(modality, [slot.part for slot in slots])
                projected = projector(features.to(next(projector.parameters()).dtype))  # encoders may be in half precision
                embeddings = merge(embeddings, projected.to(embeddings.dtype), slots)
        return embeddings

    def embed_ids(self, ids: Tensor) -> Tensor:
        """int64[...] -> float[..., D_llm]: rows of the vocabulary, or where an id is negative, queries of the bridges."""
        embeddings = self.backbone.embed(ids.clamp(min=0))
        queries = [bridge.queries for bridge in self.bridges.values() if isinstance(bridge, QueryBridge)]
        if not queries or not (ids < 0).any():
            return embeddings
        return embeddings.index_put((ids < 0).nonzero(as_tuple=True), torch.cat(queries)[-1 - ids[ids < 0]].to(embeddings.dtype))

    @torch.no_grad()
    def encode(self, modality: str, parts: Sequence[Part]) -> Tensor:
        """Encoder tokens of N media, float[N, P, D_enc]: given with the parts, or computed in one batch."""
        encoder, device = self.encoders[modality], self.backbone.device
        features = [part.features for part in parts]
        if media := [part.media for part in parts if part.features is None]:
            computed = iter(encoder(modality, encoder.preprocess(modality, media).to(device)))
            features = [next(computed) if given is None else given for given in features]
        return torch.stack([tokens.to(device) for tokens in features])

    # States of a signal run -> the generator's condition

    def project_out(self, modality: str, spoken: Spoken) -> Condition:
        """What the LLM said at N places -> the condition of N media of one modality."""
        return self.bridges[modality].condition(spoken, generator=self._generator(modality))

    def project_runs(self, output: ModelOutput, runs: Sequence[SignalRun]) -> Condition:
        """The condition of N runs of one modality, read out of a forward pass."""
        (modality,) = {run.part.type for run in runs}
        states, embeddings = gather(output.hidden_states, runs), gather(output.input_embeddings, runs)
        captions = [run.part.caption for run in runs]
        return self.project_out(modality, Spoken(states=states, embeddings=embeddings, captions=captions))

    def null_condition(self, modality: str, batch_size: int) -> Condition:
        """The bridge's condition of no request at all, N times."""
        return self.bridges[modality].null_condition(batch_size, generator=self._generator(modality))

    def _generator(self, modality: str) -> Generator | None:
        return self.generators[modality] if modality in self.generators else None

    @property
    def input_modalities(self) -> tuple[str, ...]:
        """What the model reads, "text" first."""
        return ("text", *self.backbone.reads, *self.input_projectors)

    @property
    def output_modalities(self) -> tuple[str, ...]:
        """What the model answers in, "text" first."""
        return ("text", *self.bridges)


def merge(embeddings: Tensor, media: Tensor, slots: Sequence[MediaSlot]) -> Tensor:
    """Put item n of `media` float[N, K, D] into slot n of `embeddings` float[B, T, D]; returns a new tensor.

    Raises `AnyGenError("placeholder_mismatch")` where a slot is not as long as its medium.
    """
    for slot in slots:
        if slot.length != media.shape[1]:
            raise AnyGenError(
                "placeholder_mismatch",
                f"{slot.part.where or slot.part.type}: found {media.shape[1]} embeddings; expected {slot.length}",
            )
    return embeddings.index_put(_places(slots, device=embeddings.device), media)


def gather(values: Tensor, runs: Sequence[SignalRun]) -> Tensor:
    """The rows of `values` float[B, T, D] at N runs of R positions -> float[N, R, D]."""
    return values[_places(runs, device=values.device)]


def _places(spans: Sequence[MediaSlot | SignalRun], *, device: torch.device) -> tuple[Tensor, Tensor]:
    """(row, position) of N spans of one length L: int64[N, 1] and int64[N, L]."""
    rows = torch.tensor([[span.item] for span in spans], device=device)
    starts = torch.tensor([[span.start] for span in spans], device=device)
    return rows, starts + torch.arange(spans[0].length, device=device)


def _check_parts(model: AnyGenModel) -> None:
    """Refuse parts that do not fit, with both sides named."""
    config, backbone = model.config, model.backbone
    for modality in config.input_projectors:
        if modality not in model.encoders:
            raise AnyGenError(
                "model_load_error", f"input_projectors.{modality}: found no encoder that reads {modality}"
            )
    for modality, signal in config.signals.items():
        known = [token for token, index in zip(signal.tokens, signal.ids, strict=True) if index >= 0]
        found = tuple(backbone.special_ids(known))
        if found != tuple(index for index in signal.ids if index >= 0):
            raise AnyGenError(
                "model_load_error", f"signals.{modality}.ids: found {signal.ids}; the tokenizer has {found}"
            )
    for modality, generator in model.generators.items():
        if modality in config.text_modalities:
            continue
        if modality in config.signals and not generator.is_differentiable:
            raise AnyGenError(
                "model_load_error",
                f"bridges.{modality}: found a {config.bridges.get(modality, BridgeConfig()).type} bridge; no gradient "
                f"reaches what {type(generator).__name__} reads: expected text",
            )
        declared, recorded = generator.condition_spec, config.conditions.get(modality)
        if declared != recorded:
            raise AnyGenError(
                "model_load_error", f"conditions.{modality}: found {recorded}; the generator takes {declared}"
            )
