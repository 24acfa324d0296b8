"""Film and sound files: hostile ones end in a fixed code, odd ones become what is documented. Rows 7, 8, 14 to 20."""

import io
import time

import numpy as np
import pytest

from anygen.media import MediaLimits, load_audio, load_video
from making import encoded, film, grey_frames, picture, pitch, raises_code, silent_wav, tone, wav

EVEN = [i / 25 for i in range(10)]


def levels(video) -> np.ndarray:
    """The grey of each frame."""
    return video.frames.mean(axis=(1, 2, 3))


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "libx264"), ("matroska", "libx264"), ("avi", "mjpeg"), ("webm", "libvpx"), ("mov", "mpeg4")],
)
def test_containers_and_codecs(tmp_path, container, codec):
    path = tmp_path / "misnamed.png"
    path.write_bytes(film(EVEN, container=container, codec=codec))
    video = load_video(path)
    assert video.frames.shape == (10, 32, 48, 3)
    assert video.fps == pytest.approx(25.0, rel=0.02)
    np.testing.assert_allclose(levels(video), grey_frames(10).mean(axis=(1, 2, 3)), atol=6)


def test_an_animated_gif_is_a_film():
    images = [picture().rotate(90 * i) for i in range(4)]
    video = load_video(encoded(images[0], "GIF", save_all=True, append_images=images[1:], duration=100))
    assert len(video.frames) == 4
    assert video.fps == pytest.approx(10.0)


def test_sound_of_a_film():
    data = film(EVEN, container="mp4", tone=0.4)
    video = load_video(data)
    assert video.audio.sampling_rate == 16000
    assert video.audio.duration == pytest.approx(video.duration, abs=0.1)
    assert pitch(video.audio.waveform, 16000) == pytest.approx(440, abs=6)
    alone = load_audio(data)
    assert pitch(alone.waveform, 16000) == pytest.approx(440, abs=6)
    assert load_audio(video).waveform.tolist() == video.audio.waveform.tolist()
    assert load_video(film(EVEN)).audio is None


def test_sound_is_lined_up_with_the_first_frame():
    late_picture = load_video(film([0.2 + time for time in EVEN], container="matroska", tone=0.6))
    early = late_picture.audio
    # 0.6 s of sound, of which the first 0.2 s go by before the first picture and 0.4 s belong to the ten frames
    assert early.duration == pytest.approx(0.4, abs=0.07)


def test_nothing_to_see_or_hear():
    for data in (wav(tone(0.2, 16000), 16000), film([], container="avi"), film([], container="mp4", tone=0.3)):
        with raises_code("media_no_video_stream"):
            load_video(data)
    for source in (film(EVEN), load_video(film(EVEN))):
        with raises_code("media_no_audio_stream"):
            load_audio(source)


def test_one_frame():
    for container in ("mp4", "matroska"):
        assert load_video(film([0.0], container=container)).frames.shape == (1, 32, 48, 3)


@pytest.mark.parametrize("start", [-1.0, 300.0])
def test_films_begin_with_their_first_frame(start):
    video = load_video(film([start + time for time in EVEN]))
    np.testing.assert_allclose(levels(video), grey_frames(10).mean(axis=(1, 2, 3)), atol=6)


def test_variable_rate_is_made_even():
    # Ten frames in 0.36 s, then the last one stands for 1.6 s more: half of an even film shows it.
    uneven = [i * 0.04 for i in range(9)] + [2.0]
    video = load_video(film(uneven))
    expected = grey_frames(10).mean(axis=(1, 2, 3))
    shown = np.array([np.abs(expected - level).argmin() for level in levels(video)])
    times = np.arange(len(shown)) / video.fps
    assert (np.diff(shown) >= 0).all()
    assert (shown[(times > 0.5) & (times < 1.9)] == 8).all()
    assert shown[0] == 0
    assert shown[-1] == 9
    assert video.duration == pytest.approx(2.04, abs=0.5 / video.fps + 0.05)


def test_long_films_are_thinned_evenly():
    video = load_video(film([i / 25 for i in range(100)]), limits=MediaLimits(max_frames=30))
    assert len(video.frames) == 25
    assert video.fps == pytest.approx(6.25)
    np.testing.assert_allclose(levels(video), grey_frames(100).mean(axis=(1, 2, 3))[::4], atol=6)


def test_large_frames_are_scaled_down():
    video = load_video(film(EVEN, size=(320, 160)), limits=MediaLimits(max_frame_side=64))
    assert video.frames.shape == (10, 32, 64, 3)
    with raises_code("media_too_large"):
        load_video(film(EVEN, size=(320, 160)), limits=MediaLimits(max_frame_pixels=320 * 160 - 1))


