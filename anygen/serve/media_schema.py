"""The endpoints that make one medium from words: `/v1/images/generations`, `/v1/audio/generate` and `speech`, `/v1/videos`.

Each body becomes an `Ask`, as a chat request does: one turn of the user's, answered with exactly one modality. Sizes
and lengths are those that the model makes; another one is refused, never rounded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anygen.messages import read_conversation
from anygen.parameters import GenerationParameters
from anygen.serve import fields
from anygen.serve.chat_schema import Ask, read_generation
from anygen.serve.fields import Check
from anygen.serve.settings import ServeSettings

COMMON: dict[str, Check] = {
    "model": fields.text,
    "seed": fields.whole(-(2**63), 2**64 - 1),
    "user": fields.text,
    "generation": fields.anything,
}


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a model's media of one modality are like, as far as it is known before they are made."""

    size: str = ""
    """"64x64", or "" where it is not known."""
    seconds: str = ""
    """"2", or "" where it is not known."""

    def size_check(self) -> Check:
        """The sizes that a client may ask for."""
        return _only_own(self.size)

    def seconds_check(self) -> Check:
        """The lengths that a client may ask for."""
        return _only_own(self.seconds)


def look_of(generators: Mapping[str, Any], modality: str) -> Look:
    """What a generator declares about its media."""
    generator = generators.get(modality)
    if generator is None:
        return Look()
    known = {**generator.settings, **generator.default_parameters}
    size = f"{known['width']}x{known['height']}" if known.keys() >= {"width", "height"} else ""
    seconds = f"{known['num_frames'] / known['fps']:g}" if known.keys() >= {"num_frames", "fps"} else ""
    return Look(size=size, seconds=seconds)


def read_image_generation(body: Any, *, look: Look, settings: ServeSettings) -> Ask:
    """Read the body of `/v1/images/generations`."""
    schema = COMMON | {
        "prompt": fields.text,
        "n": fields.whole(1, settings.max_outputs),
        "size": look.size_check(),
        "response_format": fields.only("b64_json", why="b64_json: this server keeps no pictures to link to"),
        "output_format": fields.only("png", why="png"),
        "output_compression": fields.only(100, why="100: PNG loses nothing"),
        "quality": fields.only("auto", "standard", why="auto"),
        "background": fields.only("auto", "opaque", why="auto"),
        "moderation": fields.only("auto", why="auto"),
        "style": fields.only(why="to be left out"),
        "stream": fields.only(False, why="false"),
        "partial_images": fields.only(0, why="0"),
    }
    given = fields.read_object(body, schema, where="", required=("prompt",))
    return _ask(given, [], modality="image", num_outputs=given.get("n"), settings=settings)


def read_audio_generation(body: Any, *, settings: ServeSettings) -> Ask:
    """Read the body of `/v1/audio/generate`: `prompt`, or `input` as `/v1/audio/speech` calls it."""
    schema = COMMON | {
        "prompt": fields.text,
        "input": fields.text,
        "response_format": fields.choice("wav", "flac"),
    }
    name = "input" if isinstance(body, dict) and "prompt" not in body and "input" in body else "prompt"
    if name == "prompt":
        del schema["input"]  # one of the two, not both
    given = fields.read_object(body, schema, where="", required=(name,))
    given["prompt"] = given[name]
    return _ask(given, [], modality="audio", audio_format=given.get("response_format", "wav"), settings=settings)


def read_speech(body: Any, *, defaults: Mapping[str, int | float], settings: ServeSettings) -> Ask:
    """Read the body of `/v1/audio/speech`: `input` is read aloud as it is, without the LLM.

    `defaults`: those of the generator; one that has a `speaking_rate` takes a `speed`.
    """
    has_rate = "speaking_rate" in defaults
    schema = COMMON | {
        "input": fields.text,
        "voice": fields.only("default", why="default: this model has one voice"),
        "response_format": fields.choice("wav", "flac"),
        "speed": fields.number(0.25, 4) if has_rate else fields.only(1, why="1: this model speaks at one rate"),
        "instructions": fields.only("", why="to be left out"),
        "stream_format": fields.only("audio", why="audio"),
    }
    given = fields.read_object(body, schema, where="", required=("input",))
    given["generation"] = read_generation(given.get("generation", {}), settings=settings)
    if has_rate and "speed" in given:
        audio = given["generation"].setdefault("audio", {})
        if "speaking_rate" in audio:
            raise fields.out_of_bounds("speed", given["speed"], "to be left out, since generation.audio.speaking_rate is given")
        audio["speaking_rate"] = defaults["speaking_rate"] * given["speed"]
    given["prompt"] = given["input"]
    form = given.get("response_format", "wav")
    return _ask(given, [], modality="audio", audio_format=form, captions=[given["input"]], settings=settings)


def read_video_generation(body: Any, *, look: Look, settings: ServeSettings) -> Ask:
    """Read the body of `/v1/videos`; `input_reference` is a picture to start from: bytes, or {"image_url": ...}."""

    def reference(value: Any, where: str) -> Any:
        if isinstance(value, (bytes, str)):
            return value
        return fields.read_object(value, {"image_url": fields.text}, where=where, required=("image_url",))["image_url"]

    schema = COMMON | {
        "prompt": fields.text,
        "size": look.size_check(),
        "seconds": look.seconds_check(),
        "input_reference": reference,
    }
    given = fields.read_object(body, schema, where="", required=("prompt",))
    media = [{"type": "image", "image": given["input_reference"]}] if "input_reference" in given else []
    return _ask(given, media, modality="video", settings=settings)


def _only_own(own: str) -> Check:
    if not own:
        return fields.only("auto", why="to be left out, or auto")
    return fields.only(own, "auto", why=f"{own}, which is what this model makes")


def _ask(
    given: dict[str, Any],
    media: list[dict[str, Any]],
    *,
    modality: str,
    settings: ServeSettings,
    num_outputs: int | None = None,
    audio_format: str = "wav",
    captions: list[str] | None = None,
) -> Ask:
    parameters = read_generation(given.get("generation", {}), settings=settings)
    if num_outputs is not None:
        parameters["num_outputs"] = num_outputs
    content = [*media, {"type": "text", "text": given["prompt"]}]
    return Ask(
        conversation=read_conversation([{"role": "user", "content": content}]),
        parameters=GenerationParameters.read(
            modalities=[modality], captions=captions, seed=given.get("seed"), **parameters
        ),
        model=given.get("model"),
        audio_format=audio_format,
    )
