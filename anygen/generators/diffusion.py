"""Generators that are pipelines of diffusers: conditions in place of a prompt, pictures, films or sounds out.

    Condition {"prompt_embeds": (N, L, D), ...} + N seeds --pipeline--> N media          sampling
    latents (N, C, ...) + Condition --pipeline, one step--> denoising loss               training of what makes the condition

One adapter for every text-conditioned pipeline. What it takes is read from it (`conditions.py`), it is trained through its
own call (`pipeline_run.py`, `noise_schedule.py`), and where it deviates there is a row in `families.py`. The three classes
at the end only say how media of a modality look. Latents are drawn with one generator an item, so that an item does not
depend on its batch.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from anygen.errors import AnyGenError
from anygen.generators.conditions import (
    can_encode, call_parameters, declared_shapes, denoiser_of, encode, encode_null, guidance_name, own_condition_names,
    text_parts, to_arguments, unguided,
)  # fmt: skip
from anygen.generators.families import deviation_of
from anygen.generators.generator import Condition, Generator, StepCallback, is_mask
from anygen.generators.latents import encode_samples
from anygen.generators.noise_schedule import draw_noise
from anygen.generators.pipeline_folder import load_pipeline, save_pipeline
from anygen.generators.pipeline_output import check_pipeline, modality_of
from anygen.generators.pipeline_run import absent_stand_ins, copied, predict, until_latents
from anygen.generators.sound import fitted_waveform, sampling_rate_of, waveform_to_sample
from anygen.media.types import Audio, Video
from anygen.parameters import SIZES

__all__ = ["AudioGenerator", "DiffusionGenerator", "ImageGenerator", "VideoGenerator"]

SCALES = ("guidance_scale", "true_cfg_scale")


class DiffusionGenerator(Generator):
    """A text-conditioned diffusion pipeline behind the `Generator` contract.

    Args:
        pipeline: a diffusers pipeline whose `__call__` takes `prompt_embeds`.
        settings: defaults of the sampling parameters where they differ from the pipeline's own.

    Raises:
        AnyGenError("model_load_error"): the pipeline takes no embeddings, makes another modality, or lacks a part.
        AnyGenError("invalid_parameter"): a setting that the pipeline does not have.
    """

    def __init__(self, pipeline: diffusers.DiffusionPipeline, **settings: int | float):
        super().__init__()
        check_pipeline(pipeline, modality=self.modality)
        self.pipeline = pipeline
        self.pipeline.set_progress_bar_config(disable=True)
        self.modules_of_pipeline = nn.ModuleDict(
            {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}
        )
        self.requires_grad_(False).eval()
        self.deviation = deviation_of(pipeline)
        self.own_names = {  # our name of a sampling parameter -> the pipeline's
            name: self.deviation.parameters.get(name, name)
            for name in ("num_inference_steps", *SCALES, *SIZES)
            if self.deviation.parameters.get(name, name) in call_parameters(pipeline)
        }
        if unknown := sorted(set(settings) - set(self.own_names)):
            detail = f"found the settings {', '.join(unknown)} for {type(pipeline).__name__}; expected some of "
            raise AnyGenError("invalid_parameter", detail + ", ".join(self.own_names))
        self.settings_given = settings

    # What it takes: read from the pipeline, once

    @property
    def settings(self) -> dict[str, int | float]:
        """The keyword arguments that make this generator from its pipeline again; kept in the generator's folder."""
        return dict(self.settings_given)

    @cached_property
    def condition_shapes(self) -> dict[str, tuple[int, ...]]:
        """What the pipeline makes of an empty caption, or what its configurations say where it cannot read one."""
        if not can_encode(self.pipeline):
            return declared_shapes(self.pipeline)
        with torch.no_grad():
            return {name: tuple(tensor.shape[1:]) for name, tensor in encode(self.pipeline, [""]).items()}

    @property
    def condition_spec(self) -> dict[str, tuple[int, ...]]:
        return dict(self.condition_shapes)

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """The variables of the pipeline's call at its default sizes: among them the sizes and the latents of an item."""
        blank = {
            name: torch.zeros((1, *shape), device=self.device, dtype=torch.long if is_mask(name) else self.dtype)
            for name, shape in self.condition_shapes.items()
        }
        blank |= {name: torch.ones_like(tensor) for name, tensor in blank.items() if is_mask(name)}
        given = {self.own_names[name]: value for name, value in self.settings_given.items()}
        arguments = to_arguments(self.pipeline, blank) | given | dict(self.deviation.arguments)
        with torch.no_grad():
            return until_latents(self.pipeline, arguments | unguided(self.pipeline))

    @cached_property
    def parameters_by_default(self) -> dict[str, int | float]:
        """Our sampling parameters with the pipeline's defaults; what it works out from its parts is asked of it."""
        signature, found = call_parameters(self.pipeline), {}
        for name, own in self.own_names.items():
            value = self.settings_given.get(name, signature[own].default)
            found[name] = self.resolved.get(own) if value is None and name in SIZES else value
        numbers = {name: value.item() if isinstance(value, np.number) else value for name, value in found.items()}
        return {name: value for name, value in numbers.items() if value is not None}

    @property
    def default_parameters(self) -> dict[str, int | float]:
        return dict(self.parameters_by_default)

    @cached_property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one item's latents at the default size, as the pipeline takes them."""
        return tuple(self.resolved["latents"].shape[1:])

    @property
    def pipeline_components(self) -> dict[str, nn.Module]:
        """The modules of the pipeline by name, for sharing and inspection."""
        return dict(self.modules_of_pipeline.items())

    @property
    def device(self) -> torch.device:
        """Where the pipeline computes, offloaded or not."""
        return self.pipeline._execution_device

    @property
    def dtype(self) -> torch.dtype:
        """The denoiser's type."""
        return denoiser_of(self.pipeline).dtype

    # Conditions

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> Condition:
        """As the contract; raises AnyGenError("model_load_error") where the text encoders are absent."""
        return Condition(encode(self.pipeline, captions))

    def null_condition(self, batch_size: int) -> Condition:
        return Condition.cat([self.null_item] * batch_size)

    @cached_property
    def null_item(self) -> Condition:
        """What the pipeline leads away from by default, for one item."""
        with torch.no_grad():
            return Condition(encode_null(self.pipeline))

    def drop_text_encoders(self) -> None:
        """Free what reads captions, after the shapes and the null condition have been read from it."""
        _ = self.condition_shapes, self.null_item
        for name in text_parts(self.pipeline):
            self.pipeline.register_modules(**{name: None})
            if name in self.modules_of_pipeline:
                del self.modules_of_pipeline[name]

    # Sampling

    @torch.no_grad()
    def generate(
        self,
        condition: Condition,
        *,
        generators: Sequence[torch.Generator],
        negative: Condition | None = None,
        callback: StepCallback | None = None,
        **parameters,
    ) -> list:
        settings = self.default_parameters
        if unknown := sorted(set(parameters) - set(settings)):
            raise ValueError(f"unknown parameters {unknown} for {self.modality}; it takes {', '.join(settings)}")
        if len(generators) != len(condition):
            raise ValueError(f"{len(condition)} conditions and {len(generators)} generators: one seed an item is needed")
        settings |= parameters
        arguments = to_arguments(self.pipeline, condition.tensors) | self.negative_arguments(condition, negative, settings)
        arguments |= {self.own_names[name]: value for name, value in settings.items()} | dict(self.deviation.arguments)
        arguments |= self.step_callback(callback, settings["num_inference_steps"])
        pipeline = copied(self.pipeline) if absent_stand_ins(self.pipeline) else self.pipeline
        try:
            output = pipeline(**arguments, generator=list(generators), output_type="np")
        except ValueError as error:  # sizes that a model cannot make are known to its pipeline alone
            raise AnyGenError("invalid_parameter", f"{type(pipeline).__name__}: {error}") from error
        arrays = np.asarray(output[0])
        if not np.isfinite(arrays).all():
            raise AnyGenError("generation_not_finite", f"the {self.modality} generator gave values that are not finite")
        return [self.to_medium(array) for array in arrays]

    def negative_arguments(self, condition: Condition, negative: Condition | None, settings: dict) -> dict[str, Any]:
        """The negative twins, where classifier-free guidance is on and the pipeline has them."""
        name = guidance_name(self.pipeline)
        own = own_condition_names(self.pipeline)
        has_twins = all(f"negative_{each}" in call_parameters(self.pipeline) for each in own)
        if name is None or settings.get(name, 0) <= self.deviation.guides_above or not has_twins:
            return {}
        negative = negative if negative is not None else self.null_condition(len(condition))
        is_zero = not any(tensor.any() for tensor in negative.tensors.values())
        if self.deviation.zero_negative_left_out and is_zero:
            return {}
        return to_arguments(self.pipeline, negative.tensors, prefix="negative_")

    @abstractmethod
    def to_medium(self, array: np.ndarray):
        """One item of what the pipeline gave, in [0, 1] for pixels and [-1, 1] for samples, as an image or such."""

    def step_callback(self, callback: StepCallback | None, steps: int) -> dict:
        """Our callback in the form that the pipeline takes, which was another before diffusers 0.22."""
        if callback is None:
            return {}
        names = call_parameters(self.pipeline)
        if "callback_on_step_end" in names:

            def on_step_end(pipeline, step, timestep, tensors):
                callback(step + 1, steps)
                return tensors

            return {"callback_on_step_end": on_step_end}
        if "callback" in names:
            return {"callback": lambda step, timestep, latents: callback(step + 1, steps)}
        raise AnyGenError("invalid_parameter", f"{type(self.pipeline).__name__} reports no steps: call it without callback")

    # Training

    def denoising_loss(self, latents: Tensor, condition: Condition, *, generator: torch.Generator) -> Tensor:
        drawn = draw_noise(self.pipeline.scheduler, latents, generator=generator)
        if self.deviation.direct:
            states = condition["prompt_embeds"].to(self.dtype)
            found = denoiser_of(self.pipeline)(drawn.noisy.to(self.dtype), drawn.timesteps, encoder_hidden_states=states)
            predicted = found.sample
        else:
            predicted = self.predict_by_call(drawn.noisy, drawn.timesteps, drawn.sigmas, condition)
        return F.mse_loss(predicted.float(), drawn.target.float())

    def predict_by_call(self, noisy: Tensor, timesteps: Tensor, sigmas: Tensor, condition: Condition) -> Tensor:
        """The prediction of the pipeline's own call for z_t (N, C, ...), each item at its own time; gradients flow.

        Latents are of the default size. Raises AnyGenError("model_load_error") where what reaches the scheduler has
        another shape than the latents.
        """
        predictions = []
        sizes = {self.own_names[name]: value for name, value in self.default_parameters.items() if name in SIZES}
        for index in range(len(noisy)):
            item = condition.select([index]).tensors
            item = {name: tensor if is_mask(name) else tensor.to(self.dtype) for name, tensor in item.items()}
            arguments = to_arguments(self.pipeline, item) | sizes | dict(self.deviation.arguments)
            arguments |= unguided(self.pipeline)
            z = noisy[index : index + 1]
            found = predict(self.pipeline, z.to(self.dtype), timesteps[index], sigmas[index], arguments)
            found = found.transpose(0, 1)[None] if self.deviation.frames_folded else found
            if found.shape != z.shape:
                detail = f"{type(self.pipeline).__name__} predicts {tuple(found.shape)} for latents {tuple(z.shape)}"
                raise AnyGenError("model_load_error", detail)
            predictions.append(found)
        return torch.cat(predictions)

    @torch.no_grad()
    def encode_media(self, media: Sequence) -> Tensor:
        samples = torch.stack([self.to_sample(medium) for medium in media]).to(self.device)
        return encode_samples(self.pipeline, samples)

    @abstractmethod
    def to_sample(self, medium) -> Tensor:
        """One medium -> what the autoencoder sees, values in [-1, 1]."""

    # Folders

    def save_pretrained(self, folder: str | Path, *, leave_out: Sequence[str] = ()) -> None:
        """Write a pipeline folder with `generator.json` in it; the parts in `leave_out` are somebody else's."""
        save_pipeline(self.pipeline, Path(folder), settings=self.settings, leave_out=leave_out)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        parts: dict[str, nn.Module] | None = None,
        torch_dtype: torch.dtype | None = None,
    ) -> DiffusionGenerator:
        """Read a folder written by us or by a pipeline's `save_pretrained`; `parts` are modules that are not in it.

        `DiffusionGenerator.from_pretrained` finds the modality from what the pipeline returns. Weights become
        `torch_dtype`, float32 by default. Only classes of diffusers, of transformers and ours, only safetensors.
        Raises AnyGenError("model_load_error") otherwise.
        """
        pipeline, settings = load_pipeline(Path(folder), parts=parts or {}, torch_dtype=torch_dtype or torch.float32)
        return cls.from_pipeline(pipeline, **settings)

    @classmethod
    def from_pipeline(
        cls, pipeline: diffusers.DiffusionPipeline, *, modality: str | None = None, **settings: int | float
    ) -> DiffusionGenerator:
        """A pipeline as the generator of its modality, which is found from what it returns.

        Raises AnyGenError("model_load_error") where that is not `modality`, or the pipeline cannot be driven.
        """
        found = modality_of(pipeline)
        if modality not in (None, found):
            detail = f"{type(pipeline).__name__} returns {found}; expected a pipeline of the modality {modality}"
            raise AnyGenError("model_load_error", detail)
        chosen = cls if cls is not DiffusionGenerator else MODALITY_CLASSES[found]
        return chosen(pipeline, **settings)


