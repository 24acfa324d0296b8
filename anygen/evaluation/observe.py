"""What a reply shows: replies in, attribute -> value out, by the judges and by measurement.

Where an attribute can be measured it is (colour, place, motion, tones); the judges say the rest (which thing, which
background, how many, which sound). The judges' own opinion of the colour is kept beside it as `judged color`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anygen.evaluation.answers import named
from anygen.evaluation.judges import Judges
from anygen.evaluation.measure import measure_picture
from anygen.evaluation.measure_motion import measure_video
from anygen.evaluation.measure_tone import measure_tone
from anygen.media.types import MEDIA
from anygen.nano.world.refusals import is_refusal
from anygen.outputs import AnyGenOutput

Observation = dict[str, str]


def observe(replies: Sequence[AnyGenOutput], what: str, judges: Judges) -> list[Observation]:
    """Attribute -> value per reply; empty for a reply without the medium asked for.

    Args:
        replies: of any number, each with at least the parts that `what` is about; of several media the first counts.
        what: "image", "video", "audio", "text", or "choice": `{"media": "image+audio", "refused": "no"}`, media in the order
            of `MEDIA`.
        judges: both of them.
    """
    if what == "choice":
        return [
            {
                "media": "+".join(m for m in MEDIA for _ in reply.of(m)) or "none",
                "refused": "yes" if is_refusal(reply.text) else "no",
            }
            for reply in replies
        ]
    if what == "text":
        return [observe_text(reply.text) for reply in replies]
    media = [medium for reply in replies for medium in reply.of(what)[:1]]
    seen = iter({"image": observe_images, "video": observe_videos, "audio": observe_audios}[what](media, judges))
    return [next(seen) if reply.of(what) else {} for reply in replies]


def observe_text(text: str) -> Observation:
    """What a text names; several values of one attribute are joined by "/", so that they equal none of them."""
    found = {name: "/".join(sorted(map(str, values))) for name, values in named(text).items() if values}
    return found | {"answer": text} | _as_tone(found)


def observe_images(images: Sequence, judges: Judges) -> list[Observation]:
    """Pictures, PIL images of any size."""
    measured = [measure_picture(np.asarray(image.convert("RGB"))) for image in images]
    return [_joined(judged, found) for judged, found in zip(judges.judge_images(images), measured, strict=True)]


def observe_videos(videos: Sequence, judges: Judges) -> list[Observation]:
    """Films, `Video`s of any length and size."""
    measured = [measure_video(video.frames) for video in videos]
    return [_joined(judged, found) for judged, found in zip(judges.judge_videos(videos), measured, strict=True)]


def observe_audios(audios: Sequence, judges: Judges) -> list[Observation]:
    """Sounds, `Audio`s at 16 kHz."""
    measured = [measure_tone(audio) for audio in audios]
    return [_joined(judged, found) for judged, found in zip(judges.judge_audios(audios), measured, strict=True)]


def _joined(judged: dict, measured: dict) -> Observation:
    both = {f"judged {name}": judged[name] for name in judged.keys() & measured.keys()}
    found = judged | measured | both
    return {name: str(value) for name, value in found.items()} | _as_tone(found)


def _as_tone(found: dict) -> Observation:
    return {"tone": f"{found['height']} {found['contour']}"} if {"height", "contour"} <= found.keys() else {}
