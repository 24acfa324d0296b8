"""Image files: hostile ones end in a fixed code, odd ones become upright RGB. Faults rows 7 to 13."""

import io
import time

import numpy as np
import pytest
from PIL import Image, ImageFile

from anygen.media import MediaLimits, load_image
from making import encoded, picture, png_header, raises_code


def pixel(image: Image.Image, x: float, y: float) -> tuple[int, int, int]:
    return image.getpixel((int(x * image.width), int(y * image.height)))


def assert_upright(image: Image.Image) -> None:
    assert image.mode == "RGB"
    for (x, y), expected in {(0.1, 0.2): (0, 250, 0), (0.1, 0.8): (250, 0, 0), (0.9, 0.2): (0, 0, 250)}.items():
        assert np.abs(np.subtract(pixel(image, x, y), expected)).max() < 40, (x, y, pixel(image, x, y))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_formats_are_told_by_content_not_by_name(tmp_path, format):
    path = tmp_path / "misnamed.mp4"
    path.write_bytes(encoded(picture(), format))
    assert_upright(load_image(path))


def test_empty_file(tmp_path):
    (tmp_path / "a.png").touch()
    with raises_code("media_empty"):
        load_image(tmp_path / "a.png")
    with raises_code("media_empty"):
        load_image(b"")


def test_random_bytes_named_png(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"\x07" + np.random.default_rng(0).bytes(5000))
    with raises_code("media_unreadable"):
        load_image(path)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_cut_files(format, share):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = encoded(noise, format)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    with raises_code("media_truncated"):
        load_image(data[: int(len(data) * share)])


def test_a_damaged_file_that_is_whole_is_unreadable():
    data = bytearray(encoded(picture(), "PNG"))
    data[40:60] = bytes(20)
    with raises_code("media_unreadable"):
        load_image(bytes(data))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(30000, 30000), (9500, 9500), (100_000, 1)])
def test_bombs_are_refused_by_their_header(size):
    start = time.perf_counter()
    with raises_code("media_too_large"):
        load_image(png_header(*size))
    assert time.perf_counter() - start < 0.5
    assert MediaLimits().max_image_pixels < Image.MAX_IMAGE_PIXELS


def test_the_limits_of_the_caller_count():
    with raises_code("media_too_large"):
        load_image(encoded(picture(48, 32), "PNG"), limits=MediaLimits(max_image_pixels=48 * 32 - 1))
    with raises_code("media_too_large"):
        load_image(picture(48, 32), limits=MediaLimits(max_image_side=47))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (10000, 1)])
def test_slivers_are_pictures(size):
    assert load_image(encoded(Image.new("RGB", size, "red"), "PNG")).size == size


def test_a_picture_without_area():
    with raises_code("media_too_small"):
        load_image(Image.new("RGB", (0, 5)))


def test_cmyk_is_turned_into_rgb():
    assert_upright(load_image(encoded(picture().convert("CMYK"), "JPEG", quality=95)))


def test_sixteen_bit_grey_is_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    loaded = np.asarray(load_image(encoded(Image.fromarray(ramp), "PNG")))
    np.testing.assert_array_equal(loaded, np.arange(256, dtype=np.uint8)[None, :, None].repeat(4, 0).repeat(3, 2))


def test_transparency_is_laid_on_white():
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    image.putpixel((0, 0), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 51))
    for format in ("PNG", "WEBP"):
        loaded = load_image(encoded(image, format, **({"lossless": True} if format == "WEBP" else {})))
        assert [loaded.getpixel((x, 0)) for x in range(3)] == [(255, 0, 0), (204, 204, 204), (255, 255, 255)]
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    loaded = load_image(encoded(palette, "PNG", transparency=1))
    assert [loaded.getpixel((x, 0)) for x in range(2)] == [(255, 0, 0), (255, 255, 255)]


@pytest.mark.parametrize("as_object", [False, True])
def test_exif_rotation_is_applied(as_object):
    exif = Image.Exif()
    exif[0x0112] = 6  # the picture has to be turned 90 degrees clockwise to be upright
    data = encoded(picture().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)
    loaded = load_image(Image.open(io.BytesIO(data)) if as_object else data)
    assert loaded.size == picture().size
    assert_upright(loaded)


def test_of_several_pictures_the_first():
    others = [Image.new("RGB", picture().size, "white")] * 3
    for format in ("GIF", "WEBP", "MPO", "PNG"):
        assert_upright(load_image(encoded(picture(), format, save_all=True, append_images=others)))


def tiff_of_many_pages() -> bytes:
    pages = [Image.new("1", (1, 1))] * 50
    return encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])


@pytest.mark.parametrize(
    "data",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/hostname"/></svg>',
        encoded(picture(), "EPS"),
        encoded(picture(), "PDF"),
        b"8BPS" + bytes(100),
        tiff_of_many_pages(),
        encoded(picture(), "JPEG2000"),
        b"\0\0\0\x1cftypavif" + bytes(100),
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(100),
    ],
    ids=["svg", "eps", "pdf", "psd", "tiff", "jpeg2000", "avif", "wav"],
)
def test_formats_that_are_not_allowed(data):
    with raises_code("media_type_not_allowed"):
        load_image(data)


def test_an_open_image_that_is_cut():
    data = encoded(picture(), "JPEG")
    with raises_code("media_unreadable"):
        load_image(Image.open(io.BytesIO(data[:-20])))
