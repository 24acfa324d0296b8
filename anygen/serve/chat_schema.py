"""`/v1/chat/completions`: OpenAI's conversation to anygen's, part by part.

    {"type": "text", "text"}                         text
    {"type": "image_url", "image_url": {"url"}}      image        url: data:..., or https:// and file:// where allowed
    {"type": "video_url", "video_url": {"url"}}      video
    {"type": "audio_url", "audio_url": {"url"}}      audio
    {"type": "input_audio", "input_audio": {"data", "format"}}    audio, base64
A reply of this server is taken back as it is: its `parts` say where its media stood. Nothing is opened here, and no
model is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anygen.errors import AnyGenError
from anygen.messages import Conversation, read_conversation
from anygen.parameters import GenerationParameters
from anygen.serve import fields
from anygen.serve.fields import Check
from anygen.serve.settings import ServeSettings

ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
URL_PARTS = {"image_url": "image", "video_url": "video", "audio_url": "audio"}
"""Parts that hold an address -> the modality at it."""
PART_KEYS = {"text": "text", **{kind: kind for kind in URL_PARTS}, "input_audio": "input_audio"}
AUDIO_FORMATS = ("wav", "mp3", "flac", "ogg", "opus", "aac", "m4a", "mp4", "webm")
"""What `format` may say; the content decides."""
MAX_MESSAGES = 256
MAX_NEW_TOKENS = 4096
NOT_HERE = "to be left out: this server has no such thing"

LIKE_OPENAI: dict[str, Check] = {
    "n": fields.only(1, why="1; see generation.num_outputs for candidates of media"),
    "user": fields.text,
    "safety_identifier": fields.text,
    "prompt_cache_key": fields.text,
    "metadata": fields.anything,
    "store": fields.only(False, why="false: nothing is stored"),
    "service_tier": fields.choice("auto", "default"),
    "frequency_penalty": fields.only(0, 0.0, why="0"),
    "presence_penalty": fields.only(0, 0.0, why="0"),
    "logit_bias": fields.only({}, why=NOT_HERE),
    "logprobs": fields.only(False, why="false"),
    "tools": fields.only([], why=NOT_HERE),
    "tool_choice": fields.only("none", "auto", why=NOT_HERE),
    "parallel_tool_calls": fields.flag,
    "response_format": fields.only({"type": "text"}, why='{"type": "text"}'),
    "stop": fields.only([], why=NOT_HERE),
}
"""What OpenAI's clients may send beside what is used here: taken where it says nothing, refused where it would matter."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request, read: a conversation with its media still closed, and how it is to be answered."""

    conversation: Conversation
    parameters: GenerationParameters
    model: str | None = None
    is_stream: bool = False
    with_usage: bool = False
    """Whether the last piece of a stream is the count of tokens."""
    with_progress: bool = False
    """Whether a stream also tells of the denoising steps."""
    audio_format: str = "wav"
    """What sounds are written as."""


def read_chat(body: Any, *, settings: ServeSettings) -> Ask:
    """Read the body of a chat request. Raises `invalid_request` and `invalid_parameter`, with the place."""
    given = fields.read_object(
        body,
        {
            "model": fields.text,
            "messages": fields.anything,
            "modalities": fields.anything,
            "seed": fields.whole(-(2**63), 2**64 - 1),
            "temperature": fields.number(0, 2),
            "top_p": fields.anything,
            "max_tokens": fields.whole(1, MAX_NEW_TOKENS),
            "max_completion_tokens": fields.whole(1, MAX_NEW_TOKENS),
            "stream": fields.flag,
            "stream_options": fields.anything,
            "audio": fields.anything,
            "generation": fields.anything,
            **LIKE_OPENAI,
        },
        where="",
        required=("messages",),
    )
    conversation = read_messages(given["messages"], settings=settings)
    parameters = {key: given[key] for key in ("modalities", "seed", "temperature", "top_p") if key in given}
    if limit := given.get("max_completion_tokens") or given.get("max_tokens"):
        parameters["max_new_tokens"] = limit
    parameters |= read_generation(given.get("generation", {}), settings=settings)
    stream = {"include_usage": fields.flag, "include_progress": fields.flag, "include_obfuscation": fields.flag}
    options = fields.read_object(given.get("stream_options", {}), stream, where="stream_options")
    audio = fields.read_object(
        given.get("audio", {}), {"format": fields.choice("wav", "flac"), "voice": fields.anything}, where="audio"
    )
    return Ask(
        conversation=conversation,
        parameters=GenerationParameters.read(**parameters),
        model=given.get("model"),
        is_stream=given.get("stream", False),
        with_usage=options.get("include_usage", False),
        with_progress=options.get("include_progress", False),
        audio_format=audio.get("format", "wav"),
    )


def read_generation(given: Any, *, settings: ServeSettings) -> dict[str, Any]:
    """The `generation` object, where what OpenAI has no name for is set: parameters of each generator, candidates."""
    sampling = {
        "num_inference_steps": fields.whole(1, settings.max_steps),
        "guidance_scale": fields.number(0, 100),
    }

    def generator(value: Any, where: str) -> dict[str, Any]:
        known = {**dict.fromkeys(value if isinstance(value, dict) else (), fields.anything), **sampling}
        return fields.read_object(value, known, where=where)  # names that it does not know are the generator's to refuse

    schema = {
        **dict.fromkeys(("image", "video", "audio"), generator),
        "num_outputs": fields.whole(1, settings.max_outputs),
        "truncate": fields.flag,
    }
    return fields.read_object(given, schema, where="generation")


