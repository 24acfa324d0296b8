"""Log-mel spectrograms: the pictures of sound that nano's audio latents are made of, and the way back to magnitudes.

    waveform (N, S) -> mel_spectrogram -> log-mel (N, T, num_mels) in [-1, 1] -> autoencoder -> latents
    log-mel (N, T, num_mels) -> linear_magnitudes -> magnitudes (N, T, num_fft // 2 + 1) -> vocoder.py -> waveform

With the defaults 32768 samples at 16 kHz (2.048 s) are 128 frames of 64 mels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class MelConfig:
    """How a waveform becomes a log-mel spectrogram; its bands span 0 Hz to half of the sampling rate."""

    sampling_rate: int = 16000
    """Hz"""
    num_fft: int = 1024
    """Length of the Fourier transform and of its Hann window, in samples."""
    hop_length: int = 256
    """Samples from one frame to the next."""
    num_mels: int = 64
    dynamic_range: float = 70.0
    """dB from silence, which becomes -1, to full scale, which becomes 1."""

    def __post_init__(self):
        if self.num_fft % self.hop_length or self.num_fft < 4 * self.hop_length:
            raise ValueError(f"num_fft={self.num_fft} must be 4 or more whole times hop_length={self.hop_length}")
        if self.num_mels * 4 > self.num_fft:
            raise ValueError(f"num_mels={self.num_mels} bands are too narrow for num_fft={self.num_fft}: use a quarter")

    @property
    def floor(self) -> float:
        """Magnitude that stands for silence."""
        return 10 ** (-self.dynamic_range / 20)

    @property
    def padding(self) -> int:
        """Samples mirrored at either end, so that S samples give exactly S / hop_length frames."""
        return (self.num_fft - self.hop_length) // 2


def mel_spectrogram(waveform: Tensor, config: MelConfig) -> Tensor:
    """Waveform (N, S) in [-1, 1] -> log-mel (N, S // hop_length, num_mels), -1 for silence and about 1 for full scale.

    Frames are laid as in HiFi-GAN (Kong et al. 2020, its official meldataset.py): frame t is centred on samples
    t * hop_length .. (t + 1) * hop_length. Raises ValueError for a waveform shorter than the padding.
    """
    if waveform.ndim != 2 or waveform.shape[1] <= config.padding:
        raise ValueError(f"waveform {tuple(waveform.shape)}: expected (N, S) with S > {config.padding} samples")
    padded = F.pad(waveform[:, None], (config.padding, config.padding), mode="reflect")[:, 0]
    return compress(short_time_spectrum(padded, config).abs() @ mel_filters(config).to(waveform), config)


def short_time_spectrum(padded: Tensor, config: MelConfig) -> Tensor:
    """Padded waveform (N, S + 2 * padding) -> complex (N, T, num_fft // 2 + 1); a sine of amplitude 1 peaks at 1."""
    window = analysis_window(config).to(padded)
    return torch.fft.rfft(padded.unfold(1, config.num_fft, config.hop_length) * window)


def overlap_add(spectrum: Tensor, config: MelConfig) -> Tensor:
    """The padded waveform (N, S + 2 * padding) whose short-time spectrum is nearest to `spectrum` (N, T, F) in least
    squares (Griffin & Lim 1984, eq. 6)."""
    window = analysis_window(config).to(spectrum.real)
    frames = torch.fft.irfft(spectrum) * window
    weight = (window**2).expand_as(frames[:1])
    return _add_frames(frames, config) / _add_frames(weight, config).clamp(min=1e-6 * float(window.max()) ** 2)


def _add_frames(frames: Tensor, config: MelConfig) -> Tensor:
    """Sum of frames (N, T, num_fft) laid hop_length apart: (N, num_fft + (T - 1) * hop_length)."""
    num_hops = config.num_fft // config.hop_length
    batch_size, num_frames, _ = frames.shape
    hops = frames.reshape(batch_size, num_frames, num_hops, config.hop_length)
    total = frames.new_zeros(batch_size, num_frames + num_hops - 1, config.hop_length)
    for i in range(num_hops):
        total[:, i : i + num_frames] += hops[:, :, i]
    return total.flatten(1)


def compress(mel: Tensor, config: MelConfig) -> Tensor:
    """Mel magnitudes -> decibels -> [-1, 1] over the dynamic range, whose floor is added so that silence is -1."""
    return 20 * torch.log10(mel + config.floor) / (config.dynamic_range / 2) + 1


def expand(log_mel: Tensor, config: MelConfig) -> Tensor:
    """Inverse of `compress`; -1 and less become exact silence."""
    return (10 ** ((log_mel - 1) * (config.dynamic_range / 2) / 20) - config.floor).clamp(min=0)


def linear_magnitudes(log_mel: Tensor, config: MelConfig, num_iterations: int = 16) -> Tensor:
    """Log-mel (N, T, num_mels) -> magnitudes (N, T, num_fft // 2 + 1) whose mels fit it.

    64 mels leave 513 magnitudes open. The start spreads each band's energy over its filter, and multiplicative updates
    for the generalised Kullback-Leibler divergence (Lee & Seung 2001, eq. 5) then refine it: magnitudes stay
    non-negative, and quiet bands count as much as loud ones.
    """
    filters = mel_filters(config).to(log_mel)
    mel = expand(log_mel, config)
    weight = filters / filters.sum(dim=1, keepdim=True).clamp(min=1e-6)
    linear = mel @ (weight / filters.sum(dim=0)).T
    for _ in range(num_iterations):
        linear = linear * ((mel / (linear @ filters).clamp(min=1e-9)) @ weight.T)
    return linear


@lru_cache(maxsize=8)
def analysis_window(config: MelConfig) -> Tensor:
    """Hann window (num_fft,), scaled so that a sine of amplitude 1 has magnitude 1."""
    window = torch.hann_window(config.num_fft, dtype=torch.float64)
    return (2 * window / window.sum()).float()


@lru_cache(maxsize=8)
def mel_filters(config: MelConfig) -> Tensor:
    """Triangles of height 1, evenly spaced in mel (HTK: 2595 log10(1 + f / 700)), (num_fft // 2 + 1, num_mels)."""
    frequency = torch.linspace(0, config.sampling_rate / 2, config.num_fft // 2 + 1, dtype=torch.float64)
    top = 2595 * math.log10(1 + config.sampling_rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, config.num_mels + 2, dtype=torch.float64) / 2595) - 1)
    rising = (frequency[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency[:, None]) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0).float()


@lru_cache(maxsize=8)
def slaney_filters(sampling_rate: int, *, num_fft: int, num_mels: int) -> Tensor:
    """Triangles of equal area in Slaney's mel scale (linear below 1 kHz, logarithmic above), (num_fft // 2 + 1, num_mels).

    What librosa calls its default, and the log-mels of published vocoders are made with.
    """
    step, knee = 200 / 3, 1000.0
    log_step = math.log(6.4) / 27

    def hertz(mel: Tensor) -> Tensor:
        return torch.where(mel < knee / step, mel * step, knee * torch.exp(log_step * (mel - knee / step)))

    top = knee / step + math.log(sampling_rate / 2 / knee) / log_step
    edges = hertz(torch.linspace(0, top, num_mels + 2, dtype=torch.float64))
    frequency = torch.linspace(0, sampling_rate / 2, num_fft // 2 + 1, dtype=torch.float64)
    rising = (frequency[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency[:, None]) / (edges[2:] - edges[1:-1])
    return (torch.minimum(rising, falling).clamp(min=0) * 2 / (edges[2:] - edges[:-2])).float()
