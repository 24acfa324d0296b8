"""`/v1/videos`: films as jobs. POST makes one, GET asks after it, GET .../content fetches it, DELETE forgets it."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from anygen.errors import AnyGenError
from anygen.serve import fields
from anygen.serve.body import read_form_or_json
from anygen.serve.jobs import VideoJobs
from anygen.serve.media_schema import look_of, read_video_generation
from anygen.serve.service import Service, while_connected


async def create_video(request: Request) -> Response:
    """Put a film in line."""
    service: Service = request.app.state.service
    jobs: VideoJobs = request.app.state.jobs
    async with service.holdings.account() as holding:
        body = await read_form_or_json(request, settings=service.settings, holding=holding)
        look = look_of(service.engine.loaded().generators, "video")
        ask = read_video_generation(body, look=look, settings=service.settings)
        if ask.parameters.num_outputs > 1:
            raise fields.out_of_bounds("generation.num_outputs", ask.parameters.num_outputs, "1: a job is one film")
        del body
        seconds = service.settings.job_seconds
        preparing = asyncio.ensure_future(service.prepare(ask, holding=holding, seconds=seconds))
        ticket = await while_connected(request, preparing)
    return JSONResponse(jobs.start(ticket, ask, look=look).public())


async def list_videos(request: Request) -> Response:
    """The jobs that are kept, newest first."""
    jobs: VideoJobs = request.app.state.jobs
    query = request.query_params
    limit = fields.whole(1, 100)(query.get("limit", "20"), "limit")
    order = fields.choice("asc", "desc")(query.get("order", "desc"), "order")
    found = list(jobs.jobs.values())
    if order == "desc":
        found.reverse()
    ids = [job.id for job in found]
    if query.get("after") in ids:
        found = found[ids.index(query["after"]) + 1 :]
    page = [job.public() for job in found[:limit]]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return JSONResponse({"object": "list", "data": page, "has_more": len(found) > limit, **ends})


async def retrieve_video(request: Request) -> Response:
    """How far a job is."""
    return JSONResponse(request.app.state.jobs.find(request.path_params["id"]).public())


async def delete_video(request: Request) -> Response:
    """Forget a job."""
    job = request.app.state.jobs.delete(request.path_params["id"])
    return JSONResponse({"id": job.id, "object": "video.deleted", "deleted": True})


async def video_content(request: Request) -> Response:
    """The film, as MP4."""
    job = request.app.state.jobs.find(request.path_params["id"])
    fields.choice("video")(request.query_params.get("variant", "video"), "variant")
    if job.error is not None:
        raise job.error
    if job.film is None:
        detail = f"the job is {job.status}; expected one that is completed"
        raise AnyGenError("invalid_request", detail, where="video_id", found=job.status, expected="completed")
    job.film.seek(0)
    return Response(job.film.read(), media_type="video/mp4")
