"""The ASGI application: which address is answered by which function. Start reading here.

    Gate (access.py) -> route -> body.py -> *_schema.py -> service.py -> engine.py -> replies.py
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from anygen.errors import AnyGenError
from anygen.serve import chat, generations, status, videos
from anygen.serve.access import Gate
from anygen.serve.jobs import VideoJobs
from anygen.serve.problems import error_response
from anygen.serve.service import Service

ROUTES = {
    ("GET", "/health"): status.health,
    ("GET", "/ready"): status.ready,
    ("GET", "/metrics"): status.metrics,
    ("GET", "/v1/models"): status.models,
    ("GET", "/v1/models/{id:path}"): status.one_model,
    ("POST", "/v1/chat/completions"): chat.chat_completions,
    ("POST", "/v1/images/generations"): generations.images_generations,
    ("POST", "/v1/audio/generate"): generations.audio_generate,
    ("POST", "/v1/audio/speech"): generations.audio_speech,
    ("POST", "/v1/videos"): videos.create_video,
    ("GET", "/v1/videos"): videos.list_videos,
    ("GET", "/v1/videos/{id}"): videos.retrieve_video,
    ("DELETE", "/v1/videos/{id}"): videos.delete_video,
    ("GET", "/v1/videos/{id}/content"): videos.video_content,
}


def build_app(service: Service) -> Starlette:
    """The application around a service, which it starts and stops."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service.engine.start()
        yield
        service.begin_stop()
        await app.state.jobs.close(grace_seconds=service.grace_left)
        await asyncio.to_thread(service.engine.close, grace_seconds=service.grace_left)

    gate = Middleware(
        Gate, settings=service.settings, metrics=service.metrics, retry_after=lambda: service.engine.retry_after
    )
    app = Starlette(
        routes=[Route(path, endpoint, methods=[method]) for (method, path), endpoint in ROUTES.items()],
        middleware=[gate],
        exception_handlers={HTTPException: _http_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.service = service
    app.state.jobs = VideoJobs(service)
    return app


async def _http_error(request: Request, error: HTTPException) -> Response:
    """What the router raises, in the shape of all other errors."""
    code = "method_not_allowed" if error.status_code == 405 else "not_found"
    request.scope["state"]["code"] = code
    response = error_response(AnyGenError(code, f"{request.method} {request.url.path[:200]}"))
    response.headers.update(error.headers or {})
    return response
