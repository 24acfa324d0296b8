"""Log-mel filter banks as Kaldi computes them, in plain torch: waveform (..., S) -> (..., bins, frames).

Step 2 of the data flow for sound. Follows Kaldi's `compute-fbank-feats` with `htk_compat=true dither=0
window_type=hanning` (https://kaldi-asr.org/doc/feat.html), which ImageBind's audio trunk was trained on: frames that lie
wholly inside the waveform, mean removed, pre-emphasis 0.97, power spectrum, triangles that are even in mel.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

PREEMPHASIS = 0.97
LOW_FREQUENCY = 20.0
MIN_ENERGY = torch.finfo(torch.float32).eps


def kaldi_fbank(
    waveform: Tensor, *, sampling_rate: int, num_mel_bins: int, frame_shift: int, frame_length: int | None = None
) -> Tensor:
    """Log energies of the mel bands of each frame.

    Args:
        waveform: (..., S) float; fewer than `frame_length` samples are filled up with silence to one frame.
        sampling_rate: Hz.
        num_mel_bins: number of bands between 20 Hz and half the sampling rate.
        frame_shift: samples from frame to frame.
        frame_length: samples of a frame; 25 ms unless given.

    Returns:
        (..., num_mel_bins, 1 + (S - frame_length) // frame_shift), natural logarithm.
    """
    frame_length = frame_length or sampling_rate * 25 // 1000
    fft_length = 1 << (frame_length - 1).bit_length()
    waveform = F.pad(waveform, (0, max(0, frame_length - waveform.shape[-1])))
    frames = waveform.unfold(-1, frame_length, frame_shift)
    frames = frames - frames.mean(dim=-1, keepdim=True)
    previous = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
    frames = (frames - PREEMPHASIS * previous) * torch.hann_window(frame_length, periodic=False).to(frames)
    power = torch.fft.rfft(frames, n=fft_length).abs().square()
    energies = power @ mel_filters(sampling_rate, num_mel_bins, fft_length).to(power)
    return energies.clamp_min(MIN_ENERGY).log().transpose(-1, -2)


def resample(waveform: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Band-limited resampling by the Fourier transform, (..., S) -> (..., round(S * to_rate / from_rate))."""
    if from_rate == to_rate:
        return waveform
    divisor = math.gcd(from_rate, to_rate)
    num_samples = waveform.shape[-1]
    spans = -(-num_samples // (from_rate // divisor))  # the whole waveform, filled up to a whole number of spans
    spectrum = torch.fft.rfft(waveform, n=spans * from_rate // divisor)
    resampled = torch.fft.irfft(spectrum, n=spans * to_rate // divisor) * (to_rate / from_rate)
    return resampled[..., : round(num_samples * to_rate / from_rate)]


def mel_filters(sampling_rate: int, num_mel_bins: int, fft_length: int) -> Tensor:
    """Triangular filters (fft_length // 2 + 1, num_mel_bins), each rising and falling linearly in mel."""
    low, high = _mel(torch.tensor([LOW_FREQUENCY, sampling_rate / 2], dtype=torch.float64))
    edges = torch.linspace(low, high, num_mel_bins + 2, dtype=torch.float64)
    left, center, right = edges[:-2], edges[1:-1], edges[2:]
    mel = _mel(torch.arange(fft_length // 2 + 1, dtype=torch.float64) * sampling_rate / fft_length)[:, None]
    filters = torch.minimum((mel - left) / (center - left), (right - mel) / (right - center)).clamp_min(0)
    filters[-1] = 0  # Kaldi leaves out the bin at half the sampling rate
    return filters.float()


def _mel(frequency: Tensor) -> Tensor:
    return 1127.0 * torch.log1p(frequency / 700.0)
