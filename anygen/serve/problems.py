"""Errors as HTTP: the status of each code, and the body that OpenAI's clients read.

    {"error": {"message": <the code's public sentence>, "type": ..., "param": "messages[0].content[2]" | null,
               "code": "media_truncated", <safe fields such as found, limit, expected>}}
Details and tracebacks go to the log.
"""

from __future__ import annotations

import logging
from typing import Any

from starlette.responses import JSONResponse

from anygen.errors import AnyGenError

log = logging.getLogger(__name__)

STATUS: dict[str, int] = {
    "unauthorized": 401,
    "origin_not_allowed": 403,
    "not_found": 404,
    "model_not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "request_too_large": 413,
    "media_too_large": 413,
    "cancelled": 409,
    "overloaded": 503,
    "not_ready": 503,
    "deadline_exceeded": 504,
    "generation_not_finite": 500,
    "out_of_memory": 500,
    "worker_died": 500,
    "storage_error": 500,
    "internal_error": 500,
    "model_load_error": 500,
    "hub_unavailable": 500,
    "hub_access_denied": 500,
    "index_stale": 500,
    "remote_unavailable": 502,
    "remote_refused": 502,
    "remote_bad_reply": 502,
}
"""Of the codes that are not a fault of the request's contents; those are 400."""

TYPES: dict[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    503: "overloaded_error",
    504: "timeout_error",
}
WORTH_RETRYING = ("overloaded", "not_ready")
"""The codes that OpenAI's clients are told to try again for, after `Retry-After`."""


def status_of(code: str) -> int:
    """The HTTP status of a code."""
    return STATUS.get(code, 400)


def error_body(error: AnyGenError) -> dict[str, Any]:
    """The body of the reply to a request that failed."""
    status = status_of(error.code)
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    public = error.public()
    where = public.pop("where", None)
    return {"error": {"message": public.pop("message"), "type": kind, "param": where, **public}}


def error_response(error: AnyGenError, *, retry_after: int = 1) -> JSONResponse:
    """The reply to a request that failed; `retry_after` seconds is sent where trying again may help."""
    status = status_of(error.code)
    log.log(logging.WARNING if status >= 500 else logging.INFO, "%d %s", status, ascii(str(error))[:2000])
    headers = {"x-should-retry": "true" if error.code in WORTH_RETRYING else "false"}
    if error.code in WORTH_RETRYING:
        headers["retry-after"] = str(retry_after)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if error.code in ("request_timeout", "request_too_large"):
        headers["connection"] = "close"  # the rest of the request is not read
    return JSONResponse(error_body(error), status_code=status, headers=headers)


def as_anygen_error(error: BaseException) -> AnyGenError:
    """Any exception as one with a code; what is not ours becomes `internal_error`, its traceback goes to the log."""
    if isinstance(error, AnyGenError):
        return error
    if isinstance(error, MemoryError):
        return AnyGenError("out_of_memory", str(error))
    log.error("this is a bug; please report it with the lines below", exc_info=error)
    return AnyGenError("internal_error", f"{type(error).__name__}: {error}")
