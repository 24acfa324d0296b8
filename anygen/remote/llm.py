"""An LLM behind POST {base_url}/chat/completions, in the place of a `Backbone`; text bridges alone can join it to
anything.

    conversations --messages with image_url, input_audio, video_url--> words with captions in the markup, streamed

It is told of the markup as a local LLM is. Its tokens cannot be forced: where media are asked for (`modalities=[...]`)
it is told which, and what it leaves out is asked for by itself, one caption a request. The rules:

- the reply holds exactly the media asked for, in that order: its own where they follow the order, then the missing
  ones;
- media that nobody asked for, and those beyond `DecodingConfig.max_media`, are left out; the words stay;
- a caption is cut at `CHARACTERS_A_TOKEN` times the bridge's `max_caption_tokens`; one that stays empty is
  `remote_bad_reply`.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from anygen.backbones import NO_LIMIT, BackboneConfig
from anygen.bridges import markup
from anygen.decoding import DecodingConfig, OnMedium, OnText, Segment
from anygen.errors import AnyGenError
from anygen.media.save import save_media
from anygen.media.types import MEDIA
from anygen.messages import Conversation, Part, Turn
from anygen.model import AnyGenModel
from anygen.outputs import Told
from anygen.remote.endpoint import Endpoint, endpoint_of

CONFIG_FILE = "remote.json"
MAX_REPLY_BYTES = 16 * 2**20
"""Of a reply in words, where nobody says otherwise."""
CHARACTERS_A_TOKEN = 8
SUFFIXES = {"image": "png", "video": "mp4", "audio": "wav"}
TYPES = {"image": "image/png", "video": "video/mp4", "audio": "audio/wav"}
EXACTLY = "This time answer with exactly these elements, in this order, and no other: {elements}."
"""What follows the instructions where media are asked for."""
DESCRIBE = (
    "Describe {what} that belongs to your answer to what was said last. Write one plain sentence in English that says "
    "everything to be seen or heard, and nothing else."
)
"""What the LLM is asked where it left out a medium; `{what}` is "a picture", "a short film" or "a sound"."""


@dataclass(frozen=True, kw_only=True)
class RemoteLLMConfig:
    """How a remote LLM is asked."""

    endpoint: Endpoint
    reads: tuple[str, ...] = ()
    """Media that it takes as parts of a message, of image, video and audio."""
    extra_body: dict[str, Any] = field(default_factory=dict)
    """Fields of every request beside ours, and in their place, e.g. {"chat_template_kwargs": {"enable_thinking":
    False}}."""
    max_parallel: int = 8
    """Requests at a time."""

    def __post_init__(self):
        if unknown := sorted(set(self.reads) - set(MEDIA)):
            raise AnyGenError(
                "invalid_parameter", f"reads: found {', '.join(unknown)}; expected some of {', '.join(MEDIA)}"
            )
        if self.max_parallel < 1:
            raise AnyGenError("invalid_parameter", f"max_parallel: found {self.max_parallel}; expected 1 or more")


@dataclass(kw_only=True)
class RemoteInputs:
    """A batch of conversations as they are, where a local LLM has rows of tokens."""

    conversations: list[Conversation]


class RemoteLLM(nn.Module):
    """An LLM that another program serves; it has no parameters here.

    Args:
        base_url: where, e.g. "http://127.0.0.1:8000/v1"; or "openai:http://127.0.0.1:8000/v1#model", or an
            `Endpoint`; the two latter say the model themselves.
        model: what it is called there.
        reads, extra_body, max_parallel: see `RemoteLLMConfig`.
        settings: the other fields of `Endpoint`: api_key_env, deadline_seconds, max_tries, ...
    """

    def __init__(
        self,
        base_url: str | Endpoint,
        *,
        model: str = "",
        reads: Sequence[str] = (),
        extra_body: dict[str, Any] | None = None,
        max_parallel: int = 8,
        **settings: Any,
    ):
        super().__init__()
        if not isinstance(base_url, Endpoint):
            settings = {"max_reply_bytes": MAX_REPLY_BYTES} | settings
        endpoint = endpoint_of(base_url, model=model, **settings)
        self.remote = RemoteLLMConfig(
            endpoint=endpoint, reads=tuple(reads), extra_body=extra_body or {}, max_parallel=max_parallel
        )
        self.config = BackboneConfig(media_start="", media_end="")
        self.device, self.context_length, self.has_system_role = torch.device("cpu"), NO_LIMIT, True
        self.source: str | None = None
        self.added_tokens: list[str] = []

    @property
    def reads(self) -> tuple[str, ...]:
        """Media that it reads by itself."""
        return self.remote.reads

    def save_pretrained(self, folder: str | Path) -> None:
        """Write where it is; the key is not among it."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG_FILE).write_text(json.dumps(asdict(self.remote), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> RemoteLLM:
        """Read what `save_pretrained` wrote. Raises `model_load_error`."""
        from anygen.encoders.encoder import config_from_dict, read_json

        path = Path(folder) / CONFIG_FILE
        config = config_from_dict(RemoteLLMConfig, read_json(path), where=str(path))
        config.endpoint.check_trusted(where=str(path))
        return cls(config.endpoint, reads=config.reads, extra_body=config.extra_body, max_parallel=config.max_parallel)

    def check_conversation(self, conversation: Conversation) -> None:
        """Raise `modality_not_supported` for media of the user's that it does not read."""
        for part in (part for turn in conversation if turn.role == "user" for part in turn.parts):
            if part.type != "text" and part.type not in self.remote.reads:
                read = ", ".join(("text", *self.remote.reads))
                name = self.remote.endpoint.model
                detail = f"{part.where or 'a part'}: found {part.type}; {name} is declared to read {read} (reads=)"
                raise AnyGenError("modality_not_supported", detail, found=part.type, available=read)

    def decode(
        self,
        model: AnyGenModel,
        inputs: RemoteInputs,
        *,
        configs: Sequence[DecodingConfig],
        generators: Sequence[torch.Generator],
        on_text: OnText | None = None,
        on_medium: OnMedium | None = None,
        on_step: Callable[[], None] | None = None,
    ) -> list[Told | AnyGenError]:
        """As `decoding.decode`, each conversation a request of its own; one that fails has its error in its place."""

        def told(row: int) -> Told | AnyGenError:
            talk = _Talk(
                self, model, inputs.conversations[row], configs[row],
                seed=generators[row].initial_seed() % 2**31, check=on_step,
                on_text=on_text and (lambda text: on_text(row, text)),
                on_medium=on_medium and (lambda modality: on_medium(row, modality)),
            )  # fmt: skip
            try:
                return talk.answer()
            except AnyGenError as error:
                return error.with_traceback(None)

        rows = range(len(inputs.conversations))
        with ThreadPoolExecutor(max_workers=self.remote.max_parallel, thread_name_prefix="anygen-remote") as pool:
            return list(pool.map(told, rows))


