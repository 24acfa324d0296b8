"""Which model a command runs: `--model`, or one composed from `--llm` and what makes each medium.

--llm, --image-model, --video-model, --audio-model, --bridge, --max-loaded -> AnyGenPipeline.compose -> AnyGenPipeline
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from anygen.cli.request import load_pipeline
from anygen.cli.terminal import quiet_libraries, waiting

if TYPE_CHECKING:
    from anygen.pipeline import AnyGenPipeline

SOURCES = "a hub id (name/repository@revision), a folder, or openai:http://host:port/v1#model"


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """What the command line says about the model."""

    model: str | None = None
    llm: str | None = None
    generators: dict[str, str] = field(default_factory=dict)
    """Modality -> where what makes it is."""
    bridge: str = "text"
    device: str | None = None
    """Where local parts go; the machine's accelerator where there is one."""
    dtype: str | None = None
    """Of local parts: bfloat16 on an accelerator, float32 on a CPU."""
    max_loaded: int | None = None
    """How many generators may be in memory at a time; all of them where it is not given."""
    api_key_env: str | None = None
    """The environment variable with the key of remote parts."""
    save: Path | None = None
    """The folder that a composition is saved in."""

    def check(self) -> None:
        """Raise a usage error for what does not go together."""
        composed = {"--bridge": self.bridge != "text", "--device": self.device, "--dtype": self.dtype}
        composed |= {"--max-loaded": self.max_loaded, "--api-key-env": self.api_key_env, "--save": self.save}
        composed |= {f"--{modality}-model": True for modality in self.generators}
        if self.llm is None:
            if stray := [name for name, given in composed.items() if given]:
                raise typer.BadParameter(
                    f"found {', '.join(stray)} without --llm; a composition needs an LLM", param_hint=stray[0]
                )
            return
        if self.model is not None:
            raise typer.BadParameter("found --model and --llm; expected one of them", param_hint="--llm")
        if not self.generators:
            expected = "--image-model, --video-model or --audio-model"
            raise typer.BadParameter(f"found --llm alone; expected {expected} with it", param_hint="--llm")


def load_choice(choice: ModelChoice) -> tuple[AnyGenPipeline, str]:
    """The pipeline, and what its records call the model. Raises what `from_pretrained` and `compose` raise."""
    if choice.llm is None:
        name = choice.model or "nano"
        return load_pipeline(name), name
    with waiting(f"composing {choice.llm} and {', '.join(choice.generators)}"):
        quiet_libraries()
        from anygen import AnyGenPipeline

        pipeline = AnyGenPipeline.compose(**compose_arguments(choice))
        if choice.save is not None:
            pipeline.save_pretrained(choice.save)
    return pipeline, pipeline.name


def compose_arguments(choice: ModelChoice) -> dict[str, Any]:
    """What `AnyGenPipeline.compose` takes."""
    from anygen.generators.loading import LoadOptions
    from anygen.remote import RemoteGenerator, is_remote
    from anygen.remote.endpoint import Endpoint

    device, dtype = placement(choice)
    generators: dict[str, Any] = {}
    options = {}
    for modality, source in choice.generators.items():
        generators[modality] = source
        if is_remote(source):
            endpoint = Endpoint.read(source, api_key_env=choice.api_key_env)
            generators[modality] = RemoteGenerator(endpoint, modality=modality)
        elif not source.startswith("index:"):
            options[modality] = LoadOptions(dtype=dtype, device=device)
    if is_remote(choice.llm):
        llm_options = {"api_key_env": choice.api_key_env}
    else:
        llm_options = {"dtype": dtype} | ({} if device == "cpu" else {"device_map": device})
    return {
        "llm": choice.llm,
        **generators,
        "bridge": choice.bridge,
        "llm_options": llm_options,
        "generator_options": options,
        "max_loaded": choice.max_loaded,
    }


def placement(choice: ModelChoice) -> tuple[str, str]:
    """Device and precision of local parts."""
    import torch

    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    device = choice.device or (found.type if found else "cpu")
    return device, choice.dtype or ("float32" if device == "cpu" else "bfloat16")
