"""What the pipeline answers, in OpenAI's shapes.

A chat reply is a message whose `content` is all that was said in words, for clients that know no other; `parts` is the
whole reply in the order it was said, media as data URLs, in the shapes that requests have:

    {"role": "assistant", "content": "Here is a red bell.", "parts": [
        {"type": "text", "text": "Here is a red bell."},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,..."}, "index": 0, "candidate": 0}],
     "audio": {"id", "data", "expires_at", "transcript"} of the first sound, where OpenAI's clients look for it}
`index` counts the media of a modality, `candidate` the takes of one medium.
"""

from __future__ import annotations

import base64
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anygen.media.types import Modality
from anygen.parameters import GenerationParameters

if TYPE_CHECKING:
    from anygen.outputs import AnyGenOutput

TYPES = {"png": "image/png", "mp4": "video/mp4", "wav": "audio/wav", "flac": "audio/flac"}


def suffix_of(modality: Modality, *, audio_format: str = "wav") -> str:
    """The format that a medium is sent in."""
    return {"image": "png", "video": "mp4", "audio": audio_format}[modality]


def encode(medium: Any, suffix: str, *, provenance: dict[str, Any]) -> bytes:
    """A medium as the bytes of a file; takes its time, so it is not for the event loop.

    Raises `generation_not_finite`.
    """
    from anygen.media.save import save_media

    with tempfile.TemporaryDirectory(prefix="anygen-") as folder:
        return save_media(medium, Path(folder) / f"medium.{suffix}", provenance=provenance).read_bytes()


def media_part(modality: Modality, data: bytes, suffix: str, *, index: int, num_outputs: int) -> dict[str, Any]:
    """One medium as a part; `index` is its place among the media of its modality, candidates counted."""
    kind = f"{modality}_url"
    url = f"data:{TYPES[suffix]};base64,{base64.b64encode(data).decode()}"
    return {"type": kind, kind: {"url": url}, "index": index // num_outputs, "candidate": index % num_outputs}


def encode_parts(output: AnyGenOutput, parameters: GenerationParameters, *, audio_format: str, provenance: dict) -> list:
    """Every part of a reply, in the order they were said; takes its time too."""
    parts, counts = [], Counter()
    for part in output.parts:
        if part.type == "text":
            parts.append({"type": "text", "text": part.text})
            continue
        suffix = suffix_of(part.type, audio_format=audio_format)
        data = encode(part.media, suffix, provenance=provenance)
        parts.append(
            media_part(part.type, data, suffix, index=counts[part.type], num_outputs=parameters.num_outputs)
        )
        counts[part.type] += 1
    return parts


def completion(output: AnyGenOutput, parts: list[dict[str, Any]], *, model: str, finish_reason: str) -> dict[str, Any]:
    """The body of `/v1/chat/completions`."""
    created = int(time.time())
    message = {"role": "assistant", "content": output.text, "parts": parts, "refusal": None}
    sounds = [part["audio_url"]["url"] for part in parts if part["type"] == "audio_url"]
    if sounds:
        data = sounds[0].partition(",")[2]
        message["audio"] = {"id": f"audio_{uuid.uuid4().hex}", "data": data, "expires_at": created, "transcript": ""}
    return {
        "id": completion_id(),
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}],
        "usage": usage(output),
        "anygen": {"seed": output.seed, "timings": {name: round(value, 4) for name, value in output.timings.items()}},
    }


def completion_id() -> str:
    """A name for a reply."""
    return f"chatcmpl-{uuid.uuid4().hex}"


def usage(output: AnyGenOutput) -> dict[str, int]:
    """Tokens read and said; media count as the tokens they take."""
    read, said = output.num_prompt_tokens, output.num_reply_tokens
    return {"prompt_tokens": read, "completion_tokens": said, "total_tokens": read + said}


def finish_reason(output: AnyGenOutput, parameters: GenerationParameters, *, context_length: int) -> str:
    """"stop", or "length" where there was no more room to speak."""
    room = min(parameters.max_new_tokens, context_length - output.num_prompt_tokens)
    return "length" if output.num_reply_tokens >= room else "stop"
