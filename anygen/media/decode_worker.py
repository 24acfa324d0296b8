"""The program that decodes one film or sound in a process of its own: PyAV and numpy, nothing of anygen.

`decode.py` starts it:

    python -P decode_worker.py '{"want": "video", "max_seconds": 600, ...}' < media file > result

stdin is the media file itself (seekable). The result is one line of JSON and then raw arrays: either
`{"error": code, "detail": text}` or `{"frames": [T, H, W, 3] or null, "fps": f, "samples": S, "sampling_rate": r}`,
uint8 frames, float32 samples. Whatever FFmpeg does with hostile bytes, it does here: within a bounded address space,
without the right to open a single further file or socket, and only with the containers and codecs listed below.
"""

import json
import sys
from fractions import Fraction

import av
import av.subtitles.stream  # PyAV would import it when it meets the first stream, too late: see `confine`
import numpy as np

# FFmpeg's play-list formats (concat, hls, dash, ...) read other files and addresses, even when they come as bytes:
# neither list alone stops that, so both the formats and the protocols are fixed.
FORMATS = "mov,matroska,avi,ogg,wav,flac,mp3,aac,gif"
VIDEO_CODECS = "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,mpeg4,msmpeg4v3,mpeg1video,mpeg2video,mjpeg,theora,gif"
AUDIO_CODECS = (
    "aac,mp3,mp3float,opus,libopus,vorbis,flac,alac,ac3,pcm_u8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,"
    "pcm_s32be,pcm_f32le,pcm_f64le,pcm_mulaw,pcm_alaw"
)
MIN_FPS, MAX_FPS = 0.1, 120.0
"""a film that claims fewer or more frames a second is taken to have this many"""
NUM_THREADS = 4
"""each thread reserves address space, of which there is a fixed amount"""


class Refused(Exception):
    """`Refused(code, detail)`: an answer to the parent, in our own words."""


class FrameGrid:
    """Frames at any times -> at most `max_frames` frames at an even rate, in one pass and in bounded memory.

    Slot k of the grid is the time k / fps after the first frame; it shows the last frame whose time rounds to k or
    less. So an even film is kept as it is, jitter of the clock is forgiven, and a pause is filled with the picture
    that stood. When the grid is full every second slot is dropped and the rate halves.
    """

    def __init__(self, *, fps: float, max_frames: int, size: tuple[int, int]):
        self.fps, self.max_frames, self.size = fps, max_frames, size
        self.slots: list[np.ndarray] = []
        self.standing = None  # the frame shown now: not converted before it is known to fill a slot

    def add(self, frame: av.VideoFrame, time: float) -> None:
        """Show `frame` from `time` (seconds after the first frame) on."""
        self._fill(int(time * self.fps + 0.5))
        self.standing = frame
        while len(self.slots) > self.max_frames:
            self._halve()

    def finish(self, end: float) -> list[np.ndarray]:
        """All frames, uint8 (H, W, 3), once the film has ended at `end` seconds."""
        self._fill(max(int(end * self.fps + 0.5), 1))
        while len(self.slots) > self.max_frames:
            self._halve()
        return self.slots

    def _fill(self, until: int) -> None:
        if self.standing is not None and until > len(self.slots):
            width, height = self.size
            picture = self.standing.to_ndarray(format="rgb24", width=width, height=height, interpolation="BILINEAR")
            self.slots.extend([picture] * (until - len(self.slots)))

    def _halve(self) -> None:
        self.slots, self.fps = self.slots[::2], self.fps / 2


class SoundTrack:
    """Blocks of sound in any layout -> mono samples at `rate`, and the time of the first."""

    def __init__(self, *, rate: int):
        self.rate = rate
        self.start = 0.0
        self.blocks: list[np.ndarray] = []
        self.resampler = None

    def add(self, frame: av.AudioFrame | None) -> None:
        """Append `frame`, or with None what the resampler still holds."""
        if self.resampler is None and frame is not None:
            self.resampler = av.AudioResampler(format="flt", layout="mono", rate=self.rate)
            self.start = frame.time or 0.0
        if self.resampler is not None:
            self.blocks += [block.to_ndarray()[0] for block in self.resampler.resample(frame)]

    def finish(self) -> np.ndarray:
        """All samples, float32 (S,)."""
        self.add(None)
        return np.concatenate([np.zeros(0, np.float32), *self.blocks])


def confine(job: dict) -> None:
    """Give up what decoding does not need. After this no file or socket can be opened."""
    if sys.platform != "linux":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (job["decode_memory"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))  # stdin, stdout and stderr are all there will be


def decode(job: dict) -> tuple[dict, list[np.ndarray]]:
    """The header and the arrays of the answer to `job`."""
    options = {
        "format_whitelist": FORMATS,
        "protocol_whitelist": "",
        "codec_whitelist": f"{VIDEO_CODECS},{AUDIO_CODECS}",
    }
    # Tags that are no UTF-8 cost nothing: PyAV 19 never decodes them strictly, earlier ones have to be told.
    lenient = {"metadata_errors": "replace"} if int(av.__version__.partition(".")[0]) < 19 else {}
    with av.open(sys.stdin.buffer, mode="r", options=options, **lenient) as container:
        video = next((s for s in container.streams.video if not is_cover(s)), None) if job["want"] == "video" else None
        audio = next(iter(container.streams.audio), None)
        if job["want"] == "video" and video is None:
            raise Refused("media_no_video_stream", "the file has no film in it; expected a video stream")
        if job["want"] == "audio" and audio is None:
            raise Refused("media_no_audio_stream", "the file has no sound in it; expected an audio stream")
        check_header(container, video, audio, job)
        return read_streams(container, video, audio, job)


