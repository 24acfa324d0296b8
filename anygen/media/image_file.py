"""An image file's bytes to one upright RGB picture, with Pillow kept to the formats and sizes that anygen allows.

Runs in this process: the pixel count is known from the header before anything is decoded, and bounds the work. Pillow's
own messages stay in `__cause__`: they can hold addresses.
"""

from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

from anygen.errors import AnyGenError
from anygen.media.formats import HEAD_BYTES, check_format
from anygen.media.limits import DEFAULT_LIMITS, MediaLimits

_END_MARK: dict[str, bytes] = {"jpeg": b"\xff\xd9", "png": b"IEND\xaeB`\x82", "gif": b"\x3b"}
"""what a whole file ends with"""


def decode_image(file: BinaryIO, *, limits: MediaLimits = DEFAULT_LIMITS) -> Image.Image:
    """The picture in `file` (seekable, at position 0): mode RGB, turned as its EXIF says, the first frame of several.

    Raises `media_type_not_allowed`, `media_unreadable`, `media_truncated` and `media_too_large`.
    """
    found = check_format(file.read(HEAD_BYTES), "image")
    file.seek(0)
    try:
        with Image.open(file, formats=[found]) as image:
            return _upright(image, limits)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise AnyGenError("media_too_large", "Pillow's own limit on pixels is exceeded") from error
    except AnyGenError:
        raise
    except Exception as error:  # a damaged file makes Pillow raise anything: OSError, SyntaxError, struct.error, ...
        if _is_cut(file, found):
            raise AnyGenError("media_truncated", f"the {found} file ends early; expected a whole file") from error
        raise AnyGenError("media_unreadable", f"the {found} file is damaged; expected a readable one") from error


def convert_image(image: Image.Image, *, limits: MediaLimits = DEFAULT_LIMITS) -> Image.Image:
    """The same for an image that is already open; it may be of any format, and not be decoded yet.

    Raises `media_unreadable`, `media_too_large` and `media_too_small`.
    """
    try:
        return _upright(image, limits)
    except AnyGenError:
        raise
    except Exception as error:  # as above
        raise AnyGenError("media_unreadable", "the PIL image cannot be decoded; expected a readable one") from error


def check_image_size(size: tuple[int, int], *, limits: MediaLimits = DEFAULT_LIMITS) -> None:
    """Raises `media_too_small` for a (width, height) without area and `media_too_large` for one above the limits."""
    width, height = size
    if min(size) < 1:
        raise AnyGenError("media_too_small", f"a picture of {width}x{height} pixels; expected at least 1x1")
    if width * height > limits.max_image_pixels or max(size) > limits.max_image_side:
        raise AnyGenError(
            "media_too_large",
            f"a picture of {width}x{height} pixels; expected at most {limits.max_image_pixels} pixels "
            f"and {limits.max_image_side} a side",
            width=width,
            height=height,
        )


def to_rgb(image: Image.Image) -> Image.Image:
    """`image` in mode RGB: 16-bit greys are scaled (Pillow would clip them), transparency is laid on white."""
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.float64) / 257.0
        return Image.fromarray(np.rint(grey.clip(0, 255)).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise AnyGenError("media_unreadable", "a picture in Pillow's mode F; expected 8 or 16 bits: convert it first")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _upright(image: Image.Image, limits: MediaLimits) -> Image.Image:
    check_image_size(image.size, limits=limits)  # what the header says, before anything is decoded
    image.load()
    return to_rgb(ImageOps.exif_transpose(image))


def _is_cut(file: BinaryIO, found: str) -> bool:
    file.seek(0)
    data = file.read()
    if found == "webp":
        return len(data) < int.from_bytes(data[4:8], "little") + 8
    if found == "bmp":
        return len(data) < int.from_bytes(data[2:6], "little")
    return not data.rstrip(b"\0\r\n").endswith(_END_MARK[found])
