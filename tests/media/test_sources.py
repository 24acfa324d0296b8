"""Where bytes come from: paths, data URLs, base64, file objects, and what is refused unread. Rows 7, 17, 22, 26."""

import base64
import io
import os
import tracemalloc

import numpy as np
import pytest

from anygen.media import MediaLimits, load_audio, load_image, load_media, load_video
from anygen.media.sources import decode_base64
from making import encoded, picture, raises_code

PNG = encoded(picture(), "PNG")
TEXT = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    "source",
    [
        PNG,
        bytearray(PNG),
        io.BytesIO(PNG),
        f"data:image/png;base64,{TEXT}",
        f"data:audio/wav;base64,{TEXT}",  # the media type is not believed
        f"data:;base64,{TEXT}",
        f"DATA:image/png;charset=utf-8;BASE64,{TEXT}",
        "data:image/png;base64," + TEXT.replace("+", "%2B").replace("=", "%3D"),
        "data:image/png;base64," + "\r\n".join(TEXT[i : i + 76] for i in range(0, len(TEXT), 76)),
    ],
)
def test_every_way_to_hand_in_the_same_bytes(source):
    np.testing.assert_array_equal(np.asarray(load_media("image", source)), np.asarray(picture()))


@pytest.mark.parametrize(
    "source",
    [
        "data:image/png;base64," + TEXT[:40] + " " + TEXT[40:],
        "data:image/png;base64," + TEXT[:-1],
        "data:image/png;base64," + TEXT[:40] + "*" + TEXT[41:],
        "data:image/png;base64," + TEXT[:40] + "\u00e9" + TEXT[41:],
        "data:image/png," + TEXT,
        "data:image/png;base64",
    ],
    ids=["space", "padding", "star", "not ascii", "not base64", "no comma"],
)
def test_base64_that_is_none(source):
    with raises_code("invalid_base64"):
        load_image(source)


def test_base64_of_nothing():
    with raises_code("media_empty"):
        load_image("data:image/png;base64,")


def test_the_size_of_base64_is_checked_before_it_is_decoded():
    url = "data:video/mp4;base64," + "A" * 40_000_000
    tracemalloc.start()
    with raises_code("media_too_large"):
        load_video(url, limits=MediaLimits(max_bytes=1_000_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert decode_base64("QUJD", limits=MediaLimits(max_bytes=3)) == b"ABC"
    with raises_code("media_too_large"):
        decode_base64("QUJDRA==", limits=MediaLimits(max_bytes=3))


def test_comma_joined_frames():
    jpeg = base64.b64encode(encoded(picture(), "JPEG")).decode()
    video = load_video("data:video/jpeg;base64," + ",".join([jpeg] * 5), fps=2.0)
    assert video.frames.shape == (5, 32, 48, 3)
    assert video.duration == 2.5
    with raises_code("media_too_large"):  # by their number: not one of these would decode
        load_video("data:video/jpeg;base64," + ",".join(["*"] * 10_000))


def test_lists_of_frames():
    video = load_video([picture(), PNG, np.asarray(picture())])
    np.testing.assert_array_equal(video.frames, np.stack([np.asarray(picture())] * 3))
    with raises_code("media_too_large"):
        load_video([PNG] * 10_000)
    with raises_code("media_empty"):
        load_video([])
    with raises_code("invalid_media_array"):
        load_video([picture(48, 32), picture(32, 48)])
    with raises_code("media_type_not_allowed"):
        load_video(PNG)


def test_a_sparse_file_of_four_gigabytes(tmp_path):
    path = tmp_path / "a.mp4"
    path.touch()
    os.truncate(path, 4 * 2**30)
    for load in (load_image, load_video, load_audio):
        with raises_code("media_too_large"):
            load(path)


def test_an_endless_file_object():
    class Endless:
        def read(self, size: int) -> bytes:
            return bytes(size)

    with raises_code("media_too_large"):
        load_image(Endless(), limits=MediaLimits(max_bytes=1000))


def test_paths_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "missing.png", tmp_path, tmp_path / "fifo", "/dev/zero", "a\0b", "x" * 5000, ""):
        with raises_code("path_not_allowed"):
            load_image(path)


@pytest.mark.parametrize("url", ["http://127.0.0.1/a.png", "https://[::1]/a", "file:///etc/hostname", "concat:a|b"])
def test_addresses_are_refused(url):
    for load in (load_image, load_video, load_audio):
        with raises_code("url_not_allowed"):
            load(url)


@pytest.mark.parametrize("source", [None, 3, {"a": 1}, object(), io.StringIO("text")])
def test_foreign_objects(source):
    for load in (load_image, load_video, load_audio):
        with raises_code("invalid_request"):
            load(source)


def test_public_text_holds_no_path(tmp_path):
    with pytest.raises(Exception) as caught:
        load_image(tmp_path / "secret.png")
    assert "secret" in str(caught.value)
    assert "secret" not in str(caught.value.public())
