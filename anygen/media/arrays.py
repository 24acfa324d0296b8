"""numpy arrays and torch tensors handed in as media: accepted where their meaning is clear, refused by shape where not.

    image  (H, W), (H, W, C), (C, H, W)        C in 1, 3, 4       -> PIL RGB
    video  (T, H, W, C), (T, C, H, W)          C in 1, 3, 4       -> uint8 (T, H, W, 3)
    audio  (S,), (C, S), (S, C)                C <= 8 < S         -> float32 (S,)

Pixels: integers 0..255, floats 0..1, or floats that are whole numbers 0..255. Samples: floats about -1..1, int16,
int32, or uint8 around 128. torch is not imported: a tensor is what can be detached.
"""

import numpy as np

from anygen.errors import AnyGenError

MAX_CHANNELS = 8
"""channels of sound, 7.1 at most"""
LOUDEST = 2.0
"""float samples above this peak are no samples on the scale -1..1; up to it they are clipped"""


def is_array(source: object) -> bool:
    """Whether `source` is a numpy array or a torch tensor."""
    return isinstance(source, np.ndarray) or (hasattr(source, "detach") and hasattr(source, "is_floating_point"))


def pixels_from_array(source: object, *, ndim: int) -> np.ndarray:
    """uint8 (H, W, 3) for `ndim` 3, (T, H, W, 3) for 4. Raises `invalid_media_array` and `media_not_finite`."""
    array = _to_numpy(source)
    grey = ndim == 3 and array.ndim == 2
    if array.ndim != ndim - grey or array.size == 0:
        raise _unclear(array, "(H, W), (H, W, C) or (C, H, W)" if ndim == 3 else "(T, H, W, C) or (T, C, H, W)")
    array = array[..., None] if grey else np.moveaxis(array, _channel_axis(array), -1)
    array = _to_bytes(array)
    if array.shape[-1] == 1:
        array = np.repeat(array, 3, axis=-1)
    if array.shape[-1] == 4:  # transparency is laid on white, as in image files
        alpha = array[..., 3:].astype(np.float32) / 255.0
        array = np.rint(array[..., :3] * alpha + 255.0 * (1.0 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(array)


def samples_from_array(source: object) -> np.ndarray:
    """Mono float32 (S,) within [-1, 1]. Raises `invalid_media_array`, `media_not_finite` and `media_too_short`."""
    array = _to_numpy(source)
    if array.size == 0:
        raise AnyGenError("media_too_short", f"an array of shape {array.shape}; expected at least one sample")
    if array.ndim == 2:
        axes = [axis for axis in (0, 1) if array.shape[axis] <= MAX_CHANNELS < array.shape[1 - axis]]
        if not axes:
            raise _unclear(array, f"(S,), or (C, S) or (S, C) with C <= {MAX_CHANNELS} < S")
        return _to_unit(array).mean(axis=axes[0], dtype=np.float32)
    if array.ndim != 1:
        raise _unclear(array, f"(S,), or (C, S) or (S, C) with C <= {MAX_CHANNELS} < S")
    return _to_unit(array)


def _to_numpy(source: object) -> np.ndarray:
    if isinstance(source, np.ndarray):
        array = source
    else:
        tensor = source.detach().cpu()
        # numpy has no bfloat16
        array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise AnyGenError("media_not_finite", f"an array of shape {array.shape} holds NaN or infinity")
    return array


def _channel_axis(array: np.ndarray) -> int:
    """Where the channels are: last (or third from the end, before H and W); colour is believed before grey."""
    for counts in ((3, 4), (1,)):
        axes = [axis for axis in (-1, -3) if array.shape[axis] in counts]
        if len(axes) == 2 and counts == (3, 4):
            raise _unclear(array, "one axis of channels; two could be: hand in a PIL image, or a Video")
        if axes:
            return axes[0]
    raise _unclear(array, "channels, 1, 3 or 4 of them, last or before height and width")


def _to_bytes(array: np.ndarray) -> np.ndarray:
    """Pixels of any accepted scale -> uint8."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "f" and 0.0 <= low and high <= 1.0:
        return np.rint(array * 255.0).astype(np.uint8)
    whole = array.dtype.kind in "iu" or (array.dtype.kind == "f" and bool((array == np.rint(array)).all()))
    if whole and 0 <= low and high <= 255:
        return array.astype(np.uint8)
    raise _unclear(array, f"integers 0..255 or floats 0..1; its values go from {low:.4g} to {high:.4g}: rescale it")


def _to_unit(array: np.ndarray) -> np.ndarray:
    """Samples of any accepted scale -> float32 within [-1, 1]."""
    if array.dtype == np.uint8:
        return (array.astype(np.float32) - 128.0) / 128.0
    if array.dtype in (np.int16, np.int32):
        return (array / -float(np.iinfo(array.dtype).min)).astype(np.float32)
    if array.dtype.kind == "f" and float(np.abs(array).max()) <= LOUDEST:
        return np.clip(array, -1.0, 1.0).astype(np.float32)
    raise _unclear(array, "int16, int32, uint8, or floats -1..1: rescale it")


def _unclear(array: np.ndarray, expected: str) -> AnyGenError:
    return AnyGenError("invalid_media_array", f"an array {array.dtype} of shape {array.shape}; expected {expected}")
