"""The vocoder without training: what it gives sounds, in log-mels and in pitch, like what it was given."""

import numpy as np
import pytest
import torch

from anygen.generators.vocoder import GriffinLimVocoder
from anygen.nano.world.scene import SOUNDING_THINGS, Scene, Tone
from anygen.nano.world.sound import render_audio


def waveform_of(scene: Scene) -> torch.Tensor:
    return torch.from_numpy(render_audio(scene, 0).waveform)[None]


@pytest.fixture(scope="module")
def vocoder() -> GriffinLimVocoder:
    return GriffinLimVocoder()


@pytest.mark.parametrize("thing", SOUNDING_THINGS)
def test_round_trip_of_things_is_within_three_decibels(vocoder, thing):
    log_mel = vocoder.mel_spectrogram(waveform_of(Scene(thing=thing, color="red")))
    waveform = vocoder(log_mel)
    assert waveform.shape == (1, 32768) and waveform.dtype == torch.float32
    assert torch.isfinite(waveform).all() and waveform.abs().max() <= 1
    error = (vocoder.mel_spectrogram(waveform) - log_mel).abs().mean() * vocoder.config.dynamic_range / 2
    assert error < 3.0  # the phone, turned down to full scale; most are below 1


@pytest.mark.parametrize("height", ["low", "middle", "high"])
def test_tones_keep_their_pitch(vocoder, height):
    waveform = waveform_of(Scene(thing="ball", color="red", tone=Tone(height=height, contour="steady")))
    heard = vocoder(vocoder.mel_spectrogram(waveform))
    pitch, heard_pitch = (np.abs(np.fft.rfft(w[0].numpy())).argmax() * 16000 / 32768 for w in (waveform, heard))
    assert heard_pitch == pytest.approx(pitch, rel=0.06)  # a semitone


def test_silence_stays_silent(vocoder):
    assert vocoder(torch.full((1, 16, 64), -1.0)).abs().max() == 0


def test_items_of_a_batch_are_independent_and_repeatable(vocoder):
    log_mel = torch.rand(3, 16, 64, generator=torch.Generator().manual_seed(0)) - 0.5
    together = vocoder(log_mel)
    torch.testing.assert_close(together[1:2], vocoder(log_mel[1:2]), atol=1e-5, rtol=1e-4)
    assert torch.equal(together, vocoder(log_mel))


def test_nearly_equal_mels_give_nearly_equal_sound(vocoder):
    log_mel = vocoder.mel_spectrogram(waveform_of(Scene(thing="rain", color="red")))
    nearby = log_mel + 1e-6 * torch.randn(log_mel.shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(vocoder(nearby), vocoder(log_mel), atol=0.01, rtol=0)


def test_save_and_load_give_the_same_sound(tmp_path):
    vocoder = GriffinLimVocoder(num_iterations=4, dynamic_range=60.0)
    vocoder.save_pretrained(tmp_path)
    loaded = GriffinLimVocoder.from_pretrained(tmp_path)
    log_mel = torch.rand(1, 16, 64) - 0.5
    assert loaded.config.num_iterations == 4 and loaded.config.sampling_rate == 16000
    assert torch.equal(loaded(log_mel), vocoder(log_mel))


def test_another_number_of_mels_is_refused(vocoder):
    with pytest.raises(ValueError, match="expected \\(N, T, 64\\)"):
        vocoder(torch.zeros(1, 16, 80))
