"""Joins published parts into an any-to-any model: an LLM, generators, and where there are some, encoders.

    llm, image=, video=, audio= -> load each -> bridges between them -> AnyGenModel

With text bridges, the default, nothing needs training: the LLM writes captions (`bridges/markup.py`). Learned bridges
and input projectors are built with random weights, to be trained by the stages of `training/stages.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anygen.backbones import Backbone, BackboneConfig
from anygen.bridges import BRIDGES, INSTRUCTIONS, BridgeConfig, SignalSpec
from anygen.encoders import Encoder, load_encoder
from anygen.encoders.encoder import locate
from anygen.errors import AnyGenError
from anygen.generators.generator import Generator
from anygen.generators.lazy import GeneratorBudget, LazyGenerator
from anygen.generators.loading import LoadOptions, load_generator, plain
from anygen.media.types import MEDIA
from anygen.model import AnyGenConfig, AnyGenModel
from anygen.projectors import InputProjectorConfig, OutputProjectorConfig
from anygen.remote import RemoteGenerator, RemoteLLM, is_remote
from anygen.retrieval import RetrievalGenerator, Retrieve
from anygen.retrieval.generator import PREFIX, is_index

NUM_SIGNAL_TOKENS = {"image": 4, "video": 24, "audio": 8}
"""R of a learned bridge, as NExT-GPT has them (section 4.2)."""

Source = str | Path | Any
"""A repository of the hub (`name/repository`, with `@revision` where wanted), a folder, or the part itself; of an LLM
or a generator also where another program serves it, `openai:http://host:port/v1#model` (`anygen/remote`); of a
generator also an index of media to find them in, `index:FOLDER` (`anygen/retrieval`)."""


@dataclass(frozen=True, kw_only=True)
class Composition:
    """What is joined, and how."""

    llm: Source
    """An LLM of transformers, a `Backbone`, or a `RemoteLLM`."""
    generators: Mapping[str, Source] = field(default_factory=dict)
    """Modality -> what makes it: a pipeline of diffusers or a `Generator`."""
    encoders: Mapping[str, Source] = field(default_factory=dict)
    """Modality -> what reads it, an `Encoder` or where one is. Its input projector has to be trained before it is of
    use."""
    bridge: str | Mapping[str, str | BridgeConfig] = "text"
    """A key of `BRIDGES`, for every modality or for each."""
    input_projector: InputProjectorConfig = field(default_factory=InputProjectorConfig)
    output_projector: OutputProjectorConfig = field(default_factory=OutputProjectorConfig)
    num_signal_tokens: Mapping[str, int] = field(default_factory=lambda: NUM_SIGNAL_TOKENS)
    """Modality -> R: tokens of a run, or queries behind the token that asks."""
    llm_options: Mapping[str, Any] = field(default_factory=dict)
    """Passed to the LLM's `from_pretrained`: dtype, device_map, quantization_config, attn_implementation; to a remote
    one: the arguments of `RemoteLLM`, e.g. api_key_env, reads."""
    generator_options: Mapping[str, LoadOptions] = field(default_factory=dict)
    """Modality -> how its generator is loaded and run."""
    max_loaded: int | None = None
    """How many generators may be in memory at a time: they are loaded when first used, and the one used longest ago
    makes room. None loads them all at once. It concerns those that are given by where they are."""
    instructions: str = INSTRUCTIONS
    """What the LLM is told about captions; `{elements}` stands for one sentence a modality, see `bridges/markup.py`."""
    retrieve: Mapping[str, Retrieve] = field(default_factory=dict)
    """Modality -> the index in which its media are looked for before one is made."""

    def __post_init__(self):
        for name in ("generators", "encoders", "generator_options", "retrieve"):
            if unknown := sorted(set(getattr(self, name)) - set(MEDIA)):
                raise _invalid(f"{name}: found {', '.join(unknown)}; expected some of {', '.join(MEDIA)}")
        if missing := sorted(set(self.retrieve) - set(self.generators)):
            raise _invalid(
                f"retrieve: found {', '.join(missing)}, for which no generator is given; alone, an index is a generator"
            )
        if "{elements}" not in self.instructions:
            raise _invalid("instructions: found no {elements} in them; expected where the LLM is told of its media")
        if self.max_loaded is not None and (type(self.max_loaded) is not int or self.max_loaded < 1):
            raise _invalid(f"max_loaded: found {self.max_loaded!r}; expected a whole number of at least 1, or None")
        if not self.generators and not self.encoders:
            raise _invalid("found an LLM alone; name one generator or encoder at least")
        for modality, bridge in self.bridges.items():
            if bridge.type != "text" and self.num_signal_tokens.get(modality, 0) < 1:
                raise _invalid(f"num_signal_tokens[{modality!r}]: found none; a {bridge.type} bridge needs one or more")

    @property
    def bridges(self) -> dict[str, BridgeConfig]:
        """The bridge of each modality that is made."""
        named = self.bridge if isinstance(self.bridge, Mapping) else dict.fromkeys(self.generators, self.bridge)
        if unknown := sorted(set(named) - set(self.generators)):
            raise _invalid(f"bridge: found {', '.join(unknown)}, for which no generator is given")
        bridges = {}
        for modality in self.generators:
            given = named.get(modality, "text")
            if not isinstance(given, BridgeConfig):
                if given not in BRIDGES:
                    raise _invalid(f"bridge: found {given!r}; expected one of {', '.join(BRIDGES)}")
                given = BridgeConfig(type=given)
            bridges[modality] = given
        return bridges


def compose(composition: Composition) -> AnyGenModel:
    """Load what is not loaded yet, and join it.

    Raises:
        AnyGenError: `model_load_error` for a part that does not load, or that is of no use here, by name;
            `hub_unavailable` and `hub_access_denied`; `invalid_parameter` for a composition that names things that do
            not exist.
    """
    backbone = load_backbone(composition.llm, composition.llm_options)
    budget = None if composition.max_loaded is None else GeneratorBudget(max_loaded=composition.max_loaded)
    generators = {
        modality: _load_generator(source, modality, composition.generator_options.get(modality), budget)
        for modality, source in composition.generators.items()
    }
    for modality, wanted in composition.retrieve.items():
        generators[modality] = RetrievalGenerator(
            wanted.index, modality=modality, otherwise=generators[modality], min_similarity=wanted.min_similarity
        )
    encoders = _load_encoders(composition.encoders)
    bridges = composition.bridges
    learned = {modality: bridge for modality, bridge in bridges.items() if bridge.type != "text"}
    _check_learned_bridges(backbone, generators, encoders, learned)
    config = AnyGenConfig(
        backbone=backbone.config,
        signals=_add_signals(backbone, learned, composition.num_signal_tokens),
        input_projectors=dict.fromkeys(encoders, composition.input_projector),
        output_projectors=dict.fromkeys(learned, composition.output_projector),
        conditions={modality: generators[modality].condition_spec for modality in learned},
        bridges={modality: bridge for modality, bridge in bridges.items() if bridge.type != "signal"},
        llm_options={} if isinstance(backbone, RemoteLLM) else plain(dict(composition.llm_options)),
        instructions=composition.instructions,
    )
    return AnyGenModel(config, encoders=encoders, backbone=backbone, generators=generators).eval()


def load_backbone(source: Source, options: Mapping[str, Any]) -> Backbone | RemoteLLM:
    """The LLM with its tokenizer, frozen where it came from a repository or a folder; or a remote one."""
    if isinstance(source, (Backbone, RemoteLLM)):
        if options:
            raise _invalid(f"llm_options: found {', '.join(options)} for an LLM that is there already")
        return source
    if is_remote(source):
        return RemoteLLM(source, **options)
    if not isinstance(source, (str, Path)):
        raise _invalid(f"llm: found a {type(source).__name__}; expected a repository, a folder or a Backbone")
    folder, reference = locate(source)
    settings = BackboneConfig(media_start="", media_end="")
    backbone = Backbone.from_pretrained(folder, config=settings, **options)
    backbone.source = reference or str(folder.resolve())
    return backbone


def _load_generator(
    source: Source, modality: str, options: LoadOptions | None, budget: GeneratorBudget | None
) -> Generator:
    """One generator, which remembers where it came from; a lazy one under a budget."""
    if is_remote(source) or is_index(source):
        if options is not None:
            raise _invalid(
                f"generator_options[{modality!r}]: found some for {source}, which is no pipeline of diffusers"
            )
        if is_remote(source):
            return RemoteGenerator(source, modality=modality)
        return RetrievalGenerator(source.removeprefix(PREFIX), modality=modality)
    if not isinstance(source, (str, Path)):
        return load_generator(source, modality=modality, options=options)
    folder, reference = locate(source)
    place = reference or str(folder.resolve())
    if budget is not None:
        return LazyGenerator.from_source(place, modality=modality, options=options, budget=budget)
    generator = load_generator(source, modality=modality, options=options)
    # A reference gives nobody leave to read pickles: what was read of them is saved with the model.
    generator.source = None if options is not None and options.allow_pickle else place
    return generator


def name_of(composition: Composition) -> str:
    """What a composition is called in records: where its LLM and its generators are, or their classes."""
    names = []
    for source in (composition.llm, *composition.generators.values()):
        if isinstance(source, (RemoteLLM, RemoteGenerator)):
            names.append(source.remote.endpoint.source)
        else:
            names.append(str(source) if isinstance(source, (str, Path)) else type(source).__name__)
    return " + ".join(names)


def _check_learned_bridges(
    backbone: Backbone | RemoteLLM,
    generators: Mapping[str, Generator],
    encoders: Mapping[str, Any],
    learned: Mapping[str, Any],
) -> None:
    """Refuse what needs the inside of a part that is elsewhere, and bridges that no gradient would reach."""
    if isinstance(backbone, RemoteLLM) and (learned or encoders):
        found = ", ".join(
            [f"the {bridge.type} bridge of {m}" for m, bridge in learned.items()]
            + [f"an encoder of {m}" for m in encoders]
        )
        raise _invalid(
            f"llm: found {found}; a remote LLM takes and gives words: expected text bridges, and reads= for media"
        )
    for modality, bridge in learned.items():
        generator = generators[modality]
        maker = generator.otherwise if isinstance(generator, RetrievalGenerator) else generator
        if isinstance(maker, RemoteGenerator):
            raise _invalid(
                f"bridge[{modality!r}]: found {bridge.type}; a remote generator reads captions: expected text"
            )
        if not maker.is_differentiable:
            name = maker.known().class_name if isinstance(maker, LazyGenerator) else type(maker).__name__
            raise _invalid(
                f"bridge[{modality!r}]: found {bridge.type}; no gradient reaches what {name} reads: expected text"
            )


def _load_encoders(sources: Mapping[str, Source]) -> dict[str, Encoder]:
    """Encoders by modality; one that is named for several is loaded once."""
    loaded: dict[str, Encoder] = {}
    encoders = {}
    for modality, source in sources.items():
        if isinstance(source, (str, Path)):
            if str(source) not in loaded:
                loaded[str(source)] = load_encoder(source)
                loaded[str(source)].source = loaded[str(source)].source or str(Path(source).resolve())
            source = loaded[str(source)]
        if not isinstance(source, Encoder):
            raise _invalid(
                f"encoders[{modality!r}]: found a {type(source).__name__}; expected an Encoder, or where one is"
            )
        source.check_modality(modality)
        encoders[modality] = source
    return encoders


def _add_signals(
    backbone: Backbone, bridges: Mapping[str, BridgeConfig], counts: Mapping[str, int]
) -> dict[str, SignalSpec]:
    """New tokens for the learned bridges: a run of R, or one that asks and R queries, numbered over all modalities."""
    signals, num_queries = {}, 0
    for modality, bridge in bridges.items():
        count = counts[modality]
        if bridge.type == "query":
            (first,) = backbone.add_tokens([f"<{modality}_0>"])
            queries = tuple(-1 - number for number in range(num_queries, num_queries + count))
            num_queries += count
            names = tuple(f"query {number}" for number in range(count))
            signals[modality] = SignalSpec(tokens=(f"<{modality}_0>", *names), ids=(first, *queries))
        else:
            tokens = tuple(f"<{modality}_{number}>" for number in range(count))
            signals[modality] = SignalSpec(tokens=tokens, ids=tuple(backbone.add_tokens(tokens)))
    return signals


def _invalid(detail: str) -> AnyGenError:
    return AnyGenError("invalid_parameter", detail)
