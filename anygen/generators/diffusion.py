"""Generators that are pipelines of diffusers: conditions in as `prompt_embeds`, pictures, films or sounds out.

    Condition {"prompt_embeds": (N, L, D)} + N seeds --pipeline--> N media          sampling
    latents (N, C, ...) + Condition --unet--> denoising loss                         training of what makes the condition

The pipeline does the denoising itself; a leaf below only says how its media look. Latents are always drawn here, one
generator an item, so that an item does not depend on its batch.
"""

from __future__ import annotations

import importlib
import json
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import diffusers
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from anygen.errors import AnyGenError
from anygen.generators.autoencoder import PatchAutoencoder
from anygen.generators.generator import Condition, Generator, StepCallback
from anygen.media.sampling import resample
from anygen.media.types import Audio, Video


def own_classes() -> dict[str, type]:
    """The classes of ours that a pipeline folder may name; every other one is diffusers' or transformers'."""
    from anygen.generators.audio_pipeline import AudioLatentDiffusionPipeline
    from anygen.generators.unet_3d import TextPooledUNet3D
    from anygen.generators.vocoder import GriffinLimVocoder

    return {
        "AudioLatentDiffusionPipeline": AudioLatentDiffusionPipeline,
        "GriffinLimVocoder": GriffinLimVocoder,
        "PatchAutoencoder": PatchAutoencoder,
        "TextPooledUNet3D": TextPooledUNet3D,
    }


