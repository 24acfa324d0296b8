"""Log-mel spectrograms against closed forms and torch's own short-time Fourier transform."""

import math

import pytest
import torch

from anygen.generators.mel import (
    MelConfig, compress, expand, linear_magnitudes, mel_filters, mel_spectrogram, overlap_add, short_time_spectrum,
)  # fmt: skip

CONFIG = MelConfig()


def sine(frequency: float, amplitude: float = 1.0) -> torch.Tensor:
    return amplitude * torch.sin(2 * math.pi * frequency * torch.arange(32768) / 16000)[None]


def test_two_seconds_are_128_frames_of_64_mels():
    assert mel_spectrogram(torch.zeros(2, 32768), CONFIG).shape == (2, 128, 64)


def test_silence_is_minus_one_and_a_full_sine_about_one():
    assert (mel_spectrogram(torch.zeros(1, 32768), CONFIG) == -1).all()
    peak = mel_spectrogram(sine(1000), CONFIG).amax(dim=2)[0, 4:-4]
    assert 0.8 < peak.min() and peak.max() < 1.2


def test_twenty_decibels_are_their_share_of_the_range():
    loud, quiet = (mel_spectrogram(sine(1000, amplitude), CONFIG)[0, 64].max() for amplitude in (1.0, 0.1))
    assert loud - quiet == pytest.approx(20 / (CONFIG.dynamic_range / 2), abs=1e-3)


def test_spectrum_is_that_of_torch_stft():
    waveform = torch.randn(2, 8192, generator=torch.Generator().manual_seed(0))
    window = torch.hann_window(1024)
    expected = torch.stft(waveform, 1024, 256, window=window, center=False, return_complex=True).transpose(1, 2)
    torch.testing.assert_close(short_time_spectrum(waveform, CONFIG), expected * 2 / window.sum(), atol=1e-6, rtol=1e-4)


def test_overlap_add_inverts_the_spectrum():
    waveform = torch.randn(2, 8192 + 768, generator=torch.Generator().manual_seed(0))
    restored = overlap_add(short_time_spectrum(waveform, CONFIG), CONFIG)
    torch.testing.assert_close(restored[:, 256:-256], waveform[:, 256:-256], atol=1e-4, rtol=1e-4)


def test_filters_are_triangles_at_rising_mel_frequencies():
    filters = mel_filters(CONFIG)
    assert filters.shape == (513, 64) and filters.min() == 0 and filters.max() <= 1
    centres = filters.argmax(dim=0)
    assert (centres.diff() > 0).all() and (filters.sum(dim=0) > 0.9).all()
    # Between the first and the last centre the triangles overlap to one: no frequency is lost.
    torch.testing.assert_close(filters[centres[0] : centres[-1]].sum(dim=1), torch.ones(centres[-1] - centres[0]))


def test_the_loudest_mel_rises_with_pitch():
    loudest = [mel_spectrogram(sine(frequency), CONFIG)[0, 64].argmax().item() for frequency in (100, 300, 1000, 3000)]
    assert loudest == sorted(set(loudest))


def test_expand_inverts_compress():
    mel = torch.logspace(-5, 0, 50)
    torch.testing.assert_close(expand(compress(mel, CONFIG), CONFIG), mel, rtol=1e-4, atol=1e-7)
    assert compress(torch.tensor(0.0), CONFIG) == -1 and expand(torch.tensor(-1.0), CONFIG) == 0


def test_linear_magnitudes_fit_their_mels():
    log_mel = mel_spectrogram(sine(700) + 0.3 * sine(2500) + 0.05 * torch.randn(1, 32768), CONFIG)
    linear = linear_magnitudes(log_mel, CONFIG)
    assert (linear >= 0).all()
    refitted = compress(linear @ mel_filters(CONFIG), CONFIG)
    assert (refitted - log_mel).abs().mean() * CONFIG.dynamic_range / 2 < 0.1  # dB


@pytest.mark.parametrize("settings", [{"hop_length": 300}, {"hop_length": 512}, {"num_mels": 300}])
def test_settings_that_do_not_fit_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        MelConfig(**settings)


def test_a_waveform_shorter_than_the_padding_is_refused():
    with pytest.raises(ValueError, match="384"):
        mel_spectrogram(torch.zeros(1, 300), CONFIG)
