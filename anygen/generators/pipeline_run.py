"""A diffusers pipeline's own `__call__`, run up to the point where what is wanted is there.

    until_latents     arguments -> what the pipeline had worked out when it asked for latents: sizes, embeddings, latents
    predict           z_t and t -> the prediction that the pipeline hands to its scheduler, with gradients

Both run the undecorated `__call__` (`__call__.__wrapped__`, without its `torch.no_grad`) on a shallow copy whose
scheduler or `prepare_latents` is replaced, so that the pipeline itself never changes. Everything particular to a model
(packing, ids, masks, scaling of times, signs) is thereby done by the pipeline.
"""

from __future__ import annotations

import copy
import inspect
import traceback
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from anygen.errors import AnyGenError
from anygen.generators.families import deviation_of


class Reached(Exception):  # noqa: N818  (not a fault: it carries what was wanted out of the pipeline)
    """Raised inside a pipeline at the point up to which it was to run."""

    def __init__(self, value: Any):
        super().__init__("the pipeline has been run as far as was wanted")
        self.value = value


class ForcedStep:
    """Mixed into a copy of the pipeline's scheduler: one given time, samples as they are, and a step that stops.

    Attributes of the instance: `forced_timestep`, `forced_sigma`, tensors of shape ().
    """

    init_noise_sigma = 1.0

    def set_timesteps(
        self, num_inference_steps=None, device=None, timesteps=None, sigmas=None, mu=None, **unused
    ) -> None:
        """Whatever is asked for, the one time; the names are those that pipelines look for in a signature."""
        self.num_inference_steps = 1
        self.timesteps = self.forced_timestep.reshape(1).to(device)
        self.sigmas = torch.stack([self.forced_sigma, torch.zeros_like(self.forced_sigma)]).to(device)

    def scale_model_input(self, sample: Tensor, *args, **kwargs) -> Tensor:
        """The sample, which has been given the variance that the denoiser was trained on."""
        return sample

    def step(self, model_output: Tensor, *args, **kwargs):
        """Stop with the prediction."""
        raise Reached(model_output)


def forced_scheduler(scheduler, timestep: Tensor, sigma: Tensor):
    """A copy of `scheduler`, of its own class still, that knows one time only."""
    forced = copy.copy(scheduler)
    forced.__class__ = type(type(scheduler).__name__, (ForcedStep, type(scheduler)), {})
    forced.__dict__.pop("init_noise_sigma", None)
    forced.__dict__ |= {"forced_timestep": timestep, "forced_sigma": sigma, "_step_index": None, "_begin_index": None}
    return forced


def undecorated_call(pipeline):
    """The pipeline's `__call__` without its decorators.

    Raises AnyGenError("model_load_error") where the class does not keep it.
    """
    call = type(pipeline).__call__
    if not hasattr(call, "__wrapped__"):
        raise AnyGenError(
            "model_load_error",
            f"{type(pipeline).__name__}.__call__ has no __wrapped__; expected a call decorated by torch.no_grad, under"
            " which gradients can be had",
        )
    return inspect.unwrap(call)


def copied(pipeline, **replaced: Any):
    """A shallow copy in which some attributes are others, and absent text parts can be asked for their dtype."""
    copy_of_it = copy.copy(pipeline)
    stand_ins = {name: stand_in(pipeline) for name in absent_stand_ins(pipeline)}
    if deviation_of(pipeline).classless_features and pipeline.text_encoder is not None:
        stand_ins["text_encoder"] = features_as_tensor(pipeline.text_encoder)
    copy_of_it.__dict__ |= stand_ins | replaced
    return copy_of_it


def absent_stand_ins(pipeline) -> list[str]:
    """The text parts that are asked for their dtype and are not there."""
    return [name for name in deviation_of(pipeline).stand_ins if getattr(pipeline, name) is None]


def stand_in(pipeline) -> SimpleNamespace:
    """What an absent text encoder is asked for: the dtype and device of the embeddings that replace it, and its kind."""
    parts = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
    place = next(part for part in parts if next(part.parameters(), None) is not None)
    asked = {"dtype": place.dtype, "device": place.device, "config": SimpleNamespace(model_type="absent")}
    return SimpleNamespace(**asked, text_model=SimpleNamespace(**asked))


def features_as_tensor(text_encoder) -> SimpleNamespace:
    """A CLAP model as pipelines before transformers 5 know it: `get_text_features` gives the tensor (N, D)."""

    def get_text_features(*args, **kwargs) -> Tensor:
        features = text_encoder.get_text_features(*args, **kwargs)
        return features if isinstance(features, Tensor) else features.pooler_output

    return SimpleNamespace(get_text_features=get_text_features, text_model=text_encoder.text_model)


def until_latents(pipeline, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The local variables of the pipeline's `__call__` when it has prepared its latents, which are "latents"."""
    call = undecorated_call(pipeline)
    prepare = type(pipeline).prepare_latents

    def stop(*args, **kwargs):
        raise Reached(prepare(runner, *args, **kwargs))

    some_time = torch.ones(())
    runner = copied(pipeline, prepare_latents=stop, scheduler=forced_scheduler(pipeline.scheduler, some_time, some_time))
    try:
        call(runner, **arguments)
    except AttributeError as error:  # a part of the text side is not there, or not of the kind that the pipeline expects
        raise AnyGenError("model_load_error", f"{type(pipeline).__name__}: {error}") from error
    except Reached as reached:
        for frame, _ in traceback.walk_tb(reached.__traceback__):
            if frame.f_code is call.__code__:
                prepared = reached.value[0] if isinstance(reached.value, tuple) else reached.value
                return dict(frame.f_locals) | {"latents": prepared}
    raise AnyGenError("model_load_error", f"{type(pipeline).__name__} never calls its prepare_latents")


def predict(pipeline, noisy: Tensor, timestep: Tensor, sigma: Tensor, arguments: Mapping[str, Any]) -> Tensor:
    """What the pipeline predicts of z_t (1, ...) at one time, as it hands it to its scheduler; gradients flow."""
    runner = copied(pipeline, scheduler=forced_scheduler(pipeline.scheduler, timestep, sigma))
    try:
        undecorated_call(pipeline)(runner, latents=noisy, num_inference_steps=1, **arguments)
    except Reached as reached:
        return reached.value
    raise AnyGenError("model_load_error", f"{type(pipeline).__name__} never calls its scheduler's step")
