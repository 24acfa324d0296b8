"""Lines of an OpenAI batch file as items: `{"custom_id", "method", "url", "body"}`, chat completions and images.

A body is read as `anygen serve` reads it, so a wish that cannot be met is refused and never ignored. Its `model` is not
looked at, for the run has one. Format: platform.openai.com/docs/api-reference/batch/request-input
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from anygen.errors import AnyGenError
from anygen.messages import Conversation
from anygen.parameters import GenerationParameters

CHAT, IMAGES = "/v1/chat/completions", "/v1/images/generations"


def read_openai_line(line: Mapping[str, Any]) -> dict[str, Any]:
    """`messages`, `modalities` and `params` of a line. Raises `invalid_request`, `invalid_parameter`, `url_not_allowed`."""
    from anygen.serve.chat_schema import read_chat
    from anygen.serve.media_schema import Look, read_image_generation
    from anygen.serve.settings import ServeSettings

    url, body = line.get("url", CHAT), line.get("body")
    if url == CHAT:
        ask = read_chat(body, settings=ServeSettings())
    elif url == IMAGES:
        ask = read_image_generation(body, look=Look(), settings=ServeSettings())
    else:
        raise AnyGenError("invalid_request", f"url: found {url!r}; expected {CHAT} or {IMAGES}", where="url")
    if ask.is_stream or ask.audio_format != "wav":
        found = "stream: true" if ask.is_stream else f"audio.format: {ask.audio_format}"
        raise AnyGenError("invalid_parameter", f"found {found}; a batch does not stream, and writes wav", where="body")
    given = {field.name: (getattr(ask.parameters, field.name), field.default) for field in fields(GenerationParameters)}
    params = {name: value for name, (value, default) in given.items() if value != default}
    return {"messages": _messages(ask.conversation), "modalities": params.pop("modalities", None), "params": params}


def _messages(conversation: Conversation) -> list[dict[str, Any]]:
    """A conversation in the hub's chat format again; media are data, never an address or a path."""
    messages = []
    for turn in conversation:
        content = []
        for part in turn.parts:
            if part.type == "text":
                content.append({"type": "text", "text": part.text})
                continue
            if part.media is not None and not part.media[:5].lower() == "data:":
                raise AnyGenError("url_not_allowed", f"{part.where}: found an address; expected a data URL", where=part.where)
            content.append({"type": part.type} | ({} if part.media is None else {part.type: part.media}))
        messages.append({"role": turn.role, "content": content})
    return messages
