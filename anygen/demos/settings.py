"""What a visitor may set: which media to answer with, the seed, and the parameters of the LLM and of each generator.

The components of the side panel, and the way from their values to the arguments of `AnyGenPipeline.stream`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from anygen.demos.reply import LABELS, TITLES
from anygen.parameters import MAX_ENLARGEMENT, SIDE_MULTIPLE, GenerationParameters

if TYPE_CHECKING:
    from anygen.pipeline import AnyGenPipeline

AUTO = "auto"
"""The toggle that leaves it to the model what to answer with."""
BOUNDS = {"num_inference_steps": (1, 100, 1), "guidance_scale": (0.0, 20.0, 0.5)}
"""Lowest, highest and step of the sliders; another parameter is a number that the generator checks."""
MAX_NEW_TOKENS = 512

CHOOSE_ALONE = f"""(chosen) => {{
    const auto = chosen.length === 0 || chosen[chosen.length - 1] === "{AUTO}";
    return [auto ? ["{AUTO}"] : chosen.filter((name) => name !== "{AUTO}")];
}}"""
"""Run in the page: what was ticked last decides whether it is the model's choice or the visitor's."""


def modality_toggles(pipeline: AnyGenPipeline) -> gr.CheckboxGroup:
    """Auto, text, and a toggle for each medium that the model makes."""
    names = {AUTO: "Auto"} | {name: LABELS[name] for name in ("text", *pipeline.generators)}
    toggles = gr.CheckboxGroup(
        [(label, name) for name, label in names.items()],
        value=[AUTO],
        label="Answer with",
        elem_id="answer-with",
    )
    toggles.input(None, toggles, toggles, js=CHOOSE_ALONE, api_visibility="private")
    return toggles


def parameter_controls(pipeline: AnyGenPipeline) -> dict[str, gr.components.Component]:
    """Build the side panel where it is called; returns its components by the names that `read_settings` takes."""
    defaults = GenerationParameters()
    with gr.Group():
        kinds = [("New for each reply", "fresh"), ("Fixed", "fixed")]
        seed_kind = gr.Radio(kinds, value="fresh", label="Seed", elem_id="seed-kind")
        seed = gr.Number(0, show_label=False, precision=0, visible=False, elem_id="seed")
    private = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    seed_kind.input(lambda kind: gr.update(visible=kind == "fixed"), seed_kind, seed, **private)
    controls = {"seed": seed, "seed_kind": seed_kind}
    with gr.Accordion("Text", open=False):
        controls["temperature"] = gr.Slider(0, 2, value=defaults.temperature, step=0.05, label="temperature")
        controls["top_p"] = gr.Slider(0.05, 1, value=defaults.top_p, step=0.05, label="top p")
        controls["max_new_tokens"] = gr.Slider(
            16, MAX_NEW_TOKENS, value=defaults.max_new_tokens, step=1, label="longest reply, tokens"
        )
    for modality, generator in pipeline.generators.items():
        with gr.Accordion(LABELS[modality], open=False):
            own = generator.default_parameters
            sliders = {name: value for name, value in own.items() if name in BOUNDS}
            for name, value in sliders.items():
                low, high, step = BOUNDS[name]
                slider = gr.Slider(low, high, value=value, step=step, label=TITLES.get(name, name))
                controls[f"{modality}_{name}"] = slider
            with gr.Row(elem_classes=["numbers"]):
                for name, value in own.items():
                    if name not in sliders:
                        step = {"step": SIDE_MULTIPLE, "minimum": SIDE_MULTIPLE} if name in ("height", "width") else {}
                        number = gr.Number(value, label=TITLES.get(name, name), min_width=70, **step)
                        controls[f"{modality}_{name}"] = number
    return controls


def read_settings(pipeline: AnyGenPipeline, modalities: list[str] | None, given: dict[str, Any]) -> dict[str, Any]:
    """Values of the components -> arguments of `AnyGenPipeline.stream`, which refuses more that is wrong with them.

    Raises `invalid_parameter` for media that are far larger than the model's own.
    """
    settings = {name: given[name] for name in ("temperature", "top_p", "max_new_tokens")}
    for modality, generator in pipeline.generators.items():
        values = {name: given[f"{modality}_{name}"] for name in generator.default_parameters}
        whole = {name for name, value in generator.default_parameters.items() if isinstance(value, int)}
        settings[modality] = {name: int(v) if name in whole and v == v // 1 else v for name, v in values.items()}
    settings["max_new_tokens"] = int(settings["max_new_tokens"])
    settings["modalities"] = read_modalities(modalities)
    settings["seed"] = given["seed"] if given["seed_kind"] == "fixed" else None
    GenerationParameters.read(**settings).check_generators(pipeline.generators, max_enlargement=MAX_ENLARGEMENT)
    return settings


def read_modalities(chosen: list[str] | None) -> list[str] | None:
    """The toggles as `modalities`: None for auto, else the media in their usual order, or words alone."""
    if not chosen or AUTO in chosen:
        return None
    media = [name for name in LABELS if name in chosen and name != "text"]
    return media or ["text"]
