"""Even sampling in time, for the encoders and the files: some frames of a film, the same sound at another rate."""

import math

import numpy as np

from anygen.errors import AnyGenError
from anygen.media.types import Audio, Video

HALF_WIDTH = 16
"""zero crossings of the resampling kernel on each side"""
BLOCK = 1 << 15
"""output samples computed at a time: bounds memory"""
MAX_PHASES = 2048
"""fractional times tabulated; between rates that would need more, times are rounded down to 1/2048 of a sample"""


def sample_frames(video: Video, num_frames: int) -> np.ndarray:
    """`num_frames` frames spread evenly over the film: uint8 (num_frames, H, W, 3).

    The film is cut into `num_frames` equal parts and the middle frame of each is taken; a shorter film repeats frames.
    """
    if num_frames < 1:
        raise AnyGenError("invalid_parameter", f"num_frames is {num_frames}; expected at least 1")
    middles = (np.arange(num_frames) * 2 + 1) * len(video.frames) // (2 * num_frames)
    return video.frames[middles]


def resample(audio: Audio, sampling_rate: int) -> Audio:
    """The same sound at another rate: ceil(S * new / old) samples.

    Band-limited interpolation (J. O. Smith, "Digital Audio Resampling Home Page"): each output sample is the sum of the
    input samples around its time under a sinc, cut off at the lower of the two Nyquist rates and faded by a Kaiser
    window. The kernel is tabulated for the L fractional times that occur when new / old = L / M in lowest terms.
    Raises `invalid_parameter` for a rate that is not positive.
    """
    if sampling_rate < 1:
        raise AnyGenError("invalid_parameter", f"sampling_rate is {sampling_rate} Hz; expected at least 1")
    if sampling_rate == audio.sampling_rate:
        return audio
    common = math.gcd(sampling_rate, audio.sampling_rate)
    up, down = sampling_rate // common, audio.sampling_rate // common
    cutoff = min(1.0, up / down) * 0.95  # the margin is the width of the filter's slope
    reach = math.ceil(HALF_WIDTH / cutoff)  # input samples on each side
    taps = np.arange(-reach + 1, reach + 1)
    num_phases = min(up, MAX_PHASES)
    times = taps[None, :] - (np.arange(num_phases) / num_phases)[:, None]  # (L, K)
    window = np.i0(10.0 * np.sqrt(np.clip(1.0 - (times / reach) ** 2, 0.0, 1.0))) / np.i0(10.0)
    kernel = (cutoff * np.sinc(cutoff * times) * window).astype(np.float32)
    kernel /= kernel.sum(axis=1, keepdims=True)  # a constant stays that constant
    padded = np.pad(audio.waveform, (reach - 1, reach))
    num_out = -(-len(audio.waveform) * up // down)
    out = np.empty(num_out, np.float32)
    for start in range(0, num_out, BLOCK):
        position = np.arange(start, min(start + BLOCK, num_out), dtype=np.int64) * down
        windows = padded[(position // up)[:, None] + np.arange(len(taps))]  # (B, K)
        out[start : start + BLOCK] = np.einsum("bk,bk->b", windows, kernel[position % up * num_phases // up])
    return Audio(waveform=out, sampling_rate=sampling_rate)
