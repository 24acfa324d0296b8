"""A pipeline's condition tensors: which it takes, what it makes of captions, and how they are handed back to it.

    captions -> the pipeline's own `__call__`, up to its latents -> {"prompt_embeds": (N, L, D), "..._mask": (N, L), ...}

Names are read from the signature of `__call__`, values from its local variables under the same names: so the order and
the form in which a pipeline's `encode_prompt` returns them do not matter. Text states whose length follows the caption
are padded to the pipeline's longest and carry a mask; where the pipeline takes a list of them instead of a mask, the mask
is ours and is applied on the way back.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from anygen.errors import AnyGenError
from anygen.generators.families import deviation_of
from anygen.generators.generator import is_mask
from anygen.generators.pipeline_run import until_latents

CONDITION_NAME = re.compile(r"(?!negative_)(\w*prompt_embeds|\w*attention_mask|\w*embeds_mask)(_\d)?")
"""Parameters of `__call__` that are condition tensors; each may have a twin named negative_..."""
LIST_MASK = "prompt_embeds_mask"
"""Our mask where a pipeline takes a list of text states."""
WIDTHS = ("joint_attention_dim", "caption_channels", "cap_feat_dim", "text_embed_dim", "text_dim", "cross_attention_dim")
"""What configurations call the width of the text states, the first that is there counts."""
POOLED_WIDTHS = ("pooled_projection_dim",)
GENERATED_LENGTH = 8
"""States that AudioLDM 2's language model adds to a caption (Liu et al. 2023, arXiv:2308.05734)."""
MAX_TEXT_LENGTH = 1024
"""A tokenizer that states a longer one states none."""


def call_parameters(pipeline) -> dict[str, inspect.Parameter]:
    """The parameters of the pipeline's `__call__` by name."""
    return dict(inspect.signature(type(pipeline).__call__).parameters)


def own_condition_names(pipeline) -> list[str]:
    """The condition tensors that the pipeline takes, in the order of its signature."""
    unused = deviation_of(pipeline).unused
    return [n for n in call_parameters(pipeline) if CONDITION_NAME.fullmatch(n) and n not in unused]


def takes_lists(pipeline) -> bool:
    """Whether text states are given as a list of tensors of unequal length."""
    return "list" in str(call_parameters(pipeline)["prompt_embeds"].annotation).lower()


def guidance_name(pipeline) -> str | None:
    """The parameter of classifier-free guidance: a distilled pipeline keeps `guidance_scale` for something else."""
    return next((n for n in ("true_cfg_scale", "guidance_scale") if n in call_parameters(pipeline)), None)


def unguided(pipeline) -> dict[str, float]:
    """The argument that turns classifier-free guidance off, for pipelines that guide above 1 and those above 0."""
    name = guidance_name(pipeline)
    return {name: 0.0} if name else {}


def text_parts(pipeline) -> list[str]:
    """Names of the components that read captions and nothing else."""
    return [name for name in pipeline.components if name.startswith(("text_encoder", "language_model"))]


def can_encode(pipeline) -> bool:
    """Whether the first text encoder and its tokenizer are there."""
    return getattr(pipeline, "text_encoder", None) is not None and getattr(pipeline, "tokenizer", None) is not None


def encode(pipeline, captions: Sequence[str]) -> dict[str, Tensor]:
    """Captions -> the condition tensors of N items, as the pipeline itself makes them.

    Raises AnyGenError("model_load_error") where the text encoders are absent.
    """
    _need_encoders(pipeline)
    if deviation_of(pipeline).encodes_alone and len(captions) > 1:
        apart = [encode(pipeline, [caption]) for caption in captions]
        return {name: torch.cat([each[name] for each in apart]) for name in apart[0]}
    found = until_latents(
        pipeline,
        {"prompt": list(captions), **unguided(pipeline), **deviation_of(pipeline).arguments},
    )
    return _tensors(pipeline, {name: found[name] for name in own_condition_names(pipeline)})


def encode_null(pipeline) -> dict[str, Tensor]:
    """What the pipeline itself leads away from without a negative prompt, for one item."""
    names = own_condition_names(pipeline)
    if deviation_of(pipeline).zero_negative_left_out:
        return {name: torch.zeros_like(tensor) for name, tensor in encode(pipeline, [""]).items()}
    if guidance_name(pipeline) is None or any(f"negative_{name}" not in call_parameters(pipeline) for name in names):
        return encode(pipeline, [""])
    _need_encoders(pipeline)
    negative_prompt = {"negative_prompt": [""]} if guidance_name(pipeline) == "true_cfg_scale" else {}
    arguments = {"prompt": [""], guidance_name(pipeline): 2.0, **negative_prompt, **deviation_of(pipeline).arguments}
    found = until_latents(pipeline, arguments)

    def negative(name: str):
        """The first half where the pipeline has joined both already, else the negative twin."""
        joined = isinstance(found[name], Tensor) and len(found[name]) == 2
        return found[name][:1] if joined else found[f"negative_{name}"]

    return _tensors(pipeline, {name: negative(name) for name in names})


