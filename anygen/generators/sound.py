"""Sounds on the way into a pipeline's autoencoder: at its rate, of the length of its latents, as what it was trained on.

    Audio -> waveform (S,) at the model's rate -> log-mel (1, T, M) or waveform (C, S)
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anygen.errors import AnyGenError
from anygen.generators.mel import slaney_filters
from anygen.media.sampling import resample
from anygen.media.types import Audio

MEL_FFT = 1024
"""Length of the Fourier transform and its window behind the log-mels of AudioLDM, AudioLDM 2 and MusicLDM."""
MEL_FLOOR = 1e-5
"""Magnitudes below it count as silence there (and in HiFi-GAN, Kong et al. 2020)."""


def sampling_rate_of(pipeline) -> int:
    """Hz of what the pipeline makes: its vocoder's, else its autoencoder's."""
    vocoder = getattr(pipeline, "vocoder", None)
    config = pipeline.vae.config if vocoder is None else vocoder.config
    return config.sampling_rate


def fitted_waveform(pipeline, audio: Audio, latent_shape: tuple[int, ...]) -> Tensor:
    """float32 (S,) at the pipeline's rate, cut or filled up with silence to what `latent_shape` stands for."""
    if getattr(pipeline, "vocoder", None) is None:
        length = latent_shape[-1] * pipeline.vae.hop_length
    else:
        length = latent_shape[1] * pipeline.vae_scale_factor * math.prod(pipeline.vocoder.config.upsample_rates)
    waveform = resample(audio, sampling_rate_of(pipeline)).waveform
    fitted = np.zeros(length, dtype=np.float32)
    fitted[: min(length, len(waveform))] = waveform[:length]
    return torch.from_numpy(fitted)


def waveform_to_sample(pipeline, waveform: Tensor) -> Tensor:
    """Waveform (S,) -> what the autoencoder sees of one item: log-mel (1, T, M), or the waveform (C, S) itself."""
    if hasattr(pipeline, "waveform_to_mel"):
        return pipeline.waveform_to_mel(waveform[None], sampling_rate_of(pipeline))
    if getattr(pipeline, "vocoder", None) is not None:
        return log_mel(pipeline.vocoder.config, waveform)[None]
    if not hasattr(pipeline.vae.config, "audio_channels"):
        detail = f"{type(pipeline).__name__}: cannot tell what its autoencoder sees; expected a vocoder or audio_channels"
        raise AnyGenError("model_load_error", detail)
    return waveform.expand(pipeline.vae.config.audio_channels, -1)


def log_mel(vocoder_config, waveform: Tensor) -> Tensor:
    """Waveform (S,) -> natural log of mel magnitudes (S // hop, M), the input of AudioLDM's HiFi-GAN vocoders.

    Frame t is centred on sample t * hop, with the ends mirrored; silence stands in where there is too little to mirror.
    """
    hop, padding = math.prod(vocoder_config.upsample_rates), MEL_FFT // 2
    mode = "reflect" if len(waveform) > padding else "constant"
    padded = F.pad(waveform[None], (padding, padding), mode=mode)[0]
    frames = padded.unfold(0, MEL_FFT, hop)[: len(waveform) // hop]
    magnitudes = torch.fft.rfft(frames * torch.hann_window(MEL_FFT)).abs()
    filters = slaney_filters(vocoder_config.sampling_rate, num_fft=MEL_FFT, num_mels=vocoder_config.model_in_dim)
    return (magnitudes @ filters).clamp(min=MEL_FLOOR).log()