class _Talk:
    """One conversation with the remote LLM."""

    def __init__(self, llm, model, conversation, config, *, seed, check, on_text, on_medium):
        self.llm, self.model, self.config, self.seed, self.check = llm, model, config, seed, check
        self.conversation, self.on_text, self.on_medium = conversation, on_text, on_medium
        self.told = Told()

    def answer(self) -> Told:
        """The whole reply."""
        wanted = self.config.media
        made = [
            m
            for m in self.model.config.text_modalities
            if m in self.model.generators and (wanted is None or m in wanted)
        ]
        shown = self.conversation
        if made:
            more = EXACTLY.format(elements=", ".join(map(_element, wanted))) if wanted else ""
            told = self.model.config.instructions + (f" {more}" if more else "")
            shown = markup.instruct(shown, modalities=made, instructions=told, has_system=True)
        pieces: list[markup.Piece] = []
        reader = markup.Reader(modalities=made)
        for stretch in self.say(shown, max_tokens=self.config.max_new_tokens):
            self._take(pieces, reader.read(stretch))
        self._take(pieces, reader.finish())
        if wanted:
            pieces = self._exactly(pieces, wanted)
        self.told.segments = [self._segment(piece) for piece in pieces]
        return self.told

    def say(self, conversation: Conversation, *, max_tokens: int) -> Iterator[str]:
        """The words of one request as they come."""
        body = {
            "model": self.llm.remote.endpoint.model,
            "messages": [message_of(turn) for turn in conversation],
            "max_tokens": max_tokens,
            "temperature": self.config.temperature,
            "top_p": self.config.top_p,
            "seed": self.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        lines = self.llm.remote.endpoint.lines("chat/completions", body | self.llm.remote.extra_body, check=self.check)
        for chunk in chunks_of(lines):
            usage = chunk.get("usage")
            if isinstance(usage, dict):
                self.told.num_prompt_tokens += _count(usage.get("prompt_tokens"))
                self.told.num_reply_tokens += _count(usage.get("completion_tokens"))
            yield words_of(chunk)

    def _take(self, pieces: list[markup.Piece], new: list[markup.Piece]) -> None:
        """More of the reply: words are told at once, media too unless it is still to be seen which of them stay."""
        for piece in new:
            if piece.type == "text":
                if pieces and pieces[-1].type == "text":
                    piece, told = markup.Piece(type="text", text=pieces.pop().text + piece.text), piece.text
                else:
                    told = piece.text
                if self.on_text:
                    self.on_text(told)
            elif self.config.media is None:
                if sum(other.type != "text" for other in pieces) >= self.config.max_media:
                    continue
                if self.on_medium:
                    self.on_medium(piece.type)
            pieces.append(piece)

    def _exactly(self, pieces: list[markup.Piece], wanted: Sequence[str]) -> list[markup.Piece]:
        """A reply with exactly the media that were asked for."""
        found = [piece.type for piece in pieces if piece.type != "text"]
        if found != list(wanted):
            words = [piece for piece in pieces if piece.type == "text"]
            own = [piece for piece in pieces if piece.type != "text"]
            media = []
            for modality in wanted:
                fits = next((piece for piece in own if piece.type == modality), None)
                if fits is not None:
                    own = own[own.index(fits) + 1 :]
                media.append(fits or markup.Piece(type=modality, text=self._caption(modality)))
            text = "".join(piece.text for piece in words)
            pieces = [*([markup.Piece(type="text", text=text)] if words else []), *media]
        for modality in wanted:
            if self.on_medium:
                self.on_medium(modality)
        return pieces

    def _caption(self, modality: str) -> str:
        """What a medium that was left out is to show. Raises `remote_bad_reply`."""
        *before, last = markup.escaped(self.conversation, modalities=list(self.model.generators))
        ask = Part(type="text", text="\n\n" + DESCRIBE.format(what=markup.WHAT_IT_IS[modality]))
        asked = (*before, Turn(role=last.role, parts=(*last.parts, ask)))
        reply = "".join(self.say(asked, max_tokens=self.model.config.bridges[modality].max_caption_tokens))
        pieces = markup.parse(reply, modalities=[modality])
        captions = [piece.text for piece in pieces if piece.type == modality] or [piece.text for piece in pieces]
        caption = " ".join(" ".join(captions).replace("<", " ").split())
        if not caption:
            found = f"found no caption for {modality} in {reply[:200]!r}; ask again, or another model"
            raise AnyGenError("remote_bad_reply", f"{self.llm.remote.endpoint.base_url}: {found}")
        return caption

    def _segment(self, piece: markup.Piece) -> Segment:
        if piece.type == "text":
            return Segment(type="text", text=piece.text)
        longest = CHARACTERS_A_TOKEN * self.model.config.bridges[piece.type].max_caption_tokens
        return Segment(type=piece.type, caption=piece.text[:longest].strip())


def message_of(turn: Turn) -> dict[str, Any]:
    """A turn in OpenAI's shape: words alone as a string, with media as parts."""
    if all(part.type == "text" for part in turn.parts):
        return {"role": turn.role, "content": "".join(part.text for part in turn.parts)}
    return {"role": turn.role, "content": [_part(part) for part in turn.parts]}


def _part(part: Part) -> dict[str, Any]:
    if part.type == "text":
        return {"type": "text", "text": part.text}
    if part.media is None:
        raise AnyGenError(
            "modality_not_supported", f"{part.where}: found {part.type} without the medium; a remote LLM needs it"
        )
    with tempfile.TemporaryDirectory(prefix="anygen-") as folder:
        data = save_media(part.media, Path(folder) / f"medium.{SUFFIXES[part.type]}").read_bytes()
    coded = base64.b64encode(data).decode()
    if part.type == "audio":
        return {"type": "input_audio", "input_audio": {"data": coded, "format": SUFFIXES["audio"]}}
    kind = f"{part.type}_url"
    return {"type": kind, kind: {"url": f"data:{TYPES[part.type]};base64,{coded}"}}


def chunks_of(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The objects of a stream of server-sent events; or the one object of a server that does not stream.

    Raises `remote_bad_reply` for what is no JSON object, and for an error in the middle of the stream.
    """
    plain, streams = "", False
    for line in lines:
        if line.startswith("data:"):
            streams, data = True, line.removeprefix("data:").strip()
            if data == "[DONE]":
                return
            yield _object(data)
        elif not streams and line and not line.startswith((":", "event:", "id:", "retry:")):
            plain += line
    if plain:
        yield _object(plain)
    elif not streams:
        raise AnyGenError("remote_bad_reply", "found an empty reply; expected a chat completion")


def _object(data: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise AnyGenError("remote_bad_reply", f"found {data[:200]!r}; expected JSON") from error
    if not isinstance(found, dict) or "error" in found and found["error"]:
        raise AnyGenError("remote_bad_reply", f"found {data[:200]!r}; expected a piece of a chat completion")
    return found


def words_of(chunk: dict[str, Any]) -> str:
    """What a piece of a completion, or a whole one, says. Raises `remote_bad_reply`."""
    choices = chunk.get("choices") or []
    try:
        said = choices[0].get("delta") or choices[0].get("message") or {} if choices else {}
        content = said.get("content")
    except (AttributeError, TypeError, KeyError, IndexError) as error:
        raise AnyGenError(
            "remote_bad_reply", f"found {str(chunk)[:200]}; expected choices with a delta or a message"
        ) from error
    if content is not None and not isinstance(content, str):
        raise AnyGenError("remote_bad_reply", f"found content of type {type(content).__name__}; expected words")
    return content or ""


def _count(given: Any) -> int:
    return given if isinstance(given, int) and given > 0 else 0


def _element(modality: str) -> str:
    return f"{markup.opening(modality)}...{markup.closing(modality)}"