def declared_shapes(pipeline) -> dict[str, tuple[int, ...]]:
    """Shapes of one item's condition out of the configurations, for a pipeline without its text encoders.

    Raises AnyGenError("model_load_error") where they do not say it.
    """
    length, shapes = text_length(pipeline), {}
    for name in own_condition_names(pipeline):
        if is_mask(name):
            shapes[name] = (length,)
        elif name.startswith("pooled"):
            shapes[name] = (_pooled_width(pipeline),)
        elif name == "prompt_embeds" and _is_class_label(pipeline):
            shapes[name] = (denoiser_of(pipeline).config.projection_class_embeddings_input_dim,)
        else:
            shapes[name] = (GENERATED_LENGTH if name.startswith("generated") else length, _width(pipeline, name))
    if takes_lists(pipeline):
        shapes[LIST_MASK] = (length,)
    return shapes


def text_length(pipeline) -> int:
    """The most text states of one caption: `max_sequence_length` of the call, else what the tokenizers hold."""
    parameters = call_parameters(pipeline)
    if "max_sequence_length" in parameters:
        return parameters["max_sequence_length"].default + _joined_length(pipeline)
    tokenizers = [part for name, part in pipeline.components.items() if name.startswith("tokenizer") and part is not None]
    lengths = [t.model_max_length for t in tokenizers if t.model_max_length <= MAX_TEXT_LENGTH]
    if not lengths:
        raise _unknown(pipeline, "the number of text states: no tokenizer states its model_max_length")
    return max(lengths)


def _joined_length(pipeline) -> int:
    """Text states that stand before those of `max_sequence_length`."""
    return pipeline.tokenizer.model_max_length if deviation_of(pipeline).joins_text else 0


def to_arguments(pipeline, tensors: Mapping[str, Tensor], *, prefix: str = "") -> dict[str, Tensor | list[Tensor]]:
    """Condition tensors -> arguments of the pipeline; `prefix` "negative_" for what guidance leads away from."""
    no_text = {"negative_prompt": None} if "negative_prompt" in call_parameters(pipeline) else {}  # Sana's default is ""
    if takes_lists(pipeline):
        masks = tensors[LIST_MASK].bool()
        lists = [states[kept] for states, kept in zip(tensors["prompt_embeds"], masks, strict=True)]
        return {f"{prefix}prompt_embeds": lists} | no_text
    return {f"{prefix}{name}": tensors[name] for name in own_condition_names(pipeline)} | no_text


def denoiser_of(pipeline):
    """The module that predicts: `unet` or `transformer`."""
    for name in ("unet", "transformer", "prior"):
        if getattr(pipeline, name, None) is not None:
            return getattr(pipeline, name)
    raise _unknown(pipeline, "a denoiser: it has neither unet nor transformer")


def _tensors(pipeline, values: Mapping[str, Tensor | list[Tensor] | None]) -> dict[str, Tensor]:
    """What the pipeline had -> tensors of its full length, with masks that say where text is."""
    masks = [name for name in values if is_mask(name)]
    if not masks and not takes_lists(pipeline):
        return {name: tensor.detach() for name, tensor in values.items()}
    length = text_length(pipeline)
    states = values["prompt_embeds"]
    if takes_lists(pipeline):
        kept = [torch.ones(len(each), dtype=torch.long, device=each.device) for each in states]
        padded = torch.stack([_padded(each, length) for each in states])
        return {"prompt_embeds": padded.detach(), LIST_MASK: torch.stack([_padded(each, length) for each in kept])}
    ones = torch.ones(states.shape[:2], dtype=torch.long, device=states.device)
    filled = {n: v if not is_mask(n) else ones if v is None else v.long() for n, v in values.items()}  # None: all ones
    own = states.shape[1]
    return {
        name: _padded(tensor.detach(), length, dim=1) if tensor.ndim > 1 and tensor.shape[1] == own else tensor.detach()
        for name, tensor in filled.items()
    }


def _padded(tensor: Tensor, length: int, dim: int = 0) -> Tensor:
    """Zeros behind, up to `length` along `dim`."""
    missing = max(0, length - tensor.shape[dim])
    return F.pad(tensor, (*[0] * (2 * (tensor.ndim - 1 - dim)), 0, missing))


def _width(pipeline, name: str) -> int:
    config = denoiser_of(pipeline).config
    width = next((config[key] for key in WIDTHS if config.get(key)), None)
    if isinstance(width, (list, tuple)) and "generated_prompt_embeds" in own_condition_names(pipeline):
        layers = width[0] if isinstance(width[0], (list, tuple)) else width
        own = [each for each in layers if each]  # AudioLDM2: (None, GPT-2's, T5's) for each block
        width = own[0] if name.startswith("generated") else own[-1]
    if not isinstance(width, int):
        raise _unknown(pipeline, f"the width of {name}: none of {', '.join(WIDTHS)} in the denoiser's configuration")
    return width


def _pooled_width(pipeline) -> int:
    config = denoiser_of(pipeline).config
    for key in POOLED_WIDTHS:
        if config.get(key):
            return config[key]
    if config.get("addition_time_embed_dim") and config.get("projection_class_embeddings_input_dim"):
        return config["projection_class_embeddings_input_dim"] - 6 * config["addition_time_embed_dim"]  # SDXL's six sizes
    raise _unknown(pipeline, "the width of the pooled text states")


def _is_class_label(pipeline) -> bool:
    return denoiser_of(pipeline).config.get("class_embed_type") == "simple_projection"


def _need_encoders(pipeline) -> None:
    if not can_encode(pipeline):
        detail = f"{type(pipeline).__name__} has no text encoder; expected one for captions: give conditions instead"
        raise AnyGenError("model_load_error", detail)


def _unknown(pipeline, what: str) -> AnyGenError:
    return AnyGenError("model_load_error", f"{type(pipeline).__name__}: cannot tell {what}")
