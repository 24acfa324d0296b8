"""`POST /v1/images/generations`, `/v1/audio/generate`, `/v1/audio/speech`: one medium from words, answered when it is made."""

from __future__ import annotations

import asyncio
import base64
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from anygen.errors import AnyGenError
from anygen.serve import fields, replies
from anygen.serve.body import read_json
from anygen.serve.media_schema import look_of, read_audio_generation, read_image_generation
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
    async with service.holdings.account() as holding:
        body = await read_json(request, settings=service.settings, holding=holding)
        ask = read_audio_generation(body, settings=service.settings)
        if ask.parameters.num_outputs > 1:
            raise fields.out_of_bounds("generation.num_outputs", ask.parameters.num_outputs, "1: the reply is one file")
        output = await service.answer(request, ask, holding=holding)
        provenance = service.provenance(output)
        data = await asyncio.to_thread(replies.encode, output.audios[0], ask.audio_format, provenance=provenance)
        headers = {"x-anygen-seed": str(output.seed)}
        return Response(data, media_type=replies.TYPES[ask.audio_format], headers=headers)


async def audio_speech(request: Request) -> Response:
    """Say what this model can do instead: no generator of anygen speaks."""
    service: Service = request.app.state.service
    model = service.engine.loaded().model
    can = {"found": "speech", "available": ", ".join(model.output_modalities)}
    if "audio" in model.output_modalities:
        can["instead"] = "/v1/audio/generate"  # sounds, not a voice
    raise AnyGenError("modality_not_supported", "found a request for speech; this model makes sounds, not a voice", **can)

