"""Files that anygen writes: they play, they hold what was saved, and they appear whole or not at all."""

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from anygen.media import Audio, Video, load_media, load_video, save_audio, save_image, save_media, save_video
from anygen.media.save import read_provenance
from making import grey_frames, picture, pitch, raises_code, tone


def test_png(tmp_path):
    path = save_media(picture(), tmp_path / "a.png")
    with Image.open(path) as image:
        assert image.format == "PNG"
        np.testing.assert_array_equal(np.asarray(image), np.asarray(picture()))


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_sound(tmp_path, suffix):
    samples = tone(0.5, 16000)
    path = save_media(Audio(waveform=samples, sampling_rate=16000), tmp_path / f"a.{suffix}")
    assert soundfile.info(path).subtype == "PCM_16"
    assert soundfile.info(path).format == suffix.upper()
    loaded, rate = soundfile.read(path, dtype="float32")
    assert rate == 16000
    np.testing.assert_allclose(loaded, samples, atol=2e-4)


def test_loud_sound_is_clipped_not_wrapped(tmp_path):
    path = save_audio(Audio(waveform=np.float32([1.5, -1.5, 0.0]), sampling_rate=8000), tmp_path / "a.wav")
    np.testing.assert_allclose(soundfile.read(path)[0], [1.0, -1.0, 0.0], atol=1e-3)


@pytest.mark.parametrize("size", [(64, 64), (33, 47)])
def test_film(tmp_path, size):
    frames = grey_frames(8, height=size[0], width=size[1])
    path = save_media(Video(frames=frames, fps=4.0), tmp_path / "a.mp4")
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 4
        assert float(stream.duration * stream.time_base) == 2.0
        shown = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    assert shown.shape == (8, size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
    np.testing.assert_allclose(shown[:, : size[0], : size[1]], frames, atol=4)


@pytest.mark.parametrize("sampling_rate", [16000, 15999])
def test_film_with_sound(tmp_path, sampling_rate):
    audio = Audio(waveform=tone(2.0, sampling_rate), sampling_rate=sampling_rate)
    path = save_video(Video(frames=grey_frames(8), fps=4.0, audio=audio), tmp_path / "a.mp4")
    with av.open(str(path)) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
    loaded = load_video(path)
    assert loaded.audio.duration == pytest.approx(2.0, abs=0.05)
    middle = loaded.audio.waveform[4000:-4000]
    assert pitch(middle, loaded.audio.sampling_rate) == pytest.approx(440, abs=3)
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.05)


def test_the_same_film_gives_the_same_bytes(tmp_path):
    video = Video(frames=grey_frames(8), fps=4.0, audio=Audio(waveform=tone(2.0, 16000), sampling_rate=16000))
    first, second = (save_video(video, tmp_path / f"{name}.mp4").read_bytes() for name in "ab")
    assert first == second


def test_every_file_says_how_it_was_made(tmp_path):
    told = {"prompt": 'a "bell"\n\u00e9\U0001f514 \0', "seed": 2**40, "model": "nano", "version": "1", "image": {"steps": 3}}
    sound = Audio(waveform=tone(0.5, 16000), sampling_rate=16000)
    film = Video(frames=grey_frames(8), fps=4.0, audio=sound)
    for name, medium in {"a.png": picture(), "a.mp4": film, "a.wav": sound, "a.flac": sound}.items():
        assert read_provenance(save_media(medium, tmp_path / name, provenance=told)) == told
        plain = save_media(medium, tmp_path / f"plain-{name}")
        assert read_provenance(plain) is None
        assert len(plain.read_bytes()) < len((tmp_path / name).read_bytes())
    np.testing.assert_array_equal(np.asarray(load_media("image", tmp_path / "a.png")), np.asarray(picture()))
    np.testing.assert_array_equal(load_media("audio", tmp_path / "a.wav").waveform, load_media("audio", tmp_path / "plain-a.wav").waveform)
    np.testing.assert_array_equal(load_media("video", tmp_path / "a.mp4").frames, load_media("video", tmp_path / "plain-a.mp4").frames)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_never_written(tmp_path, bad):
    samples = tone(0.1, 16000)
    samples[5] = bad
    audio = Audio(waveform=samples, sampling_rate=16000)
    with raises_code("generation_not_finite"):
        save_audio(audio, tmp_path / "a.wav")
    with raises_code("generation_not_finite"):
        save_video(Video(frames=grey_frames(2), fps=4.0, audio=audio), tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with raises_code("storage_error"):
        save_image(picture(), tmp_path / "missing" / "a.png")
    with raises_code("storage_error"):
        save_image(picture(), tmp_path / "file" / "a.png")
    (tmp_path / "folder.png").mkdir()
    with raises_code("storage_error"):
        save_image(picture(), tmp_path / "folder.png")
    with raises_code("invalid_parameter"):
        save_image(picture(), tmp_path / "a.tiff")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = save_image(picture(), tmp_path / "a.png")
    before = path.read_bytes()
    with raises_code("storage_error"):
        save_image(Image.new("HSV", (2, 2)), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
