"""One request of the command line, from the words typed to the record on disk; shared by `generate` and `chat`.

    Request -> AnyGenPipeline -> AnyGenOutput -> media files -> Record, appended to results.jsonl
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from anygen.cli.terminal import StepBars, quiet_libraries, say, waiting
from anygen.errors import AnyGenError
from anygen.parameters import MODALITIES
from anygen.records import Record, append_record, failure, request_id, save_output
from anygen.stream import Finished, GenerationStep, TextDelta

if TYPE_CHECKING:
    from anygen.outputs import AnyGenOutput
    from anygen.pipeline import AnyGenPipeline

ENLARGEMENT_HELP = "How many times as large as the model's own a medium may be, in pixels, frames and seconds together."


@dataclass(frozen=True, kw_only=True)
class Request:
    """A user's turn and how it is to be answered."""

    content: list[dict[str, str]]
    """Parts in the hub's chat format; media by their paths."""
    modalities: list[str] | None
    """What to answer with; None leaves it to the model."""
    model: str
    seed: int
    parameters: dict[str, float] = field(default_factory=dict)
    """Sampling parameters for every generator."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """Messages before this turn."""
    after: str | None = None
    """The record id of the reply that this turn follows."""

    def id(self, *, folder: Path) -> str:
        """The id of the request's record among the results in `folder`."""
        names = ("content", "modalities", "model", "seed", "parameters", "after")
        return request_id({name: getattr(self, name) for name in names}, folder=folder)


def parse_modalities(names: str | None) -> list[str] | None:
    """`"image,audio"` -> `["image", "audio"]`; None stays None. Raises a usage error that lists the valid names."""
    if names is None:
        return None
    modalities = [name.strip() for name in names.split(",")]
    for name in modalities:
        if name not in MODALITIES:
            raise typer.BadParameter(f"found {name!r}; expected one or more of {', '.join(MODALITIES)}", param_hint="--to")
    return list(dict.fromkeys(modalities))


def load_pipeline(model: str) -> AnyGenPipeline:
    """Load a model with a spinner for company. Raises `model_load_error` and the hub's errors."""
    with waiting(f"loading {model}"):
        quiet_libraries()
        from anygen import AnyGenPipeline

        return AnyGenPipeline.from_pretrained(model)


def answer(
    pipeline: AnyGenPipeline, request: Request, *, folder: Path, on_text: Callable[[str], None] | None = None
) -> tuple[Record, AnyGenOutput | None]:
    """Bring a request to its one end: files and an `ok` record, or a `failed` record without an output.

    Either record is on disk on return. An interrupt leaves a `cancelled` record, a bug an `internal_error` one; both
    are raised again. `on_text` is given the words of the reply as they are said.
    """
    identity = {"id": request.id(folder=folder), "model": request.model, "seed": request.seed}
    try:
        output = _run(pipeline, request, on_text=on_text)
        parts = save_output(output, id=identity["id"], folder=folder)
    except AnyGenError as error:
        say(str(error))
        record = failure(error, **identity)
        append_record(record, folder=folder)
        return record, None
    except BaseException as error:
        code = "cancelled" if isinstance(error, KeyboardInterrupt) else "internal_error"
        append_record(failure(AnyGenError(code), **identity), folder=folder)
        raise
    record = Record(**identity, status="ok", text=output.text, parts=parts, timings=output.timings)
    append_record(record, folder=folder)
    return record, output


def _run(pipeline: AnyGenPipeline, request: Request, *, on_text: Callable[[str], None] | None) -> AnyGenOutput:
    """The pipeline's reply, with bars for its denoising steps."""
    messages = [*request.history, {"role": "user", "content": request.content}]
    parameters = {"modalities": request.modalities, "seed": request.seed}
    if request.parameters:
        parameters |= {modality: request.parameters for modality in pipeline.model.bridges}
    with StepBars() as bars:
        for event in pipeline.stream(messages, **parameters):
            match event:
                case TextDelta() if on_text is not None:
                    on_text(event.text)
                case GenerationStep():
                    bars.show(event.modality, event.step, event.num_steps)
                case Finished():
                    return event.output


def summary(record: Record, *, folder: Path) -> str:
    """A record for the eye: what was said, then a line for each file; or what went wrong."""
    if record.error:
        return f"failed: {record.error['message']} ({record.error['code']})"
    return "\n".join([record.text, *media_lines(record, folder=folder)])


def media_lines(record: Record, *, folder: Path) -> list[str]:
    """The files of a record, a line each."""
    return [f"  {folder / part['path']}" for part in record.parts if part["type"] != "text"]
