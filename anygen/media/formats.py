"""Which format some bytes are in, told by their first bytes and never by a name, and which formats may be read as what.

A decoder is only started on a format that is listed for the modality asked for. That is the first of three walls around
FFmpeg (the other two are its own allow lists and the confined process, see `decode_worker.py`): play lists such as
ffconcat or m3u8, which name further files, are text and never reach it.
"""

from anygen.errors import AnyGenError
from anygen.media.types import Modality

HEAD_BYTES = 64
"""how many leading bytes `sniff_format` looks at"""

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"GIF8", "gif"),
    (8, b"WEBP", "webp"),
    (0, b"BM", "bmp"),
    (8, b"AVI ", "avi"),
    (8, b"WAVE", "wav"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"fLaC", "flac"),
    (0, b"OggS", "ogg"),
    (0, b"ID3", "mp3"),
    # Known, and read as nothing
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (0, b"II+\0", "tiff"),
    (0, b"MM\0+", "tiff"),
    (0, b"8BPS", "psd"),
    (0, b"%PDF", "pdf"),
    (0, b"%!PS", "eps"),
    (0, b"\xc5\xd0\xd3\xc6", "eps"),
    (0, b"\0\0\0\x0cjP  ", "jpeg2000"),
    (0, b"\xff\x4f\xff\x51", "jpeg2000"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"\x1f\x8b", "gzip"),
)
_RIFF = {"webp", "avi", "wav"}
_STILL_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"heif", b"mif1", b"msf1"}
_MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"}

_SOUND = frozenset({"wav", "flac", "ogg", "mp3", "aac", "mp4", "matroska", "avi"})
READABLE: dict[Modality, frozenset[str]] = {
    "image": frozenset({"jpeg", "png", "webp", "gif", "bmp"}),
    # The formats of sound are here too: what they lack is pictures, which the decoder reports as such.
    "video": _SOUND | {"gif"},
    "audio": _SOUND,
}
"""The formats that are read as each modality."""


def sniff_format(head: bytes) -> str:
    """The format of a file that begins with `head` (at least `HEAD_BYTES` bytes, or the whole file).

    Returns a name such as "png" or "mp4", "text" for printable text of any kind, or "unknown".
    """
    for offset, magic, name in _MAGIC:
        if head[offset : offset + len(magic)] == magic and (name not in _RIFF or head[:4] == b"RIFF"):
            return name
    if head[4:8] in _MP4_BOXES:
        return "heif" if head[8:12] in _STILL_BRANDS else "mp4"
    if head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE0 == 0xE0:  # an MPEG audio frame: eleven set bits
        return "aac" if head[1] & 0x06 == 0 else "mp3"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head.removeprefix(b"\xef\xbb\xbf")):
        return "text"
    return "unknown"


def check_format(head: bytes, modality: Modality) -> str:
    """The format of `head`, once it is known to be readable as `modality`.

    Raises `media_empty`, `media_type_not_allowed`, or `media_unreadable` where the bytes are no known format at all.
    """
    if not head:
        raise AnyGenError("media_empty", f"found 0 bytes; expected {modality} data")
    found = sniff_format(head)
    if found == "unknown":
        raise AnyGenError("media_unreadable", f"the bytes are no known format; expected {_expected(modality)}")
    if found not in READABLE[modality]:
        raise AnyGenError("media_type_not_allowed", f"the bytes are {found}; expected {_expected(modality)}")
    return found


def _expected(modality: Modality) -> str:
    return f"{modality} data in one of {', '.join(sorted(READABLE[modality]))}"
