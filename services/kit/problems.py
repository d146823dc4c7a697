"""Errors over HTTP: RFC 9457 problem+json, the status found by walking the error's classes."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from wideseek.contracts import Problem
from wideseek.errors import (
    Conflict,
    ContractViolation,
    InvalidRequest,
    JobNotFound,
    KeyMissing,
    KeyRefused,
    LeaseLost,
    PolicyNotFound,
    PromptTooLong,
    RunNotFound,
    UpstreamError,
    WideseekError,
)

_STATUS: Mapping[type[WideseekError], tuple[int, str, str]] = {
    InvalidRequest: (422, "invalid-request", "The request must change"),
    RunNotFound: (404, "run-not-found", "No such run"),
    KeyMissing: (401, "key-missing", "The admin key is missing"),
    KeyRefused: (403, "key-refused", "Not allowed"),
    JobNotFound: (404, "job-not-found", "No such training job"),
    PolicyNotFound: (404, "policy-not-found", "No such policy"),
    Conflict: (409, "conflict", "Not now"),
    PromptTooLong: (413, "prompt-too-long", "The prompt is too long"),
    UpstreamError: (503, "upstream-unavailable", "A service is unavailable"),
    ContractViolation: (502, "contract-violation", "A service broke its contract"),
    LeaseLost: (409, "lease-lost", "Another process owns this now"),
    WideseekError: (500, "internal", "Internal error"),
}
_TITLES = {
    404: ("not-found", "Not found"),
    405: ("method-not-allowed", "Method not allowed"),
    413: ("body-too-large", "The body is too large"),
    415: ("unsupported-media-type", "Unsupported media type"),
}
RETRY_AFTER_S = 5
"""Seconds a caller is asked to wait when a service is down."""


def classify(error: WideseekError) -> tuple[int, str, str]:
    """Status, code and title of an error: those of the nearest class that has some."""
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


def problem_response(
    request: Request,
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    errors: Sequence[dict[str, str]] = (),
    retryable: bool = False,
) -> JSONResponse:
    """A problem+json response; a retryable one says when to come back."""
    problem = Problem(
        type=f"urn:wideseek:problem:{code}",
        title=title,
        status=status,
        detail=detail,
        instance=request.url.path,
        code=code,
        retryable=retryable,
        errors=tuple(errors),
        request_id=request_id(request),
    )
    headers = {"Retry-After": str(RETRY_AFTER_S)} if retryable else {}
    return JSONResponse(problem.model_dump(mode="json"), status, headers, media_type="application/problem+json")


def request_id(request: Request) -> str:
    """The caller's `X-Request-Id`, or one made for this request."""
    given: str | None = getattr(request.state, "request_id", None)
    if given is None:
        given = request.headers.get("x-request-id") or uuid4().hex
        request.state.request_id = given
    return given


async def _on_wideseek_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, WideseekError)
    status, code, title = classify(error)
    field = getattr(error, "field", None)
    errors = [{"pointer": field, "detail": str(error)}] if field else []
    service = getattr(error, "service", None)
    detail = f"{service}: {error}" if service else str(error)
    return problem_response(request, status, code, title, detail, errors=errors, retryable=error.retryable)


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [_field_error(item) for item in error.errors()]
    detail = "; ".join(f"{item['pointer'] or 'body'}: {item['detail']}" for item in errors)
    malformed = any(item["type"] == "json_invalid" for item in error.errors())
    if malformed:
        return problem_response(request, 400, "malformed-json", "The body is not JSON", detail, errors=errors)
    return problem_response(request, 422, "invalid-request", "The request must change", detail, errors=errors)


def _field_error(item: Mapping[str, Any]) -> dict[str, str]:
    place = [str(part) for part in item["loc"]]
    if item["type"] == "json_invalid":
        return {
            "pointer": "",
            "detail": f"malformed JSON at character {place[-1]}: {item.get('ctx', {}).get('error', '')}",
        }
    message = str(item["msg"]).removeprefix("Value error, ")
    if place and place[0] in {"body", "query", "path", "header"}:
        prefix = "" if place[0] == "body" else f"{place[0]} "
        place = place[1:]
        pointer = prefix + "".join(f"/{part}" for part in place)
    else:
        pointer = "".join(f"/{part}" for part in place)
    if not pointer.strip("/") and ":" in message:
        name, rest = message.split(":", 1)
        if name.isidentifier():
            return {"pointer": f"/{name}", "detail": rest.strip()}
    if item["type"] == "extra_forbidden":
        message = "unknown field"
    return {"pointer": pointer, "detail": message}


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code, title = _TITLES.get(error.status_code, ("http-error", "HTTP error"))
    return problem_response(request, error.status_code, code, title, str(error.detail))


def install_problems(app: FastAPI) -> None:
    """Answer every error of `app` as problem+json."""
    app.add_exception_handler(WideseekError, _on_wideseek_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