class DiffusionGenerator(Generator):
    """A text-conditioned latent diffusion pipeline behind the `Generator` contract.

    `pipeline`: a diffusers pipeline with `encode_prompt`, `unet`, `vae`, `scheduler`, that takes `prompt_embeds`,
    `negative_prompt_embeds` and `latents`.
    """

    def __init__(self, pipeline: diffusers.DiffusionPipeline, *, num_inference_steps: int = 20, guidance_scale: float = 3.0):
        super().__init__()
        self.pipeline = pipeline
        self.pipeline.set_progress_bar_config(disable=True)
        self.modules_of_pipeline = nn.ModuleDict(
            {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}
        )
        self.requires_grad_(False).eval()
        self.sampling = {"num_inference_steps": num_inference_steps, "guidance_scale": guidance_scale}

    @property
    def default_parameters(self) -> dict[str, int | float]:
        return dict(self.sampling)

    @property
    def settings(self) -> dict[str, int | float]:
        """The constructor's arguments beside the pipeline; kept in the generator's folder."""
        return dict(self.sampling)

    @property
    def settings(self) -> dict[str, int | float]:
        """The keyword arguments that make this generator from its pipeline again."""
        return dict(self.sampling)

    @property
    def pipeline_components(self) -> dict[str, nn.Module]:
        """The modules of the pipeline by name, for sharing and inspection."""
        return dict(self.modules_of_pipeline.items())

    @property
    def condition_spec(self) -> dict[str, tuple[int, ...]]:
        return {"prompt_embeds": (self.pipeline.tokenizer.model_max_length, self.pipeline.unet.config.cross_attention_dim)}

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of one item's latents, (C, ...)."""
        size = self.pipeline.unet.config.sample_size
        height, width = (size, size) if isinstance(size, int) else size
        return (self.pipeline.unet.config.in_channels, height, width)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def encode_text(self, captions: Sequence[str]) -> Condition:
        embeds, _ = self.pipeline.encode_prompt(list(captions), self.device, 1, False)
        return Condition({"prompt_embeds": embeds})

    @torch.no_grad()
    def encode_media(self, media: Sequence) -> Tensor:
        samples = torch.stack([self.to_sample(medium) for medium in media]).to(self.device)
        return self.encode_samples(samples) * self.pipeline.vae.config.scaling_factor

    @abstractmethod
    def to_sample(self, medium) -> Tensor:
        """One medium -> what the autoencoder sees, values in [-1, 1]."""

    def encode_samples(self, samples: Tensor) -> Tensor:
        """Samples (N, C, H, W) -> unscaled latents (N, C', H/f, W/f)."""
        encoded = self.pipeline.vae.encode(samples)
        return encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents

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
        unknown = sorted(set(parameters) - set(self.sampling))
        if unknown:
            raise ValueError(f"unknown parameters {unknown} for {self.modality}; it takes {', '.join(self.sampling)}")
        if len(generators) != len(condition):
            raise ValueError(f"{len(condition)} conditions and {len(generators)} generators: one seed an item is needed")
        settings = self.sampling | parameters
        negative = negative if negative is not None else self.null_condition(len(condition))
        latents = torch.cat([torch.randn((1, *self.latent_shape), generator=generator) for generator in generators])
        arrays = self.call_pipeline(
            prompt_embeds=condition["prompt_embeds"],
            negative_prompt_embeds=negative["prompt_embeds"],
            latents=latents.to(self.device),
            **settings,
            **self.step_callback(callback, settings["num_inference_steps"]),
        )
        if not np.isfinite(arrays).all():
            raise AnyGenError("generation_not_finite", f"the {self.modality} generator gave values that are not finite")
        return [self.to_medium(array) for array in arrays]

    @abstractmethod
    def call_pipeline(self, **arguments) -> np.ndarray:
        """Run the pipeline; (N, ...) with values in [0, 1] for pixels and [-1, 1] for samples."""

    @abstractmethod
    def to_medium(self, array: np.ndarray):
        """One item of what `call_pipeline` gave as a PIL image, `Video` or `Audio`."""

    def step_callback(self, callback: StepCallback | None, steps: int) -> dict:
        """Our callback in the form that the pipeline takes."""
        if callback is None:
            return {}

        def on_step_end(pipeline, step, timestep, tensors):
            callback(step + 1, steps)
            return tensors

        return {"callback_on_step_end": on_step_end}

    def denoising_loss(self, latents: Tensor, condition: Condition, *, generator: torch.Generator) -> Tensor:
        scheduler = self.pipeline.scheduler
        steps = torch.randint(scheduler.config.num_train_timesteps, (len(latents),), generator=generator).to(latents.device)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        prediction = self.pipeline.unet(
            scheduler.add_noise(latents, noise, steps), steps, encoder_hidden_states=condition["prompt_embeds"]
        ).sample
        return F.mse_loss(prediction, prediction_target(scheduler, latents, noise, steps))

    def save_pretrained(self, folder: str | Path, *, leave_out: Sequence[str] = ()) -> None:
        """Write a pipeline folder with `generator.json` in it; the parts in `leave_out` are somebody else's."""
        folder = Path(folder)
        self.pipeline.register_modules(**{name: None for name in leave_out})
        try:
            self.pipeline.save_pretrained(folder)
        finally:
            self.pipeline.register_modules(**{name: self.modules_of_pipeline[name] for name in leave_out})
        for path in folder.glob("*/config.json"):  # where a part was read from is nobody else's business
            config = json.loads(path.read_text(encoding="utf-8"))
            config.pop("_name_or_path", None)
            path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (folder / "generator.json").write_text(json.dumps(self.settings) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, parts: dict[str, nn.Module] | None = None) -> DiffusionGenerator:
        """Read a pipeline folder; `parts` are modules that are not in it. Weights become float32.

        Raises AnyGenError("model_load_error") for a class that is neither ours nor diffusers' nor transformers'.
        """
        folder = Path(folder)
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        named = {name: entry for name, entry in index.items() if isinstance(entry, list)}
        plain = {name: entry for name, entry in index.items() if name not in named and not name.startswith("_")}
        components = {name: load_component(folder / name, *entry) for name, entry in named.items() if None not in entry}
        pipeline_class = find_class("diffusers", index["_class_name"])
        absent = dict.fromkeys(name for name, entry in named.items() if None in entry)
        pipeline = pipeline_class(**absent | components | (parts or {}), **plain)
        settings = folder / "generator.json"
        return cls(pipeline, **(json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}))


def find_class(library: str, name: str) -> type:
    """A class that a pipeline folder names: one of ours, or one of the two libraries' (never code of the folder's)."""
    if name in (ours := own_classes()):
        return ours[name]
    if library not in ("diffusers", "transformers") or not hasattr(importlib.import_module(library), name):
        detail = f"found the class {name} of {library}; expected one of diffusers, transformers or {', '.join(ours)}"
        raise AnyGenError("model_load_error", detail)
    return getattr(importlib.import_module(library), name)


def load_component(folder: Path, library: str, name: str):
    """One component of a pipeline out of its folder, modules in float32."""
    found = find_class(library, name)
    return found.from_pretrained(folder, **({"dtype": torch.float32} if issubclass(found, nn.Module) else {}))


