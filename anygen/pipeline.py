"""The object behind every surface: conversations in, replies with their media out (all nine steps of the data flow).

    pipe = AnyGenPipeline.from_pretrained("nano")
    out = pipe("a large red bell on grass", modalities=["image", "audio"], seed=0)
    out.text, out.images[0], out.audios[0].waveform, out.audios[0].sampling_rate

`__call__` answers one conversation or a batch, `stream` reports a single reply as it is made. Both go through
`answer`, whose steps are the methods below it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

import anygen
from anygen.chat import Inputs
from anygen.decoding import DecodingConfig, Segment, decode
from anygen.errors import AnyGenError
from anygen.generators.generator import Condition, Generator
from anygen.media.load import load_media
from anygen.messages import Conversation, Part, is_batch, read_conversations
from anygen.model import AnyGenModel
from anygen.outputs import AnyGenOutput, OutputPart, converted
from anygen.parameters import GenerationParameters, OnStepEnd, check_generator_parameters
from anygen.seeds import derived_generator, fresh_seed
from anygen.stream import Event, Finished, GenerationStarted, GenerationStep, MediumReady, OnEvent, TextDelta, events_of


@dataclass(kw_only=True)
class Clock:
    """Seconds by stage."""

    timings: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        started = time.perf_counter()
        yield
        self.timings[stage] = self.timings.get(stage, 0.0) + time.perf_counter() - started


@dataclass(frozen=True, kw_only=True)
class MediumRequest:
    """One medium that a reply asks a generator for."""

    item: int
    """Which conversation of the batch."""
    index: int
    """Which medium of its modality in that reply, from 0."""
    segment: Segment


@dataclass(frozen=True, kw_only=True)
class GenerationJob:
    """One denoising batch: N media of one modality.

    Made before the generators' threads start, since they share a tokenizer, and tokenizers are not safe in threads.
    """

    segments: list[Segment]
    condition: Condition
    negative: Condition
    generators: list[torch.Generator]


class AnyGenPipeline:
    """Answers any mix of text, images, video and audio with any mix of them.

    One pipeline answers one call at a time: its generators' schedules are not shared between threads.
    """

    def __init__(self, model: AnyGenModel, *, name: str = ""):
        self.model = model.eval()
        self.name = name

    @classmethod
    def from_pretrained(cls, source: str | Path) -> Self:
        """Load "nano" (inside the package, nothing is fetched), a model folder, or a repository of the hub."""
        return cls(AnyGenModel.from_pretrained(source), name=str(source))

    def save_pretrained(self, folder: str | Path, *, dtype: torch.dtype | None = None) -> None:
        """Write a folder that `from_pretrained` reads back bit by bit; `dtype` sets another precision on disk."""
        self.model.save_pretrained(folder, dtype=dtype)

    def to(self, device: str | torch.device) -> Self:
        """Move every part to a device."""
        self.model.to(device)
        return self

    @property
    def device(self) -> torch.device:
        """Where the LLM is."""
        return self.model.backbone.device

    @property
    def generators(self) -> dict[str, Generator]:
        """The generators by modality."""
        return dict(self.model.generators.items())

    @property
    def components(self) -> dict[str, Any]:
        """The parts by name, those of one kind by modality."""
        groups: dict[str, nn.ModuleDict] = {
            "encoders": self.model.encoders,
            "input_projectors": self.model.input_projectors,
            "bridges": self.model.bridges,
            "generators": self.model.generators,
        }
        backbone = self.model.backbone
        return {"llm": backbone.llm, "tokenizer": backbone.tokenizer} | {k: dict(v.items()) for k, v in groups.items()}

    def __call__(
        self,
        messages: str | Sequence,
        *,
        modalities: Sequence[str] | None = None,
        seed: int | Sequence[int] | None = None,
        num_outputs: int = 1,
        output_type: str = "pil",
        callback_on_step_end: OnStepEnd | None = None,
        truncate: bool = False,
        **parameters: Any,
    ) -> AnyGenOutput | list[AnyGenOutput]:
        """Answer a conversation, or each conversation of a batch.

        Args:
            messages: a string, a list of messages in the hub's chat format, or a list of either: a batch. A film that
                has a sound track is shown and played: its sound follows it as a part of its own.
            modalities: answer with exactly these media, in this order; None leaves the choice to the LLM.
            seed: one, or one for each conversation; item i of a batch is then equal to item i alone.
            num_outputs: candidates of each medium.
            output_type: "pil", "np" or "pt".
            callback_on_step_end: called with (modality, step, num_steps), one call at a time.
            truncate: leave out the oldest turns of a conversation that is too long.
            parameters: max_new_tokens, temperature, top_p, and image, video, audio, each a dict such as
                {"num_inference_steps": 20, "guidance_scale": 3.0}; see `GenerationParameters`.

        Returns:
            One output, or for a batch a list of as many in the same order.

        Raises:
            AnyGenError: invalid_request, invalid_parameter, modality_not_supported, context_length_exceeded, the
                media_... codes, out_of_memory, generation_not_finite.
        """
        read = GenerationParameters.read(
            modalities=modalities,
            seed=seed,
            num_outputs=num_outputs,
            output_type=output_type,
            callback_on_step_end=callback_on_step_end,
            truncate=truncate,
            **parameters,
        )
        outputs = self.answer(read_conversations(messages), read)
        return outputs if is_batch(messages) else outputs[0]

    def stream(self, messages: str | Sequence, **parameters: Any) -> Iterator[Event]:
        """Answer one conversation and report as it goes; parameters as for `__call__`.

        Yields `TextDelta`, `GenerationStarted`, `GenerationStep`, `MediumReady`, and last `Finished` with the output.
        """
        read = GenerationParameters.read(**parameters)
        if is_batch(messages):
            raise AnyGenError("invalid_request", "found a batch; stream() takes one conversation", where="messages")
        conversations = read_conversations(messages)

        def work(on_event: OnEvent) -> None:
            (output,) = self.answer(conversations, read, on_event=on_event)
            on_event(Finished(output=output))

        return events_of(work)

    @torch.no_grad()
    def answer(
        self, conversations: list[Conversation], parameters: GenerationParameters, *, on_event: OnEvent | None = None
    ) -> list[AnyGenOutput]:
        """Answer B conversations that `read_conversations` has read."""
        clock, report = Clock(), _reporter(parameters, on_event)
        self.check_inputs(conversations, parameters)
        seeds = parameters.seeds(len(conversations), fresh=fresh_seed)
        try:
            with clock.measure("total"):
                with clock.measure("load"):
                    conversations = [self.load_media(conversation) for conversation in conversations]
                    inputs = self.prepare_inputs(conversations, parameters)
                with clock.measure("encode"):
                    inputs = self.encode_media(inputs)
                with clock.measure("llm"):
                    replies = self.decode_replies(inputs, parameters, seeds, report)
                media = self.generate_media(replies, parameters, seeds, clock, report)
        except torch.OutOfMemoryError as error:
            detail = f"{error}; answer fewer conversations at a time, or take fewer num_outputs"
            raise AnyGenError("out_of_memory", detail) from error
        return [
            AnyGenOutput(
                parts=self.assemble(reply, media),
                seed=seed,
                timings=clock.timings,
                provenance=self.provenance(parameters, seed),
            )
            for reply, seed in zip(replies, seeds, strict=True)
        ]

    # The steps of `answer`

    def check_inputs(self, conversations: list[Conversation], parameters: GenerationParameters) -> None:
        """Refuse what this model cannot do, before any medium is opened."""
        for modality in parameters.media or ():
            if modality not in self.generators:
                made = ", ".join(("text", *self.generators))
                detail = f"modalities: found {modality}; this model answers in {made}"
                raise AnyGenError("modality_not_supported", detail, found=modality)
        for modality, generator in self.generators.items():
            check_generator_parameters(modality, parameters.of(modality), known=generator.default_parameters)
        for conversation in conversations:
            if conversation[-1].role != "user":
                found = f"the last message is of the role {conversation[-1].role}; expected one of the user to answer"
                raise AnyGenError("invalid_request", found, where="messages[-1].role")
        self.prepare_inputs(conversations, parameters)

    def load_media(self, conversation: Conversation) -> Conversation:
        """Open the user's media (step 1); the sound track of a film becomes a part after it."""

        def loaded(part: Part) -> list[Part]:
            if part.type == "text" or part.features is not None:
                return [part]
            try:
                medium = load_media(part.type, part.media)
            except AnyGenError as error:
                raise AnyGenError(
                    error.code, f"{part.where}: {error.detail}", **{"where": part.where} | error.fields
                ) from error
            parts = [replace(part, media=medium)]
            if part.type == "video" and medium.audio is not None and "audio" in self.model.input_projectors:
                parts.append(Part(type="audio", media=medium.audio, where=part.where))
            return parts

        return tuple(
            replace(turn, parts=tuple(new for part in turn.parts for new in loaded(part)))
            if turn.role == "user"
            else turn
            for turn in conversation
        )

    def prepare_inputs(self, conversations: list[Conversation], parameters: GenerationParameters) -> Inputs:
        """Token rows that end where the assistant begins to speak."""
        if parameters.truncate:
            reserve = min(parameters.max_new_tokens, self.model.backbone.context_length // 2)
            conversations = [self.model.truncate(conversation, reserve=reserve) for conversation in conversations]
        return self.model.collate(conversations, add_generation_prompt=True).to(self.device)

    def encode_media(self, inputs: Inputs) -> Inputs:
        """Encoder tokens in place of media (steps 2 and 3), one batch a modality."""
        encoded = {}
        for modality in self.model.input_projectors:
            indices = [i for i, slot in enumerate(inputs.slots) if slot.part.type == modality]
            if indices:
                features = self.model.encode(modality, [inputs.slots[i].part for i in indices])
                encoded |= dict(zip(indices, features, strict=True))
        slots = [
            replace(slot, part=replace(slot.part, media=None, features=encoded[index]))
            for index, slot in enumerate(inputs.slots)
        ]
        return replace(inputs, slots=slots)

    def decode_replies(
        self, inputs: Inputs, parameters: GenerationParameters, seeds: list[int], report: OnEvent
    ) -> list[list[Segment]]:
        """What the LLM says (steps 4 to 7)."""
        config = DecodingConfig(
            max_new_tokens=parameters.max_new_tokens, temperature=parameters.temperature, top_p=parameters.top_p
        )
        return decode(
            self.model,
            inputs,
            media=parameters.media,
            config=config,
            generators=[derived_generator(seed, "text") for seed in seeds],
            on_text=lambda _, text: report(TextDelta(text=text)),
        )

    def generate_media(
        self,
        replies: list[list[Segment]],
        parameters: GenerationParameters,
        seeds: list[int],
        clock: Clock,
        report: OnEvent,
    ) -> dict[Segment, list]:
        """The candidates of every medium (steps 8 and 9): one denoising batch a generator, generators side by side."""
        requests: dict[str, list[MediumRequest]] = {modality: [] for modality in self.generators}
        for item, reply in enumerate(replies):
            for segment in reply:
                if segment.type != "text":
                    index = sum(request.item == item for request in requests[segment.type])
                    requests[segment.type].append(MediumRequest(item=item, index=index, segment=segment))

        asked = [modality for modality in requests if requests[modality]]
        jobs = [self.prepare_generation(modality, requests[modality], parameters, seeds) for modality in asked]

        def make(modality: str, job: GenerationJob) -> dict[Segment, list]:
            with clock.measure(modality):
                return self.generate(modality, job, parameters, report)

        with ThreadPoolExecutor(max_workers=max(1, len(asked))) as pool:
            made = list(pool.map(make, asked, jobs))
        return {segment: media for each in made for segment, media in each.items()}

    def prepare_generation(
        self, modality: str, requests: list[MediumRequest], parameters: GenerationParameters, seeds: list[int]
    ) -> GenerationJob:
        """Conditions and seeds of all media of one modality, over all replies (step 8)."""
        asked = [(request, candidate) for request in requests for candidate in range(parameters.num_outputs)]
        states = torch.stack([request.segment.states for request, _ in asked])
        embeddings = torch.stack([request.segment.embeddings for request, _ in asked])
        if self.model.config.guidance_null == "bridge":
            negative = self.model.null_condition(modality, len(asked))
        else:
            negative = self.generators[modality].null_condition(len(asked))
        return GenerationJob(
            segments=[request.segment for request, _ in asked],
            condition=self.model.project_out(modality, states, embeddings),
            negative=negative,
            generators=[derived_generator(seeds[r.item], modality, r.index, candidate) for r, candidate in asked],
        )

    @torch.no_grad()  # here too, since the setting belongs to a thread
    def generate(
        self, modality: str, job: GenerationJob, parameters: GenerationParameters, report: OnEvent
    ) -> dict[Segment, list]:
        """One denoising batch (step 9) -> the candidates of each medium."""
        report(GenerationStarted(modality=modality, num_media=len(job.segments)))
        media = self.generators[modality].generate(
            job.condition,
            generators=job.generators,
            negative=job.negative,
            callback=lambda step, num_steps: report(GenerationStep(modality=modality, step=step, num_steps=num_steps)),
            **parameters.of(modality),
        )
        candidates: dict[Segment, list] = {segment: [] for segment in job.segments}
        for index, (segment, medium) in enumerate(zip(job.segments, media, strict=True)):
            medium = converted(medium, parameters.output_type)
            report(MediumReady(modality=modality, media=medium, index=index))
            candidates[segment].append(medium)
        return candidates

    def assemble(self, reply: list[Segment], media: dict[Segment, list]) -> tuple[OutputPart, ...]:
        """The parts of one reply, in the order they were said."""
        parts = []
        for segment in reply:
            if segment.type == "text":
                parts.append(OutputPart(type="text", text=self.model.backbone.decode_text(segment.ids)))
            else:
                candidates = enumerate(media[segment])
                parts += [OutputPart(type=segment.type, media=medium, candidate=index) for index, medium in candidates]
        return tuple(parts)

    def provenance(self, parameters: GenerationParameters, seed: int) -> dict[str, Any]:
        """How a reply was made, as plain data."""
        given = {
            f.name: getattr(parameters, f.name) for f in fields(parameters) if getattr(parameters, f.name) != f.default
        }
        plain = {name: value for name, value in given.items() if name not in ("seed", "callback_on_step_end")}
        return {"model": self.name, "version": anygen.__version__, "seed": seed, "parameters": plain}


def _reporter(parameters: GenerationParameters, on_event: OnEvent | None) -> OnEvent:
    """One place that events go to, one at a time though generators run side by side: the caller's two callbacks."""
    lock = threading.Lock()

    def report(event: Event) -> None:
        with lock:
            if on_event:
                on_event(event)
            if parameters.callback_on_step_end and isinstance(event, GenerationStep):
                parameters.callback_on_step_end(event.modality, event.step, event.num_steps)

    return report
