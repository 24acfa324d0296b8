"""The object behind every surface: conversations in, replies with their media out (all nine steps of the data flow).

    pipe = AnyGenPipeline.from_pretrained("nano")
    out = pipe("a large red bell on grass", modalities=["image", "audio"], seed=0)
    out.text, out.images[0], out.audios[0].waveform, out.audios[0].sampling_rate

`__call__` answers one conversation or a batch, `stream` reports a single reply as it is made. The steps of an answer are
methods below; `scheduling.py` takes any number of requests through them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

import anygen
from anygen.chat import Inputs
from anygen.decoding import DecodingConfig, OnMedium, OnText, Segment, decode, spoken_by
from anygen.errors import AnyGenError
from anygen.generators.generator import Condition, Generator, StepCallback
from anygen.media.load import load_part
from anygen.media.types import MEDIA
from anygen.messages import Conversation, Part, is_batch, read_conversations
from anygen.model import AnyGenModel
from anygen.outputs import AnyGenOutput, OutputPart, Told
from anygen.parameters import GenerationParameters, OnStepEnd
from anygen.remote.llm import RemoteInputs, RemoteLLM
from anygen.presets import is_preset, read_preset
from anygen.scheduling import ItemRequest, MediumRequest, answer_requests
from anygen.seeds import derived_generator, fresh_seed
from anygen.stream import Event, Finished, OnEvent, events_of


class AnyGenPipeline:
    """Answers any mix of text, images, video and audio with any mix of them.

    One pipeline answers one call at a time: its generators' schedules are not shared between threads.
    """

    def __init__(self, model: AnyGenModel, *, name: str = ""):
        self.model = model.eval()
        self.name = name

    @classmethod
    def from_pretrained(cls, source: str | Path) -> Self:
        """Load "nano" (inside the package, nothing is fetched), a model folder, or a repository of the hub.

        The name of a preset (`anygen presets`) composes its parts on the machine's accelerator, where there is one.
        """
        if is_preset(str(source)) and not Path(source).is_dir():
            device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
            return cls.compose(**read_preset(str(source)).compose_arguments(device=device.type if device else "cpu"))
        return cls(AnyGenModel.from_pretrained(source), name=str(source))

    @classmethod
    def compose(cls, *, llm: Any, encoders: Mapping[str, Any] | None = None, **settings: Any) -> Self:
        """Join published parts, which need no training with text bridges (the default); see `anygen/compose.py`.

        Args:
            llm: a repository of the hub (`name/repository`, `@revision` where wanted), a folder, a `Backbone`, or a
                `RemoteLLM` ("openai:http://127.0.0.1:8000/v1#model").
            encoders: modality -> encoder, likewise.
            settings: `image`, `video`, `audio`: what makes them, likewise or as a pipeline of diffusers; `bridge`: "text",
                "signal", "query" or "blend", for all or by modality; the other fields of `Composition`.

        Raises:
            AnyGenError: `model_load_error` naming the part, `hub_unavailable`, `hub_access_denied`, `invalid_parameter`.
        """
        from anygen.compose import Composition, compose, name_of

        generators = {modality: settings.pop(modality) for modality in MEDIA if settings.get(modality) is not None}
        names = [field.name for field in fields(Composition)]
        if unknown := sorted(set(settings) - set(names)):
            expected = ", ".join((*MEDIA, *names))
            raise AnyGenError("invalid_parameter", f"compose: found {', '.join(unknown)}; expected some of {expected}")
        composition = Composition(llm=llm, generators=generators, encoders=encoders or {}, **settings)
        return cls(compose(composition), name=name_of(composition))

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
        is_remote = isinstance(backbone, RemoteLLM)
        llm = {"llm": backbone} if is_remote else {"llm": backbone.llm, "tokenizer": backbone.tokenizer}
        return llm | {name: dict(group.items()) for name, group in groups.items()}

    def __call__(
        self,
        messages: str | Sequence,
        *,
        modalities: Sequence[str] | None = None,
        captions: Sequence[str] | None = None,
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
            captions: one for each of these media, for their generators to read in place of what the LLM would say.
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
            captions=captions,
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

        Yields `TextDelta`, `MediumAsked`, `GenerationStarted`, `GenerationStep`, `MediumReady`, and last `Finished` with the output.
        """
        read = GenerationParameters.read(**parameters)
        if is_batch(messages):
            raise AnyGenError("invalid_request", "found a batch; stream() takes one conversation", where="messages")
        conversations = read_conversations(messages)

        def work(on_event: OnEvent) -> None:
            (output,) = self.answer(conversations, read, on_event=on_event)
            on_event(Finished(output=output))

        return events_of(work)

    def answer(
        self, conversations: list[Conversation], parameters: GenerationParameters, *, on_event: OnEvent | None = None
    ) -> list[AnyGenOutput]:
        """Answer B conversations that `read_conversations` has read; `anygen/scheduling.py` takes them through the steps.

        Raises the first error there is. Events are reported without saying which conversation they are of.
        """
        seeds = parameters.seeds(len(conversations), fresh=fresh_seed)
        requests = [
            ItemRequest(conversation=conversation, parameters=replace(parameters, seed=seed))
            for conversation, seed in zip(conversations, seeds, strict=True)
        ]
        report = on_event and (lambda _, event: on_event(event))
        return answer_requests(self, requests, on_event=report, failures="raised")

    # The steps of an answer

    def check_inputs(self, conversation: Conversation, parameters: GenerationParameters) -> None:
        """Refuse what this model cannot do, before any medium is opened."""
        for modality in parameters.media or ():
            if modality not in self.generators:
                made = ", ".join(("text", *self.generators))
                detail = f"modalities: found {modality}; this model answers in {made}"
                raise AnyGenError("modality_not_supported", detail, found=modality, available=made)
        parameters.check_generators(self.generators)
        if conversation[-1].role != "user":
            found = f"the last message is of the role {conversation[-1].role}; expected one of the user to answer"
            raise AnyGenError("invalid_request", found, where="messages[-1].role")
        self.fit_context(conversation, parameters)

    def load_media(self, conversation: Conversation) -> Conversation:
        """Open the user's media (step 1); the sound track of a film becomes a part after it."""

        def loaded(part: Part) -> list[Part]:
            part = load_part(part)
            if part.type == "video" and part.features is None and part.media.audio is not None:
                if "audio" in self.model.input_modalities:
                    return [part, Part(type="audio", media=part.media.audio, where=part.where)]
            return [part]

        return tuple(
            replace(turn, parts=tuple(new for part in turn.parts for new in loaded(part)))
            if turn.role == "user"
            else turn
            for turn in conversation
        )

    def fit_context(self, conversation: Conversation, parameters: GenerationParameters) -> Conversation:
        """The conversation, without its oldest turns where `truncate` asks for that.

        Raises `context_length_exceeded` for one that is too long still, and `modality_not_supported` for a medium that
        this model does not read. A remote LLM counts its tokens itself, so nothing is left out for one.
        """
        if isinstance(self.model.backbone, RemoteLLM):
            self.model.backbone.check_conversation(conversation)
            return conversation
        if parameters.truncate:
            reserve = min(parameters.max_new_tokens, self.model.backbone.context_length // 2)
            conversation = self.model.truncate(conversation, reserve=reserve)
        self.prepare_inputs([conversation])
        return conversation

    def prepare_inputs(self, conversations: list[Conversation]) -> Inputs | RemoteInputs:
        """Token rows that end where the assistant begins to speak; for a remote LLM the conversations themselves."""
        if isinstance(self.model.backbone, RemoteLLM):
            return RemoteInputs(conversations=conversations)
        return self.model.collate(conversations, add_generation_prompt=True).to(self.device)

    def encode_media(self, inputs: Inputs | RemoteInputs) -> Inputs | RemoteInputs:
        """Encoder tokens in place of media (steps 2 and 3), one batch a modality.

        Media that the LLM reads by itself, and those for a remote LLM, stay as they are.
        """
        if isinstance(inputs, RemoteInputs):
            return inputs
        encoded = {}
        for modality in self.model.input_projectors:
            indices = [i for i, slot in enumerate(inputs.slots) if slot.part.type == modality]
            if indices:
                features = self.model.encode(modality, [inputs.slots[i].part for i in indices])
                encoded |= dict(zip(indices, features, strict=True))
        slots = [
            replace(slot, part=replace(slot.part, media=None, features=encoded[index])) if index in encoded else slot
            for index, slot in enumerate(inputs.slots)
        ]
        return replace(inputs, slots=slots)

    def decode_replies(
        self,
        inputs: Inputs | RemoteInputs,
        parameters: list[GenerationParameters],
        seeds: list[int],
        *,
        on_text: OnText | None = None,
        on_medium: OnMedium | None = None,
        on_step: Callable[[], None] | None = None,
    ) -> list[Told | AnyGenError]:
        """What the LLM says (steps 4 to 7), each reply with its own parameters. Replies of a remote LLM fail one by one."""
        configs = [
            DecodingConfig(
                media=given.media, max_new_tokens=given.max_new_tokens, temperature=given.temperature, top_p=given.top_p
            )
            for given in parameters
        ]
        generators = [derived_generator(seed, "text") for seed in seeds]
        settings = {"configs": configs, "generators": generators}
        settings |= {"on_text": on_text, "on_medium": on_medium, "on_step": on_step}
        if isinstance(inputs, RemoteInputs):
            return self.model.backbone.decode(self.model, inputs, **settings)
        lengths = inputs.attention_mask.sum(dim=1).tolist()
        return [
            Told(segments=reply, num_prompt_tokens=length, num_reply_tokens=sum(len(segment.ids) for segment in reply))
            for reply, length in zip(decode(self.model, inputs, **settings), lengths, strict=True)
        ]

    def requests_of(
        self, reply: list[Segment], parameters: GenerationParameters, seed: int, item: int
    ) -> list[MediumRequest]:
        """The media that a reply asks for, every candidate of each, in the order they were said."""
        requests, counts = [], dict.fromkeys(self.generators, 0)
        for segment in reply:
            if segment.type != "text":
                for candidate in range(parameters.num_outputs):
                    place = {"index": counts[segment.type], "candidate": candidate}
                    requests.append(MediumRequest(item=item, modality=segment.type, seed=seed, segment=segment, **place))
                counts[segment.type] += 1
        return requests

    def project(self, requests: list[MediumRequest]) -> list[MediumRequest]:
        """N media of one modality with their conditions (step 8), one batch.

        Those that a caller's caption asks for have no run to project: their generator reads the caption.
        """
        modality = requests[0].modality
        given = [request for request in requests if request.segment.is_given]
        if 0 < len(given) < len(requests):
            return self.project(given) + self.project([request for request in requests if not request.segment.is_given])
        generator = self.generators[modality]
        if given:
            condition = generator.encode_text([request.segment.caption for request in requests])
        else:
            condition = self.model.project_out(modality, spoken_by([request.segment for request in requests]))
        if self.model.config.guidance_null == "bridge" and not given:
            negative = self.model.null_condition(modality, len(requests))
        else:
            negative = generator.null_condition(len(requests))
        return [
            replace(request, condition=condition.select([row]), negative=negative.select([row]))
            for row, request in enumerate(requests)
        ]

    def generate(
        self, modality: str, requests: list[MediumRequest], settings: dict[str, int | float], callback: StepCallback
    ) -> list[Any]:
        """N media of one modality (step 9), one denoising batch."""
        return self.generators[modality].generate(
            Condition.cat([request.condition for request in requests]),
            negative=Condition.cat([request.negative for request in requests]),
            generators=[request.generator for request in requests],
            callback=callback,
            **settings,
        )

    def assemble(self, reply: list[Segment], media: dict[Segment, list[OutputPart]]) -> tuple[OutputPart, ...]:
        """The parts of one reply, in the order they were said."""
        parts = []
        for segment in reply:
            if segment.type == "text":
                text = self.model.backbone.decode_text(segment.ids) if segment.text is None else segment.text
                parts.append(OutputPart(type="text", text=text))
            else:
                parts += media[segment]
        return tuple(parts)

    def provenance(self, parameters: GenerationParameters, seed: int) -> dict[str, Any]:
        """How a reply was made, as plain data."""
        given = {
            f.name: getattr(parameters, f.name) for f in fields(parameters) if getattr(parameters, f.name) != f.default
        }
        plain = {name: value for name, value in given.items() if name not in ("seed", "callback_on_step_end")}
        return {"model": self.name, "version": anygen.__version__, "seed": seed, "parameters": plain}
