"""The three stages that align frozen parts (NExT-GPT sections 4.1, 4.2 and 5.1; survey "MM-LLMs", eq. 2, 4 and 5).

    stage                trains                                     losses
    input_projectors     input projectors                           text
    output_projectors    bridges, signal token rows                 text + alignment (captions) + denoising (media)
    instruction          all of these and LoRA in the LLM           text + alignment + denoising

What is frozen or trained is decided by `freeze_for` alone; `stage_losses` turns a batch of examples into losses.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anygen.chat import Inputs, SignalRun
from anygen.generators.generator import Condition
from anygen.losses import LossWeights, alignment_loss, text_generation_loss
from anygen.messages import Conversation
from anygen.model import AnyGenModel, ModelOutput

logger = logging.getLogger(__name__)

Reader = Callable[[Condition], dict[str, Tensor]]
"""A frozen judge of conditions: (N, ...) -> logits (N, values) of each attribute that it reads in them."""

PARTS = ("input_projectors", "bridges", "token_rows", "lora")
"""What a stage can train."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What one stage trains, and by which losses."""

    trains: tuple[str, ...]
    """Some of `PARTS`."""
    weights: LossWeights
    alignment: str = "mse"
    """How alignment is reduced, see `losses.alignment_loss`."""
    reading: float = 0.3
    """Weight of `reading_loss` where a reader is at hand."""
    denoising_items: dict[str, int] = field(default_factory=lambda: {"image": 2, "video": 1, "audio": 2})
    """At most so many media of a batch go through the generator's denoiser: it costs far more than the LLM."""
    lora_rank: int = 16
    lora_alpha: int = 32

    def __post_init__(self):
        unknown = sorted(set(self.trains) - set(PARTS))
        if unknown or not self.trains:
            raise ValueError(f"trains={self.trains}: expected one or more of {', '.join(PARTS)}")


STAGES = {
    "input_projectors": Stage(
        trains=("input_projectors",), weights=LossWeights(text=1.0, alignment=0.0, denoising=0.0)
    ),
    "output_projectors": Stage(
        trains=("bridges", "token_rows"), weights=LossWeights(text=0.2, alignment=1.0, denoising=0.2)
    ),
    "instruction": Stage(trains=PARTS, weights=LossWeights(text=1.0, alignment=1.0, denoising=0.2)),
}
"""The stages by name, in the order in which they go."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A conversation to learn from; its assistant's media carry captions."""

    conversation: Conversation
    latents: tuple[Tensor | None, ...] = ()
    """For each medium of the assistant in the order said: its latents (C, ...), or None where only its caption is known."""


def freeze_for(model: AnyGenModel, stage: Stage) -> nn.ParameterDict:
    """Freeze everything, then thaw what the stage trains; LoRA and token rows are added on first use.

    Returns the trained parameters by name ("/" for "."), the very tensors of the model. Logs a table of modules.
    """
    if "token_rows" in stage.trains and model.backbone.token_rows is None:
        model.backbone.add_token_rows([index for signal in model.config.signals.values() for index in signal.ids if index >= 0])
    if "lora" in stage.trains and not any("lora_" in name for name, _ in model.backbone.llm.named_parameters()):
        model.backbone.add_lora(rank=stage.lora_rank, alpha=stage.lora_alpha)
    model.requires_grad_(False)
    thawed = {"input_projectors": model.input_projectors, "bridges": model.bridges, "token_rows": model.backbone.token_rows}
    for part in stage.trains:
        if part == "lora":
            for name, parameter in model.backbone.llm.named_parameters():
                parameter.requires_grad_("lora_" in name)
        else:
            thawed[part].requires_grad_(True)
    log_trainable(model)
    return nn.ParameterDict({name.replace(".", "/"): p for name, p in model.named_parameters() if p.requires_grad})


def log_trainable(model: nn.Module) -> None:
    """Log one line a child module: parameters and how many of them are trained."""
    for name, child in model.named_children():
        sizes = [(parameter.numel(), parameter.requires_grad) for parameter in child.parameters()]
        total, trained = sum(size for size, _ in sizes), sum(size for size, learns in sizes if learns)
        logger.info("%-18s %12s parameters %12s trained", name, f"{total:,}", f"{trained:,}")