def read_messages(given: Any, *, settings: ServeSettings) -> Conversation:
    """OpenAI's `messages` as a conversation. Raises `invalid_request` that names the place."""
    if not isinstance(given, list) or not given:
        raise fields.wrong_kind("messages", given, "a list of one or more messages")
    if len(given) > MAX_MESSAGES:
        detail = f"messages: found {len(given)}; expected at most {MAX_MESSAGES}"
        raise AnyGenError("invalid_request", detail, where="messages", found=len(given), limit=MAX_MESSAGES)
    conversation = read_conversation([_message(each, where=f"messages[{i}]") for i, each in enumerate(given)])
    num_media = sum(part.type != "text" for turn in conversation for part in turn.parts)
    if num_media > settings.max_media:
        detail = f"messages: found {num_media} media; expected at most {settings.max_media}"
        raise AnyGenError("invalid_request", detail, where="messages", found=num_media, limit=settings.max_media)
    return conversation


def _message(given: Any, *, where: str) -> dict[str, Any]:
    """One message in the hub's chat format, its parts at the same places."""
    ours = {"role": _role, "content": fields.anything, "name": fields.text, "parts": fields.anything}
    # A reply comes back with the empty fields that clients put in.
    nothing = {key: fields.anything for key in ("refusal", "audio", "annotations", "function_call", "tool_calls", "id")}
    message = fields.read_object(given, ours | nothing, where=where, required=("role",))
    role = message["role"]
    if message.get("tool_calls") or message.get("function_call"):
        raise fields.out_of_bounds(f"{where}.tool_calls", "a call", NOT_HERE)
    content, place = message.get("content"), f"{where}.content"
    if role == "assistant":
        content, place = _reply(message, where=where)
    if isinstance(content, str):
        return {"role": role, "content": content}
    if not isinstance(content, list) or (not content and role != "assistant"):
        raise fields.wrong_kind(place, content, "a string or a list of one or more parts")
    return {"role": role, "content": [_part(part, role, where=f"{place}[{i}]") for i, part in enumerate(content)]}


def _reply(message: dict[str, Any], *, where: str) -> tuple[Any, str]:
    """What a turn of the assistant's holds, and where that stands: the parts as this server sends them, if they are there.

    Of several candidates the first was said; a sound that is named by `audio` alone, as OpenAI's clients do, stands last.
    """
    if message.get("parts"):
        parts = message["parts"]
        if not isinstance(parts, list):
            raise fields.wrong_kind(f"{where}.parts", parts, "a list of parts")
        return [part for part in parts if not (isinstance(part, dict) and part.get("candidate"))], f"{where}.parts"
    content = message.get("content") or []
    if not message.get("audio"):
        return content, f"{where}.content"
    said = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [*said, {"type": "input_audio", "input_audio": message["audio"]}], f"{where}.content"


def _role(given: Any, where: str) -> str:
    if not isinstance(given, str) or given not in ROLES:
        expected = f"one of {', '.join(ROLES)}"
        detail = f"{where}: found {repr(given)[:200]}; expected {expected}"
        raise AnyGenError("invalid_request", detail, where=where, expected=expected)
    return ROLES[given]


def _part(given: Any, role: str, *, where: str) -> dict[str, Any]:
    """One part in the hub's chat format: a medium is its address, or nothing in a reply, where it is not looked at."""
    if not isinstance(given, dict):
        raise fields.wrong_kind(where, given, "an object with 'type'")
    kind = given.get("type")
    if not isinstance(kind, str) or kind not in PART_KEYS:
        expected = f"one of {', '.join(PART_KEYS)}"
        detail = f"{where}.type: found {repr(kind)[:200]}; expected {expected}"
        raise AnyGenError("invalid_request", detail, where=where, expected=expected)
    schema = {"type": fields.text, PART_KEYS[kind]: fields.anything, "index": fields.anything, "candidate": fields.anything}
    if role != "assistant":
        schema = {key: schema[key] for key in ("type", PART_KEYS[kind])}
    value = _read_part(given, schema, key=PART_KEYS[kind], where=where)
    if kind == "text":
        return {"type": "text", "text": fields.text(value, where)}
    modality = URL_PARTS.get(kind, "audio")
    if role == "assistant":
        return {"type": modality}
    if kind in URL_PARTS:
        keys = {"url": fields.text, "detail": fields.choice("auto", "low", "high")}
        return {"type": modality, modality: _read_part(value, keys, key="url", where=where)}
    keys = {"data": fields.text, "format": fields.choice(*AUDIO_FORMATS)}
    data = _read_part(value, keys, key="data", where=where)
    return {"type": "audio", "audio": data if data[:5].lower() == "data:" else f"data:audio/any;base64,{data}"}


def _read_part(given: Any, schema: dict[str, Check], *, key: str, where: str) -> Any:
    """The value of one key of a part, whatever is wrong with the part being said of the part as a whole."""
    try:
        return fields.read_object(given, schema, where=where, required=(key,))[key]
    except AnyGenError as error:
        raise AnyGenError("invalid_request", error.detail, **error.fields | {"where": where}) from error
