"""`/health`, `/ready`, `/metrics`, `/v1/models`: what operators and clients ask before anything else."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from anygen.errors import AnyGenError
from anygen.serve.service import Service


async def health(request: Request) -> Response:
    """200 while the server does its work, loading the model included; 503 when it should be replaced."""
    is_alive = request.app.state.service.engine.is_alive
    return JSONResponse({"status": "ok" if is_alive else "dead"}, status_code=200 if is_alive else 503)


async def ready(request: Request) -> Response:
    """200 when requests are taken in; 503 while the model is loaded, and from the signal to stop on."""
    engine = request.app.state.service.engine
    if engine.is_ready:
        return JSONResponse({"status": "ready"})
    status = "stopping" if engine.is_stopping else "loading"
    return JSONResponse({"status": status}, status_code=503, headers={"retry-after": "1"})


async def metrics(request: Request) -> Response:
    """The counters, in Prometheus' text format."""
    text = request.app.state.service.metrics.text()
    return Response(text, headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"})


async def models(request: Request) -> Response:
    """The one model that is served."""
    service: Service = request.app.state.service
    return JSONResponse({"object": "list", "data": [_description(service)]})


async def one_model(request: Request) -> Response:
    """That model by its name."""
    service: Service = request.app.state.service
    if request.path_params["id"] != service.model_name:
        name = request.path_params["id"][:100]
        raise AnyGenError("model_not_found", f"found {name!r}", available=service.model_name)
    return JSONResponse(_description(service))


def _description(service: Service) -> dict:
    model = service.engine.loaded().model
    return {
        "id": service.model_name,
        "object": "model",
        "created": service.started,
        "owned_by": "anygen",
        "input_modalities": list(model.input_modalities),
        "output_modalities": list(model.output_modalities),
        "context_length": model.backbone.context_length,
    }
