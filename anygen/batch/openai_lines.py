"""Lines of an OpenAI batch file as items: `{"custom_id", "method", "url", "body"}`, chat completions and images.

The body's `model` is not looked at: the run has one model. What a body holds beyond what is listed here is refused, for
an answer that ignores a wish is no answer. Format: platform.openai.com/docs/api-reference/batch/request-input
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anygen.errors import AnyGenError

CHAT, IMAGES = "/v1/chat/completions", "/v1/images/generations"
UNUSED = {"model", "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key", "audio"}
"""Keys that say nothing about the answer here."""
RENAMED = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "max_tokens": "max_new_tokens",
    "max_completion_tokens": "max_new_tokens",
}
MEDIA_PARTS = {
    "image_url": ("image", lambda value: value["url"]),
    "video_url": ("video", lambda value: value["url"]),
    "input_audio": ("audio", lambda value: f"data:audio/{value['format']};base64,{value['data']}"),
}


def read_openai_line(line: Mapping[str, Any]) -> dict[str, Any]:
    """`messages`, `modalities` and `params` of a line. Raises `invalid_request` and `invalid_parameter`."""
    url, body = line.get("url", CHAT), line.get("body")
    if not isinstance(body, Mapping):
        raise AnyGenError("invalid_request", f"body: found a {type(body).__name__}; expected an object", where="body")
    body = {key: value for key, value in body.items() if value is not None and key not in UNUSED}
    if url == CHAT:
        return _read_chat(body)
    if url == IMAGES:
        return _read_images(body)
    raise AnyGenError("invalid_request", f"url: found {url!r}; expected {CHAT} or {IMAGES}", where="url")


def _read_chat(body: dict[str, Any]) -> dict[str, Any]:
    if body.pop("stream", False):
        raise AnyGenError("invalid_parameter", "stream: found true; a batch has nobody to stream to", where="body.stream")
    if body.pop("n", 1) != 1:
        raise AnyGenError("invalid_parameter", "n: found more than 1; expected 1 reply a line", where="body.n")
    messages, modalities = body.pop("messages", None), body.pop("modalities", None)
    _check_known(body, RENAMED)
    if not isinstance(messages, list) or not messages:
        raise AnyGenError("invalid_request", "body.messages: expected a list of messages", where="body.messages")
    return {
        "messages": [_read_message(message, where=f"messages[{index}]") for index, message in enumerate(messages)],
        "modalities": modalities,
        "params": {RENAMED[key]: value for key, value in body.items()},
    }


def _read_images(body: dict[str, Any]) -> dict[str, Any]:
    prompt, count, seed = body.pop("prompt", None), body.pop("n", 1), body.pop("seed", None)
    _check_known(body, ())
    params = {"num_outputs": count} | ({} if seed is None else {"seed": seed})
    return {"messages": prompt, "modalities": ["image"], "params": params}


def _check_known(body: Mapping[str, Any], known: Any) -> None:
    for key in body:
        if key not in known:
            expected = ", ".join(["messages", "modalities", *known]) or "prompt, n, seed"
            raise AnyGenError("invalid_parameter", f"body.{key}: is not answered to; expected {expected}", where="body")


def _read_message(message: Any, *, where: str) -> Any:
    """A message in the hub's chat format; `read_conversation` judges what is not well formed."""
    if not isinstance(message, Mapping) or not isinstance(message.get("content"), list):
        return message
    content = [_read_part(part, where=f"{where}.content[{index}]") for index, part in enumerate(message["content"])]
    role = "system" if message.get("role") == "developer" else message.get("role")
    return {**message, "role": role, "content": content}


def _read_part(part: Any, *, where: str) -> Any:
    if not isinstance(part, Mapping) or part.get("type") not in MEDIA_PARTS:
        return part
    kind, read = MEDIA_PARTS[part["type"]]
    try:
        source = read(part[part["type"]])
    except (KeyError, TypeError) as error:
        raise AnyGenError("invalid_request", f"{where}: {part['type']} lacks {error}", where=where) from error
    if not isinstance(source, str) or not source.startswith("data:"):
        raise AnyGenError("url_not_allowed", f"{where}: found an address; expected a data URL", where=where)
    return {"type": kind, kind: source}
