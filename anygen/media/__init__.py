"""Pictures, films and sounds: from files, bytes and arrays to `PIL.Image`, `Video` and `Audio`, and back to files.

`load.py` is where to begin reading: it shows every kind of source and where each goes. `limits.py` holds all bounds.
"""

from anygen.media.limits import MediaLimits
from anygen.media.load import load_audio, load_image, load_media, load_video
from anygen.media.sampling import resample, sample_frames
from anygen.media.save import save_audio, save_image, save_media, save_video
from anygen.media.types import MEDIA, Audio, Modality, Video

__all__ = [
    "MEDIA",
    "Audio",
    "MediaLimits",
    "Modality",
    "Video",
    "load_audio",
    "load_image",
    "load_media",
    "load_video",
    "resample",
    "sample_frames",
    "save_audio",
    "save_image",
    "save_media",
    "save_video",
]
