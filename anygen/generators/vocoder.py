"""From log-mel spectrograms to sound without training: the vocoder of nano's audio pipeline.

Stands where HiFi-GAN stands in AudioLDM: called with log-mels (N, T, M), returns waveforms (N, S), S = T * hop_length.
It inverts `mel.py` exactly as far as 64 mels allow: magnitudes by non-negative fitting, phases by fast Griffin-Lim.
"""

from __future__ import annotations

import math

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor

from anygen.generators.mel import MelConfig, linear_magnitudes, mel_spectrogram, overlap_add, short_time_spectrum


class GriffinLimVocoder(ModelMixin, ConfigMixin):
    """Log-mel spectrograms to waveforms by fast Griffin-Lim (Perraudin, Balazs & Sondergaard 2013, algorithm 2).

    The first three settings have the names that `transformers.SpeechT5HifiGan` gives them, so that one pipeline drives
    both: `model_in_dim` mels a frame, `sampling_rate` in Hz, and `upsample_rates` whose product is the hop length.
    There is nothing to train. The phase starts from the same random draw each time, so that equal mels give equal sound
    and nearly equal mels nearly equal sound (from zero phase they do not).
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        model_in_dim: int = 64,
        sampling_rate: int = 16000,
        upsample_rates: tuple[int, ...] = (256,),
        num_fft: int = 1024,
        dynamic_range: float = 70.0,
        num_iterations: int = 32,
        momentum: float = 0.7,
    ):
        super().__init__()
        self.mel_config = MelConfig(
            sampling_rate=sampling_rate,
            num_fft=num_fft,
            hop_length=math.prod(upsample_rates),
            num_mels=model_in_dim,
            dynamic_range=dynamic_range,
        )
        # A model of diffusers is asked for its dtype and device, which it takes from its tensors.
        self.register_buffer("anchor", torch.zeros(1))

    def mel_spectrogram(self, waveform: Tensor) -> Tensor:
        """Waveform (N, S) in [-1, 1] -> the log-mel (N, S // hop_length, model_in_dim) that `forward` inverts."""
        return mel_spectrogram(waveform, self.mel_config)

    @torch.no_grad()
    def forward(self, spectrogram: Tensor) -> Tensor:
        """Log-mel (N, T, model_in_dim) in about [-1, 1] -> float32 waveform (N, T * hop_length) in [-1, 1].

        What would overshoot full scale is turned down as a whole rather than clipped.
        Raises ValueError for another shape.
        """
        if spectrogram.ndim != 3 or spectrogram.shape[2] != self.config.model_in_dim:
            raise ValueError(
                f"spectrogram {tuple(spectrogram.shape)}: expected (N, T, {self.config.model_in_dim}) log-mel frames"
            )
        magnitude = linear_magnitudes(spectrogram.float(), self.mel_config)
        phase = torch.rand(magnitude.shape[1:], generator=torch.Generator().manual_seed(0)).to(magnitude) * 2 * math.pi
        estimate = torch.polar(magnitude, phase.expand_as(magnitude))
        previous = torch.zeros_like(estimate)
        for _ in range(self.config.num_iterations):
            consistent = short_time_spectrum(overlap_add(estimate, self.mel_config), self.mel_config)
            ahead = consistent + self.config.momentum * (consistent - previous)
            estimate = magnitude * ahead / (ahead.abs() + 1e-12)
            previous = consistent
        padding = self.mel_config.padding
        waveform = overlap_add(estimate, self.mel_config)[:, padding:-padding]
        return waveform / waveform.abs().amax(dim=1, keepdim=True).clamp(min=1)
