"""Filter banks against transformers' numpy implementation of Kaldi's, and resampling against sines."""

import numpy as np
import pytest
import torch
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from anygen.encoders.fbank import kaldi_fbank, resample


@pytest.mark.parametrize("num_mel_bins, frame_shift", [(128, 160), (64, 256)])
def test_equals_transformers(num_mel_bins, frame_shift):
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, 16_000).astype(np.float32)
    expected = spectrogram(
        waveform,
        window_function(400, "hann", periodic=False),
        frame_length=400, hop_length=frame_shift, fft_length=512, power=2.0, center=False,
        preemphasis=0.97, remove_dc_offset=True, log_mel="log", mel_floor=1.192092955078125e-07,
        mel_filters=mel_filter_bank(
            num_frequency_bins=257, num_mel_filters=num_mel_bins, min_frequency=20, max_frequency=8000,
            sampling_rate=16_000, norm=None, mel_scale="kaldi", triangularize_in_mel_space=True,
        ),
    )  # fmt: skip
    mel = kaldi_fbank(
        torch.from_numpy(waveform), sampling_rate=16_000, num_mel_bins=num_mel_bins, frame_shift=frame_shift
    )
    assert mel.shape == (num_mel_bins, 1 + (16_000 - 400) // frame_shift)
    np.testing.assert_allclose(mel.numpy(), expected, atol=2e-3)


def test_a_waveform_shorter_than_a_frame_is_one_frame():
    assert kaldi_fbank(torch.zeros(3), sampling_rate=16_000, num_mel_bins=8, frame_shift=160).shape == (8, 1)


@pytest.mark.parametrize("from_rate", [8_000, 44_100, 48_000])
def test_resampled_sine_is_the_sine_of_the_new_rate(from_rate):
    def sine(rate: int) -> torch.Tensor:
        return torch.sin(2 * torch.pi * 440 * torch.arange(rate, dtype=torch.float64) / rate).float()

    torch.testing.assert_close(resample(sine(from_rate), from_rate, 16_000), sine(16_000), atol=1e-4, rtol=0)


def test_resampled_length_is_the_duration():
    assert resample(torch.randn(1_001), 44_100, 16_000).shape == (round(1_001 * 16_000 / 44_100),)
