"""`POST /v1/images/generations`, `/v1/audio/generate`, `/v1/audio/speech`: one medium from words, answered when it is made."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from anygen.errors import AnyGenError
from anygen.serve import fields, replies
from anygen.serve.body import read_json
from anygen.serve.chat_schema import Ask
from anygen.serve.media_schema import look_of, read_audio_generation, read_image_generation, read_speech
from anygen.serve.service import Service


async def images_generations(request: Request) -> Response:
    """Make pictures; they are sent as base64."""
    service: Service = request.app.state.service
    async with service.holdings.account() as holding:
        body = await read_json(request, settings=service.settings, holding=holding)
        look = look_of(service.engine.loaded().generators, "image")
        ask = read_image_generation(body, look=look, settings=service.settings)
        output = await service.answer(request, ask, holding=holding)
        provenance = service.provenance(output)
        images = await asyncio.gather(
            *(asyncio.to_thread(replies.encode, image, "png", provenance=provenance) for image in output.images)
        )
        width, height = output.images[0].size
        reply = {
            "created": int(time.time()),
            "data": [{"b64_json": base64.b64encode(image).decode()} for image in images],
            "output_format": "png",
            "size": f"{width}x{height}",
            "anygen": {"seed": output.seed, "text": output.text},
        }
        return JSONResponse(reply)


async def audio_generate(request: Request) -> Response:
    """Make a sound; the reply is the file."""
    service: Service = request.app.state.service
    return await _answer_with_a_sound(request, lambda body: read_audio_generation(body, settings=service.settings))


async def audio_speech(request: Request) -> Response:
    """Read a text aloud, where the model has a voice; of one that makes other sounds, or none, say what it does instead."""
    service: Service = request.app.state.service
    pipeline = service.engine.loaded()
    generator = pipeline.generators.get("audio")
    if generator is None or not generator.is_voice:
        can = {"found": "speech", "available": ", ".join(pipeline.model.output_modalities)}
        if generator is not None:
            can["instead"] = "/v1/audio/generate"  # sounds, not a voice
        raise AnyGenError("modality_not_supported", "found a request for speech; this model has no voice", **can)
    defaults = generator.default_parameters
    return await _answer_with_a_sound(
        request, lambda body: read_speech(body, defaults=defaults, settings=service.settings)
    )


async def _answer_with_a_sound(request: Request, read: Callable[[Any], Ask]) -> Response:
    service: Service = request.app.state.service
    async with service.holdings.account() as holding:
        ask = read(await read_json(request, settings=service.settings, holding=holding))
        if ask.parameters.num_outputs > 1:
            raise fields.out_of_bounds("generation.num_outputs", ask.parameters.num_outputs, "1: the reply is one file")
        output = await service.answer(request, ask, holding=holding)
        provenance = service.provenance(output)
        data = await asyncio.to_thread(replies.encode, output.audios[0], ask.audio_format, provenance=provenance)
        headers = {"x-anygen-seed": str(output.seed)}
        return Response(data, media_type=replies.TYPES[ask.audio_format], headers=headers)