@pytest.mark.parametrize(("turn", "k"), [((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)])
def test_phone_films_are_turned_upright(turn, k):
    """The display matrix of the track header: (0, 1, -1, 0) is what a phone held upright writes, a turn clockwise."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, mode="w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=4)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        output.mux(stream.encode(av.VideoFrame.from_image(picture())))
        output.mux(stream.encode(None))
    data = bytearray(buffer.getvalue())
    matrix = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    a, b, c, d = (value * one for value in turn)
    data[matrix : matrix + 20] = b"".join(value.to_bytes(4, "big", signed=True) for value in (a, b, 0, c, d))
    frame = load_video(bytes(data)).frames[0]
    np.testing.assert_allclose(frame, np.rot90(np.asarray(picture()), k), atol=60)


@pytest.mark.parametrize(("seconds", "container"), [(36_000.0, "matroska"), (601.0, "mp4")])
def test_long_films_are_refused(seconds, container):
    with raises_code("media_too_large"):
        load_video(film([0.0, seconds], container=container))


def test_long_sounds_are_refused():
    with raises_code("media_too_large"):
        load_audio(silent_wav(1000), limits=MediaLimits(max_seconds=0.1))
    with raises_code("media_too_large"):
        load_audio(wav(tone(0.2, 16000), 16000, subtype="VORBIS", format="OGG"), limits=MediaLimits(max_seconds=0.1))


def test_a_header_that_claims_a_thousand_million_frames():
    data = bytearray(film(EVEN, container="mp4"))
    sizes = data.index(b"stts")
    data[sizes + 12 : sizes + 16] = (10**9).to_bytes(4, "big")  # ten frames become 10^9
    start = time.perf_counter()
    with raises_code("media_too_large"):
        load_video(bytes(data))
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(("container", "codec"), [("mp4", "jpeg2000"), ("matroska", "ffv1")])
def test_odd_codecs_are_refused(container, codec):
    with raises_code("media_type_not_allowed"):
        load_video(film(EVEN, container=container, codec=codec))


@pytest.mark.parametrize("magic", [b"\x07", b"\0\0\0\x18ftypmp42", b"\x1a\x45\xdf\xa3", b"ID3", b"fLaC", b"OggS"])
def test_random_bytes_named_mp4(tmp_path, magic):
    path = tmp_path / "a.mp4"
    path.write_bytes(magic + np.random.default_rng(0).bytes(20_000))
    with raises_code("media_unreadable"):
        load_video(path)


def test_cut_and_empty_files():
    data = film(EVEN, container="mp4")
    with raises_code("media_unreadable"):  # the index of an MP4 comes last
        load_video(data[: data.index(b"moov") - 4])
    with raises_code("media_truncated"):
        load_video(film([], container="matroska"))
    half = wav(tone(1.0, 16000), 16000)[:16000]
    assert load_audio(half).duration == pytest.approx(0.5, abs=0.01)  # what is there is read
    for load in (load_video, load_audio):
        with raises_code("media_empty"):
            load(b"")


def test_the_decoder_is_killed_at_its_deadline():
    data = film(EVEN)
    start = time.perf_counter()
    with raises_code("media_timeout"):
        load_video(data, limits=MediaLimits(decode_seconds=0.02))
    assert time.perf_counter() - start < 2
    assert len(load_video(data).frames) == 10  # the next one is unaffected


def test_a_decoder_without_memory_takes_only_itself_down():
    with pytest.raises(Exception) as caught:
        load_video(film(EVEN), limits=MediaLimits(decode_memory=2**20))
    assert caught.value.code in ("media_too_large", "media_unreadable")
    assert len(load_video(film(EVEN)).frames) == 10


@pytest.mark.parametrize(
    ("format", "subtype", "sampling_rate"),
    [("WAV", "PCM_U8", 8000), ("WAV", "PCM_24", 44100), ("WAV", "FLOAT", 11025), ("FLAC", "PCM_16", 48000)],
)
def test_sound_formats(format, subtype, sampling_rate):
    samples = tone(0.5, sampling_rate)
    audio = load_audio(wav(samples, sampling_rate, format=format, subtype=subtype))
    assert audio.sampling_rate == sampling_rate
    assert audio.waveform.dtype == np.float32
    np.testing.assert_allclose(audio.waveform, samples, atol=0.01)


@pytest.mark.parametrize(("format", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")])
def test_lossy_sound_formats(format, subtype):
    audio = load_audio(wav(tone(0.5, 24000), 24000, format=format, subtype=subtype))
    assert audio.duration == pytest.approx(0.5, abs=0.1)
    assert pitch(audio.waveform, audio.sampling_rate) == pytest.approx(440, abs=5)


def test_high_rates_are_brought_down():
    audio = load_audio(wav(tone(0.5, 384_000), 384_000))
    assert audio.sampling_rate == 48_000
    assert audio.duration == pytest.approx(0.5, abs=0.01)
    assert pitch(audio.waveform, 48_000) == pytest.approx(440, abs=3)


def test_eight_channels_become_one():
    channels = np.zeros((8000, 8), np.float32)
    channels[:, 0] = channels[:, 1] = tone(0.5, 16000)
    audio = load_audio(wav(channels, 16000))
    assert audio.waveform.shape == (8000,)
    assert pitch(audio.waveform, 16000) == pytest.approx(440, abs=3)
    assert np.abs(audio.waveform).max() > 0.05


def test_silence_one_sample_and_none():
    assert load_audio(silent_wav(4000)).waveform.tolist() == [0.0] * 4000
    assert load_audio(silent_wav(1)).waveform.tolist() == [0.0]
    with raises_code("media_too_short"):
        load_audio(silent_wav(0))


def test_sound_files_with_values_that_are_not_finite():
    samples = tone(0.2, 16000)
    samples[100] = np.nan
    with raises_code("media_not_finite"):
        load_audio(wav(samples, 16000, subtype="FLOAT"))
    samples[100] = 1e30
    assert np.abs(load_audio(wav(samples, 16000, subtype="FLOAT")).waveform).max() == 1.0


def test_a_picture_is_no_sound():
    with raises_code("media_type_not_allowed"):
        load_audio(encoded(picture(), "PNG"))