def stage_losses(
    model: AnyGenModel,
    examples: Sequence[Example],
    stage: Stage,
    *,
    generator: torch.Generator,
    reader: Reader | None = None,
) -> dict[str, Tensor]:
    """Losses of a batch: "text", and "alignment_", "denoising_", "reading_{modality}" where they apply; "loss", their sum.

    `generator` draws which media are denoised, their time steps and noise. `reader`: see `reading_loss`.
    """
    inputs = model.collate([example.conversation for example in examples])
    output = model(inputs)
    losses = {"text": text_generation_loss(output.logits, inputs.labels)}
    total = stage.weights.text * losses["text"]
    if stage.weights.alignment or stage.weights.denoising:
        latents = latents_of_runs(inputs, examples)
        for modality in model.bridges:
            runs = inputs.runs_of(modality)
            if runs:
                known = [latents[run.item, run.start] for run in runs]
                own = bridge_losses(model, output, runs, known, stage, generator=generator, reader=reader)
                weights = {"alignment": stage.weights.alignment, "denoising": stage.weights.denoising, "reading": stage.reading}
                total = total + sum(weights[name] * loss for name, loss in own.items())
                losses |= {f"{name}_{modality}": loss for name, loss in own.items()}
    return {"loss": total} | losses


def bridge_losses(
    model: AnyGenModel,
    output: ModelOutput,
    runs: Sequence[SignalRun],
    latents: Sequence[Tensor | None],
    stage: Stage,
    *,
    generator: torch.Generator,
    reader: Reader | None = None,
) -> dict[str, Tensor]:
    """"alignment", "denoising" and "reading" of the runs of one modality, as far as they apply.

    The condition of no signal at all is aligned to that of the empty caption beside the others (MiniGPT-5 section 3.3),
    so that guidance leads away from something the bridge has learnt.
    """
    modality = runs[0].part.type
    frozen = model.generators[modality]
    condition = model.project_runs(output, runs)
    with torch.no_grad():
        target = frozen.encode_text([run.part.caption for run in runs] + [""])
    projected = Condition.cat([condition, model.null_condition(modality, 1)])
    losses = {"alignment": alignment_loss(projected, target, reduce=stage.alignment)}
    if reader is not None and stage.reading:
        losses["reading"] = reading_loss(reader(projected), reader(target))
    with_media = [index for index, known in enumerate(latents) if known is not None]
    limit = stage.denoising_items.get(modality, 0)
    if stage.weights.denoising and limit and with_media:
        order = torch.randperm(len(with_media), generator=generator)[:limit].tolist()
        chosen = [with_media[index] for index in order]
        media = torch.stack([latents[index].float() for index in chosen]).to(model.backbone.device)
        losses["denoising"] = frozen.denoising_loss(media, condition.select(chosen), generator=generator)
    return losses


def reading_loss(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> Tensor:
    """Cross entropy of what a reader reads in projected conditions against what it reads in the generator's own.

    Alignment in the space of attributes: it tells the bridge which differences between conditions carry meaning, long
    before their squared error is small. Logits (N, values) of each attribute; the mean over items, summed over attributes.
    """
    return sum(F.cross_entropy(found[name], logits.softmax(dim=-1)) for name, logits in wanted.items())


def latents_of_runs(inputs: Inputs, examples: Sequence[Example]) -> dict[tuple[int, int], Tensor | None]:
    """(row, start) of each signal run -> the latents that the example gives for it.

    Raises ValueError where an example gives latents for another number of media than its assistant makes.
    """
    starts = defaultdict(list)
    for run in inputs.runs:
        starts[run.item].append(run.start)
    found = {}
    for item, example in enumerate(examples):
        places = sorted(starts[item])
        given = example.latents or (None,) * len(places)
        if len(given) != len(places):
            raise ValueError(f"example {item}: found {len(given)} latents for {len(places)} media of the assistant")
        found |= {(item, start): latents for start, latents in zip(places, given, strict=True)}
    return found
