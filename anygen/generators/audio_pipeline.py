"""Sound by latent diffusion, after AudioLDM (Liu et al. 2023, arXiv:2301.12503), with cross-attention to the prompt.

    prompt -> text_encoder -> prompt_embeds (N, L, D) -> unet, scheduler: latents (N, C, T/f, M/f)
           -> vae: log-mel (N, 1, T, M) -> vocoder: waveform (N, S)

It differs from diffusers' `AudioLDMPipeline` in one point: the unet reads the text's states by cross-attention, as in
Stable Diffusion, where AudioLDM adds one pooled CLAP vector. The axes of a log-mel are (time, mel), as there.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AudioPipelineOutput, DiffusionPipeline
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor


class AudioLatentDiffusionPipeline(DiffusionPipeline):
    """Text to sound.

    Args:
        vae: `AutoencoderKL` or a class like it, between log-mels (N, 1, T, M) and latents (N, C, T/f, M/f).
        text_encoder: `CLIPTextModel`; its last hidden states are the condition.
        tokenizer: the text encoder's tokenizer; prompts are padded and cut to its `model_max_length`.
        unet: `UNet2DConditionModel` whose `cross_attention_dim` is the text encoder's width.
        scheduler: any of diffusers' schedulers for a unet.
        vocoder: log-mel (N, T, M) -> waveform (N, S): `GriffinLimVocoder` or `transformers.SpeechT5HifiGan`.
    """

    model_cpu_offload_seq = "text_encoder->unet->vae->vocoder"
    _callback_tensor_inputs = ("latents", "prompt_embeds", "negative_prompt_embeds")

    def __init__(self, vae, text_encoder, tokenizer, unet, scheduler, vocoder):
        super().__init__()
        self.register_modules(
            vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler, vocoder=vocoder
        )

    @property
    def vae_scale_factor(self) -> int:
        """Mel frames, and mels, to a latent."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def hop_length(self) -> int:
        """Samples of waveform to a mel frame."""
        return math.prod(self.vocoder.config.upsample_rates)

    def num_frames(self, audio_length_in_s: float | None) -> int:
        """Mel frames for a length in seconds, in whole latents; by default what the unet was trained on."""
        if audio_length_in_s is None:
            sample_size = self.unet.config.sample_size
            return (sample_size if isinstance(sample_size, int) else sample_size[0]) * self.vae_scale_factor
        frames = audio_length_in_s * self.vocoder.config.sampling_rate / self.hop_length
        return math.ceil(frames / self.vae_scale_factor) * self.vae_scale_factor

    def check_inputs(
        self,
        prompt,
        negative_prompt=None,
        prompt_embeds=None,
        negative_prompt_embeds=None,
        audio_length_in_s=None,
        output_type="np",
        callback_on_step_end_tensor_inputs=("latents",),
    ) -> None:
        """Raise ValueError for inputs that contradict each other or cannot be generated from."""
        if (prompt is None) == (prompt_embeds is None):
            found = "neither" if prompt is None else "both"
            raise ValueError(f"found {found} of `prompt` and `prompt_embeds`: give exactly one of them")
        if prompt is not None and not isinstance(prompt, str | list):
            raise ValueError(f"`prompt` is a {type(prompt).__name__}: expected a str or a list of str")
        if negative_prompt is not None and negative_prompt_embeds is not None:
            raise ValueError("found both of `negative_prompt` and `negative_prompt_embeds`: give at most one of them")
        if prompt_embeds is not None and negative_prompt_embeds is not None:
            if prompt_embeds.shape != negative_prompt_embeds.shape:
                raise ValueError(
                    f"`prompt_embeds` {tuple(prompt_embeds.shape)} and `negative_prompt_embeds` "
                    f"{tuple(negative_prompt_embeds.shape)} must have the same shape"
                )
        if audio_length_in_s is not None and audio_length_in_s <= 0:
            raise ValueError(f"`audio_length_in_s` is {audio_length_in_s}: expected more than 0 seconds, or None")
        if self.vocoder.config.model_in_dim % self.vae_scale_factor:
            raise ValueError(
                f"the vocoder's {self.vocoder.config.model_in_dim} mels are not a multiple of the vae's factor "
                f"{self.vae_scale_factor}: these two do not belong together"
            )
        if output_type not in ("np", "pt"):
            raise ValueError(f"`output_type` is {output_type!r}: expected 'np' or 'pt'")
        unknown = [name for name in callback_on_step_end_tensor_inputs if name not in self._callback_tensor_inputs]
        if unknown:
            raise ValueError(f"`callback_on_step_end_tensor_inputs` {unknown}: one of {self._callback_tensor_inputs}")

    def encode_prompt(
        self,
        prompt: str | list[str] | None,
        device: torch.device | None = None,
        num_waveforms_per_prompt: int = 1,
        do_classifier_free_guidance: bool = True,
        negative_prompt: str | list[str] | None = None,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Condition of each waveform: prompt_embeds and, with guidance, negative_prompt_embeds, both (N, L, D).

        N is the number of prompts times `num_waveforms_per_prompt`. Embeddings that are given are used as they are. The
        negative prompt is the empty text where none is given; one text stands for all prompts.
        """
        device = device or self._execution_device
        if prompt_embeds is None:
            prompt_embeds = self._text_states([prompt] if isinstance(prompt, str) else prompt, device)
        batch_size = len(prompt_embeds)
        if do_classifier_free_guidance and negative_prompt_embeds is None:
            texts = negative_prompt if isinstance(negative_prompt, list) else [negative_prompt or ""] * batch_size
            if len(texts) != batch_size:
                raise ValueError(f"{len(texts)} texts in `negative_prompt` for {batch_size} prompts: give one for each")
            negative_prompt_embeds = self._text_states(texts, device)

        def repeated(embeds: Tensor) -> Tensor:
            return embeds.to(device, self.unet.dtype).repeat_interleave(num_waveforms_per_prompt, dim=0)

        return repeated(prompt_embeds), repeated(negative_prompt_embeds) if do_classifier_free_guidance else None

    def _text_states(self, texts: list[str], device: torch.device) -> Tensor:
        """Last hidden states (N, model_max_length, D) of the text encoder."""
        length = self.tokenizer.model_max_length
        tokens = self.tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return self.text_encoder(tokens.input_ids.to(device)).last_hidden_state

    def prepare_latents(
        self,
        prompt_embeds: Tensor,
        num_frames: int,
        *,
        generator: torch.Generator | list[torch.Generator] | None,
        latents: Tensor | None = None,
    ) -> Tensor:
        """Initial noise (N, C, T/f, M/f) for prompt_embeds (N, L, D), scaled as the scheduler asks.

        `latents` that are given say themselves how long the sound is. Of a list, each generator draws one item.
        """
        factor, num_mels = self.vae_scale_factor, self.vocoder.config.model_in_dim
        shape = (len(prompt_embeds), self.unet.config.in_channels, num_frames // factor, num_mels // factor)
        if isinstance(generator, list) and len(generator) != shape[0]:
            raise ValueError(f"{len(generator)} generators for {shape[0]} waveforms: give one for each, or one in all")
        if latents is None:
            latents = randn_tensor(shape, generator=generator, device=prompt_embeds.device, dtype=prompt_embeds.dtype)
        elif (*latents.shape[:2], latents.shape[3]) != (*shape[:2], shape[3]):
            raise ValueError(f"`latents` {tuple(latents.shape)}: expected {shape}, of any length in time")
        return latents.to(prompt_embeds) * self.scheduler.init_noise_sigma

    def prepare_extra_step_kwargs(self, generator, eta: float) -> dict:
        """Those of `eta` and `generator` that the scheduler's step takes."""
        accepted = inspect.signature(self.scheduler.step).parameters
        return {name: value for name, value in (("eta", eta), ("generator", generator)) if name in accepted}

    def waveform_to_mel(self, waveform: Tensor, sampling_rate: int) -> Tensor:
        """Waveform (N, S) -> log-mel (N, T, M) in whole latents, what the vae is trained on; silence fills up the end.

        Raises ValueError for another rate than the vocoder's, and AttributeError for a vocoder without analysis.
        """
        if sampling_rate != self.vocoder.config.sampling_rate:
            raise ValueError(
                f"found sound at {sampling_rate} Hz, expected {self.vocoder.config.sampling_rate} Hz: resample it first"
            )
        whole = self.vae_scale_factor * self.hop_length
        return self.vocoder.mel_spectrogram(F.pad(waveform, (0, -waveform.shape[1] % whole)))

    def decode_latents(self, latents: Tensor) -> Tensor:
        """Latents (N, C, T/f, M/f) -> log-mel (N, 1, T, M)."""
        return self.vae.decode(latents / self.vae.config.scaling_factor).sample

    def mel_spectrogram_to_waveform(self, mel_spectrogram: Tensor) -> Tensor:
        """Log-mel (N, 1, T, M) -> float32 waveform (N, S)."""
        return self.vocoder(mel_spectrogram[:, 0]).float()

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        *,
        audio_length_in_s: float | None = None,
        num_inference_steps: int = 20,
        guidance_scale: float = 2.5,
        negative_prompt: str | list[str] | None = None,
        num_waveforms_per_prompt: int = 1,
        eta: float = 0.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: Tensor | None = None,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        output_type: str = "np",
        callback_on_step_end: Callable[..., dict | None] | None = None,
        callback_on_step_end_tensor_inputs: tuple[str, ...] = ("latents",),
        return_dict: bool = True,
    ) -> AudioPipelineOutput | tuple[np.ndarray | Tensor]:
        """Generate waveforms from text or from its embeddings. Arguments mean what they mean in diffusers.

        Args:
            prompt: one text or several; else give `prompt_embeds` (N, L, D).
            audio_length_in_s: seconds; None for the length that the unet was trained on.
            guidance_scale: weight of classifier-free guidance (Ho & Salimans 2022); none at 1 or below.
            eta: noise of DDIM's steps, 0 to 1; other schedulers do not take it.
            generator: one for the whole batch, or a list with one an item, which makes items independent of the batch.
            latents: initial noise (N, C, T/f, M/f) of unit variance in place of a draw.
            output_type: "np" for an array, "pt" for a tensor.
            callback_on_step_end: called as f(pipeline, step, timestep, tensors); what it returns replaces tensors.

        Returns:
            `AudioPipelineOutput` with `audios`, float32 (N, S); with return_dict=False a tuple of that.

        Raises:
            ValueError: see `check_inputs`.
        """
        self.check_inputs(
            prompt, negative_prompt, prompt_embeds, negative_prompt_embeds, audio_length_in_s,
            output_type, callback_on_step_end_tensor_inputs,
        )  # fmt: skip
        device = self._execution_device
        prompt_embeds, negative_prompt_embeds = self.encode_prompt(
            prompt, device, num_waveforms_per_prompt, guidance_scale > 1,
            negative_prompt, prompt_embeds, negative_prompt_embeds,
        )  # fmt: skip
        self.scheduler.set_timesteps(num_inference_steps, device=device)
        num_frames = self.num_frames(audio_length_in_s)
        latents = self.prepare_latents(prompt_embeds, num_frames, generator=generator, latents=latents)
        step_kwargs = self.prepare_extra_step_kwargs(generator, eta)

        for i, timestep in enumerate(self.progress_bar(self.scheduler.timesteps)):
            predicted = self._predict(latents, timestep, prompt_embeds, negative_prompt_embeds, guidance_scale)
            latents = self.scheduler.step(predicted, timestep, latents, **step_kwargs).prev_sample
            if callback_on_step_end is not None:
                state = dict(zip(self._callback_tensor_inputs, (latents, prompt_embeds, negative_prompt_embeds)))
                chosen = {name: state[name] for name in callback_on_step_end_tensor_inputs}
                state |= callback_on_step_end(self, i, timestep, chosen) or {}
                latents, prompt_embeds, negative_prompt_embeds = (state[name] for name in self._callback_tensor_inputs)

        audios = self.mel_spectrogram_to_waveform(self.decode_latents(latents))
        if audio_length_in_s is not None:
            audios = audios[:, : round(audio_length_in_s * self.vocoder.config.sampling_rate)]
        audios = audios.cpu().numpy() if output_type == "np" else audios
        self.maybe_free_model_hooks()
        return AudioPipelineOutput(audios=audios) if return_dict else (audios,)

    def _predict(
        self,
        latents: Tensor,
        timestep: Tensor,
        prompt_embeds: Tensor,
        negative_prompt_embeds: Tensor | None,
        guidance_scale: float,
    ) -> Tensor:
        """The unet's prediction, led away from the negative prompt where there is one (Ho & Salimans 2022, eq. 6)."""
        sample = self.scheduler.scale_model_input(latents, timestep)
        if negative_prompt_embeds is None:
            return self.unet(sample, timestep, encoder_hidden_states=prompt_embeds).sample
        both = torch.cat([negative_prompt_embeds, prompt_embeds])
        negative, positive = self.unet(torch.cat([sample] * 2), timestep, encoder_hidden_states=both).sample.chunk(2)
        return negative + guidance_scale * (positive - negative)
