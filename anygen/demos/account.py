"""What happened: how each medium of a reply came about, in figures and as HTML.

    reply -> per medium: its signal tokens, the generator that they drove, its settings and seconds, and the cosine of
    the condition that the output projector made with the generator's own encoding of the words said before the medium

The second cosine is the aim of the alignment loss (survey eq. 4): 1 means that the generator could not tell the LLM's
signal from a caption typed by hand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from anygen.demos.reply import LABELS, TITLES

if TYPE_CHECKING:
    from anygen.generators.generator import Condition
    from anygen.outputs import AnyGenOutput
    from anygen.pipeline import AnyGenPipeline

STAGES = {"load": "load", "encode": "encode", "llm": "LLM"}
"""Stages before the generators, as the timings and as the page name them."""
LEAD = re.compile(r"^(and|so|now|then|ok|okay|sure)?[,!]?\s*(here\s+(is|are)|here's|this is|these are)\s+", re.IGNORECASE)
"""What comes before a caption in a sentence such as "And here is the sound of a bell."."""


@dataclass(frozen=True, kw_only=True)
class MediumAccount:
    """How one medium came about."""

    modality: str
    tokens: tuple[str, ...]
    """The run of signal tokens that the LLM said."""
    generator: str
    """The class of the generator that the run drove."""
    parameters: dict[str, int | float]
    seconds: float
    """Of all media of its modality in the reply: they are denoised together."""
    caption: str
    """What the reply says just before the medium; "" where it says nothing."""
    is_shared: bool
    """Whether another medium stands between those words and this one, so that they may not tell of it."""
    cosine: float | None
    """Between the projected condition and the generator's encoding of the caption."""
    cosine_empty: float | None
    """Between the same condition and the encoding of an empty caption, to compare with."""


def account_for(pipeline: AnyGenPipeline, output: AnyGenOutput) -> list[MediumAccount]:
    """One row for each medium of a reply, in the order they were said."""
    accounts, words, num_since = [], "", 0
    for part in output.parts:
        if part.type == "text":
            words, num_since = part.text, 0
            continue
        generator, caption = pipeline.generators[part.type], announced(words)
        own = generator.encode_text([caption, ""]) if caption else None
        given = output.provenance["parameters"].get(part.type) or {}
        accounts.append(
            MediumAccount(
                modality=part.type,
                tokens=part.signal.tokens,
                generator=type(generator).__name__,
                parameters=generator.default_parameters | dict(given),
                seconds=output.timings[part.type],
                caption=caption,
                is_shared=num_since > 0,
                cosine=cosine(part.signal.condition, own.select([0])) if caption else None,
                cosine_empty=cosine(part.signal.condition, own.select([1])) if caption else None,
            )
        )
        num_since += 1
    return accounts


def announced(words: str) -> str:
    """The caption in the words before a medium: their last sentence, without what leads to it.

    >>> announced("Of course! And here is the sound of a bell.")
    'the sound of a bell'
    """
    sentences = [sentence.strip() for sentence in re.split(r"(?<=[.!?])\s+", words) if sentence.strip()]
    return LEAD.sub("", sentences[-1]).rstrip(" .!:") if sentences else ""


def cosine(ours: Condition, theirs: Condition) -> float:
    """Cosine similarity of two conditions of one item, over all their numbers."""
    import torch

    flat = [torch.cat([condition[name].flatten().float() for name in sorted(ours.tensors)]) for condition in (ours, theirs)]
    return float(torch.nn.functional.cosine_similarity(*flat, dim=0))


def account_page(accounts: list[MediumAccount], output: AnyGenOutput) -> str:
    """The panel of one reply, as HTML."""
    timings = output.timings
    stages = [f"{label} {timings[stage]:.2f} s" for stage, label in STAGES.items() if timings.get(stage, 0) >= 0.005]
    total = f"{timings['total']:.2f} s in all"
    cards = "".join(_card(account) for account in accounts)
    nothing = '<p class="quiet">Words only: no signal tokens were said, no generator ran.</p>'
    facts = f"seed {output.seed} &middot; {' &middot; '.join(stages)} &middot; <b>{total}</b>"
    return f'<div class="account"><p class="facts">{facts}</p>{cards or nothing}</div>'


def _card(account: MediumAccount) -> str:
    tokens = "".join(f'<span class="token">{escape(token)}</span>' for token in account.tokens)
    settings = ", ".join(f"{TITLES.get(name, name)} {value:g}" for name, value in account.parameters.items())
    rows = [
        f'<div class="head"><b>{LABELS[account.modality]}</b><span>{account.seconds:.2f} s</span></div>',
        f'<div class="tokens">{tokens}</div>',
        f'<div class="drove">drove <code>{escape(account.generator)}</code><br>{escape(settings)}</div>',
    ]
    if account.cosine is None:
        rows.append('<div class="quiet">nothing was said about it, so there is no caption to compare with</div>')
    else:
        width = max(0, round(100 * account.cosine))
        shared = ", words that were said for the medium before it" if account.is_shared else ""
        rows += [
            f'<div class="cosine"><span class="track"><span class="fill" style="width:{width}%"></span></span>'
            f"<b>{account.cosine:.3f}</b></div>",
            f'<div class="quiet">cosine with the generator\'s own encoding of <i>{escape(account.caption)}</i>{shared}'
            f" (of an empty caption: {account.cosine_empty:.3f})</div>",
        ]
    return f'<div class="card {account.modality}">{"".join(rows)}</div>'
