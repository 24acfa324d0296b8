"""Even sampling of films and sounds: exact frames, and tones that keep their pitch and loudness."""

import numpy as np
import pytest
from scipy.signal import resample_poly

from anygen.media import Audio, Video, resample, sample_frames
from making import pitch, raises_code, tone


@pytest.mark.parametrize(
    ("length", "wanted", "chosen"),
    [(8, 8, range(8)), (8, 2, [2, 6]), (10, 4, [1, 3, 6, 8]), (1, 3, [0, 0, 0]), (2, 5, [0, 0, 1, 1, 1]), (9, 1, [4])],
)
def test_frames_are_the_middles_of_equal_parts(length, wanted, chosen):
    frames = np.arange(length, dtype=np.uint8)[:, None, None, None].repeat(3, -1)
    assert sample_frames(Video(frames=frames, fps=5.0), wanted)[:, 0, 0, 0].tolist() == list(chosen)


def test_no_frames():
    with raises_code("invalid_parameter"):
        sample_frames(Video(frames=np.zeros((1, 1, 1, 3), np.uint8), fps=1.0), 0)


@pytest.mark.parametrize(("old", "new"), [(8000, 16000), (44100, 16000), (16000, 22050), (96000, 16001)])
def test_tones_keep_pitch_and_loudness(old, new):
    out = resample(Audio(waveform=tone(0.5, old), sampling_rate=old), new)
    assert (out.sampling_rate, len(out.waveform)) == (new, -(-len(tone(0.5, old)) * new // old))
    assert out.waveform.dtype == np.float32
    inner = slice(500, len(tone(0.5, new)) - 500)
    np.testing.assert_allclose(out.waveform[inner], tone(0.5, new)[inner], atol=2e-3)


def test_what_is_above_the_new_nyquist_rate_is_gone():
    out = resample(Audio(waveform=tone(0.5, 48000, hertz=9000), sampling_rate=48000), 16000)
    assert np.abs(out.waveform[500:-500]).max() < 1e-3
    assert pitch(tone(0.5, 48000, hertz=9000), 48000) == pytest.approx(9000, abs=3)


def test_agrees_with_scipy_within_the_band():
    noise = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    low = resample_poly(noise, 1, 4)  # its band ends at an eighth of ...
    signal = resample_poly(low, 4, 1).astype(np.float32)  # ... this signal's rate
    ours = resample(Audio(waveform=signal, sampling_rate=16000), 24000).waveform
    np.testing.assert_allclose(ours[200:-200], resample_poly(signal, 3, 2)[200:-200], atol=0.01)


def test_edges():
    silence = Audio(waveform=np.zeros(100, np.float32), sampling_rate=8000)
    assert resample(silence, 8000) is silence
    assert resample(silence, 16000).waveform.tolist() == [0.0] * 200
    assert len(resample(Audio(waveform=np.ones(1, np.float32), sampling_rate=48000), 16000).waveform) == 1
    constant = resample(Audio(waveform=np.ones(4000, np.float32), sampling_rate=11025), 16000).waveform
    np.testing.assert_allclose(constant[100:-100], 1.0, atol=1e-5)