class ImageGenerator(DiffusionGenerator):
    """`StableDiffusionPipeline` and its kin (Rombach et al. 2022): pictures."""

    modality = "image"

    def to_sample(self, medium: Image.Image) -> Tensor:
        size = (self.default_parameters["width"], self.default_parameters["height"])
        return pixels_to_sample(np.asarray(medium.convert("RGB").resize(size)))

    def to_medium(self, array: np.ndarray) -> Image.Image:
        return Image.fromarray(sample_to_pixels(array))


class VideoGenerator(DiffusionGenerator):
    """`TextToVideoSDPipeline` (ModelScope, Wang et al. 2023) and its kin: films.

    `fps`: frames a second; by default the pipeline's `frame_rate`, else what `families.py` knows of it.
    """

    modality = "video"

    def __init__(self, pipeline: diffusers.DiffusionPipeline, *, fps: float | None = None, **settings: int | float):
        super().__init__(pipeline, **settings)
        rate = call_parameters(pipeline).get("frame_rate")
        usual = self.deviation.fps or (rate.default if rate else None)
        if fps is None and usual is None:
            detail = f"{type(pipeline).__name__} does not say its frame rate; expected fps, frames a second"
            raise AnyGenError("model_load_error", detail)
        self.fps = fps or usual

    @property
    def num_frames(self) -> int:
        """Frames of a film by default."""
        return self.default_parameters["num_frames"]

    @property
    def settings(self) -> dict[str, int | float]:
        return super().settings | {"fps": self.fps}

    def to_sample(self, medium: Video) -> Tensor:
        size = (self.default_parameters["width"], self.default_parameters["height"])
        chosen = np.linspace(0, len(medium.frames) - 1, self.num_frames).round().astype(int)
        frames = [np.asarray(Image.fromarray(medium.frames[i]).resize(size)) for i in chosen]
        return torch.stack([pixels_to_sample(frame) for frame in frames])

    def to_medium(self, array: np.ndarray) -> Video:
        return Video(frames=sample_to_pixels(array), fps=self.fps)


class AudioGenerator(DiffusionGenerator):
    """An AudioLDM-style pipeline (Liu et al. 2023), log-mel latents and a vocoder, or Stable Audio: sounds."""

    modality = "audio"

    def to_sample(self, medium: Audio) -> Tensor:
        return waveform_to_sample(self.pipeline, fitted_waveform(self.pipeline, medium, self.latent_shape))

    def to_medium(self, array: np.ndarray) -> Audio:
        mono = array.mean(axis=0) if array.ndim == 2 else array
        waveform = np.clip(mono, -1, 1).astype(np.float32)
        return Audio(waveform=waveform, sampling_rate=sampling_rate_of(self.pipeline))


MODALITY_CLASSES = {"image": ImageGenerator, "video": VideoGenerator, "audio": AudioGenerator}


def pixels_to_sample(pixels: np.ndarray) -> Tensor:
    """uint8 (H, W, 3) -> float (3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 127.5 - 1


def sample_to_pixels(array: np.ndarray) -> np.ndarray:
    """Floats in [0, 1] -> uint8, same shape."""
    return np.round(array * 255).clip(0, 255).astype(np.uint8)