def prediction_target(scheduler, latents: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
    """What the denoiser has to predict, by the scheduler's `prediction_type` (never noise by default)."""
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        return noise
    if kind == "v_prediction":
        return scheduler.get_velocity(latents, noise, steps)
    if kind == "sample":
        return latents
    raise ValueError(f"prediction_type={kind!r} of {type(scheduler).__name__}; expected epsilon, v_prediction or sample")


class ImageGenerator(DiffusionGenerator):
    """`StableDiffusionPipeline` and its kin (Rombach et al. 2022): pictures of one size."""

    modality = "image"

    def to_sample(self, medium: Image.Image) -> Tensor:
        size = self.latent_shape[-1] * self.pipeline.vae_scale_factor
        return pixels_to_sample(np.asarray(medium.convert("RGB").resize((size, size))))

    def call_pipeline(self, **arguments) -> np.ndarray:
        return self.pipeline(**arguments, output_type="np").images

    def to_medium(self, array: np.ndarray) -> Image.Image:
        return Image.fromarray(sample_to_pixels(array))


class VideoGenerator(DiffusionGenerator):
    """`TextToVideoSDPipeline` (ModelScope, Wang et al. 2023): films of a fixed number of frames."""

    modality = "video"

    def __init__(self, pipeline: diffusers.DiffusionPipeline, *, num_frames: int = 8, fps: float = 4.0, **sampling):
        super().__init__(pipeline, **sampling)
        self.num_frames, self.fps = num_frames, fps

    @property
    def settings(self) -> dict[str, int | float]:
        return super().settings | {"num_frames": self.num_frames, "fps": self.fps}

    @property
    def settings(self) -> dict[str, int | float]:
        return super().settings | {"num_frames": self.num_frames, "fps": self.fps}

    @property
    def latent_shape(self) -> tuple[int, ...]:
        channels, height, width = super().latent_shape
        return (channels, self.num_frames, height, width)

    def to_sample(self, medium: Video) -> Tensor:
        size = self.latent_shape[-1] * self.pipeline.vae_scale_factor
        chosen = np.linspace(0, len(medium.frames) - 1, self.num_frames).round().astype(int)
        frames = [np.asarray(Image.fromarray(medium.frames[i]).resize((size, size))) for i in chosen]
        return torch.stack([pixels_to_sample(frame) for frame in frames])

    def encode_samples(self, samples: Tensor) -> Tensor:
        """Films (N, T, 3, H, W) -> (N, C', T, H/f, W/f); the autoencoder sees frames."""
        latents = super().encode_samples(samples.flatten(0, 1))
        return latents.unflatten(0, samples.shape[:2]).transpose(1, 2)

    def call_pipeline(self, **arguments) -> np.ndarray:
        return np.asarray(self.pipeline(**arguments, num_frames=self.num_frames, output_type="np").frames)

    def to_medium(self, array: np.ndarray) -> Video:
        return Video(frames=sample_to_pixels(array), fps=self.fps)

    def step_callback(self, callback: StepCallback | None, steps: int) -> dict:
        if callback is None:
            return {}
        return {"callback": lambda step, timestep, latents: callback(step + 1, steps)}


class AudioGenerator(DiffusionGenerator):
    """An AudioLDM-style pipeline (Liu et al. 2023): log-mel latents, then a vocoder."""

    modality = "audio"

    def to_sample(self, medium: Audio) -> Tensor:
        rate = self.pipeline.vocoder.config.sampling_rate
        waveform = resample(medium, rate).waveform
        length = self.latent_shape[1] * self.pipeline.vae_scale_factor * self.pipeline.hop_length
        fitted = np.zeros(length, dtype=np.float32)
        fitted[: min(length, len(waveform))] = waveform[:length]
        return self.pipeline.waveform_to_mel(torch.from_numpy(fitted)[None], rate)

    def call_pipeline(self, **arguments) -> np.ndarray:
        return self.pipeline(**arguments, output_type="np").audios

    def to_medium(self, array: np.ndarray) -> Audio:
        rate = self.pipeline.vocoder.config.sampling_rate
        return Audio(waveform=np.clip(array, -1, 1).astype(np.float32), sampling_rate=rate)


def pixels_to_sample(pixels: np.ndarray) -> Tensor:
    """uint8 (H, W, 3) -> float (3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 127.5 - 1


def sample_to_pixels(array: np.ndarray) -> np.ndarray:
    """Floats in [0, 1] -> uint8, same shape."""
    return np.round(array * 255).clip(0, 255).astype(np.uint8)