def is_cover(stream: av.VideoStream) -> bool:
    """Whether a video stream is only the picture on the cover of a sound file."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def check_header(container, video, audio, job: dict) -> None:
    """Refuse by what the file says about itself, before anything is decoded."""
    for stream, allowed in ((video, VIDEO_CODECS), (audio, AUDIO_CODECS)):
        if stream is None:
            continue
        if stream.codec_context is None or stream.codec_context.name not in allowed.split(","):
            raise Refused("media_type_not_allowed", f"a {stream.type} codec that is not one of {allowed}")
        seconds = float(stream.duration * stream.time_base) if stream.duration else 0.0
        check_seconds(max(seconds, (container.duration or 0) / av.time_base), job)
        stream.thread_type, stream.codec_context.thread_count = "AUTO", NUM_THREADS
    if video is not None:
        pixels = video.codec_context.width * video.codec_context.height
        if pixels > job["max_frame_pixels"]:
            raise Refused("media_too_large", f"frames of {pixels} pixels; expected at most {job['max_frame_pixels']}")
        if video.frames > job["max_seconds"] * MAX_FPS:
            raise Refused("media_too_large", f"{video.frames} frames; expected at most {MAX_FPS} a second")


def check_seconds(seconds: float, job: dict) -> None:
    """Refuse what is longer than the limit."""
    if seconds > job["max_seconds"]:
        raise Refused("media_too_large", f"{seconds:.6g} seconds; expected at most {job['max_seconds']:g}")


def read_streams(container, video, audio, job: dict) -> tuple[dict, list[np.ndarray]]:
    """Decode both streams in one pass, and line the sound up with the first frame."""
    rate = min(audio.codec_context.sample_rate, job["max_sampling_rate"]) if audio is not None else 1
    grid, track = None, SoundTrack(rate=rate)
    start, end, rotation, sound_seconds = 0.0, 0.0, 0, 0.0
    for frame in container.decode(*[stream for stream in (video, audio) if stream is not None]):
        if isinstance(frame, av.AudioFrame):
            sound_seconds += frame.samples / frame.sample_rate
            check_seconds(sound_seconds, job)
            track.add(frame)
            continue
        if grid is None:
            fps, size = frame_rate(video), kept_size(frame, job["max_frame_side"])
            grid = FrameGrid(fps=fps, max_frames=job["max_frames"], size=size)
            start, rotation = frame.time or 0.0, frame.rotation
        time = frame.time - start if frame.time is not None else end  # one without a time follows the one before it
        check_seconds(time, job)
        grid.add(frame, time)
        end = max(end, time + 1.0 / fps)
    samples = track.finish()
    if video is None:
        return {"frames": None, "samples": len(samples), "sampling_rate": rate}, [samples]
    if grid is None:
        raise Refused("media_no_video_stream", "the video stream holds no frame; expected at least one")
    frames = [np.ascontiguousarray(np.rot90(frame, round(rotation / 90))) for frame in grid.finish(end)]
    if len(samples):
        late = round((track.start - start) * rate)
        samples = np.pad(samples, (max(late, 0), 0))[max(-late, 0) :][: round(len(frames) / grid.fps * rate)]
    shape = (len(frames), *frames[0].shape)
    return {"frames": shape, "fps": grid.fps, "samples": len(samples), "sampling_rate": rate}, [*frames, samples]


def frame_rate(video: av.VideoStream) -> float:
    """The average rate of the stream as far as it can be believed, frames a second."""
    rate: Fraction | None = video.average_rate or video.guessed_rate
    return min(max(float(rate), MIN_FPS), MAX_FPS) if rate else 25.0


def kept_size(frame: av.VideoFrame, max_side: int) -> tuple[int, int]:
    """(width, height) of `frame` scaled down so that the longer side is at most `max_side`."""
    scale = min(1.0, max_side / max(frame.width, frame.height))
    return max(1, round(frame.width * scale)), max(1, round(frame.height * scale))


def main() -> None:
    """Answer the job given as the first argument."""
    job = json.loads(sys.argv[1])
    confine(job)
    arrays: list[np.ndarray] = []
    try:
        header, arrays = decode(job)
    except Refused as refusal:
        header = dict(zip(("error", "detail"), refusal.args, strict=True))
    except MemoryError:
        header = {"error": "media_too_large", "detail": "decoding needs more memory than allowed"}
    except av.EOFError:
        header = {"error": "media_truncated", "detail": "the file ends before its first frame or sample"}
    except (av.FFmpegError, ValueError, IndexError) as error:
        header = {"error": "media_unreadable", "detail": f"FFmpeg cannot decode the file ({type(error).__name__})"}
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n")
    for array in arrays:
        sys.stdout.buffer.write(array.tobytes())


if __name__ == "__main__":
    main()
