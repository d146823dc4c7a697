"""The HTTP door: runs are asked for, watched, read and cancelled here."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body, Depends, FastAPI, Header, HTTPException, Path, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from services.kit.admin import AdminKey
from services.kit.http import Lifespan, Readiness, create_app
from services.kit.runlog import RunLog
from services.kit.sse import HEADERS
from services.orchestrator import examples
from services.orchestrator.bodies import BodyLimit
from services.orchestrator.cancels import request_cancel
from services.orchestrator.fold import RunFold
from services.orchestrator.forwarding import Trainer, add_admin
from services.orchestrator.idempotency import IdempotencyKeys, Reservation
from services.orchestrator.metrics import Metrics
from services.orchestrator.refusals import install_refusals
from services.orchestrator.schema import describe
from services.orchestrator.streams import event_stream
from services.orchestrator.submit import Submit, new_run_id
from services.orchestrator.tables import Format, chosen, table_response
from services.orchestrator.training import is_asked
from services.orchestrator.views import RunViews
from wideseek.contracts import Run, RunRequest
from wideseek.errors import InvalidRequest, RunNotFound, WideseekError

_RUN_ID = re.compile(r"ws_[0-9A-HJKMNP-TV-Z]{26}")
_MAX_SEQ = 2**53


@dataclass(frozen=True)
class Door:
    """What the routes work with."""

    log: RunLog
    waits: RunLog
    """The same logs over connections of its own: each stream holds one."""
    views: RunViews
    submit: Submit
    keys: IdempotencyKeys
    metrics: Metrics
    admin: AdminKey
    trainer: Trainer
    ping_s: float = 10

    async def take_in(self, request: RunRequest, key: str | None, authorization: str | None) -> Reservation:
        """Check the request and create its run; a key that has made a run gives that one."""
        if is_asked(request.training):
            self.admin.check(authorization)
        if key is None:
            run_id = new_run_id()
            await self.submit.create(run_id, await self.submit.check(request, run_id))
            return Reservation(run_id, replayed=False)
        reserved = await self.keys.reserve(key, request, new_run_id())
        if reserved.replayed:
            return reserved
        try:
            terms = await self.submit.check(request, reserved.run_id)
        except WideseekError:
            await self.keys.release(key)
            raise
        await self.submit.create(reserved.run_id, terms)
        await self.keys.done(key, request, reserved.run_id)
        return reserved

    def stream(self, run_id: str, fold: RunFold, after: int, headers: Mapping[str, str]) -> StreamingResponse:
        """The run's events numbered above `after`."""
        events = event_stream(self.waits, run_id, fold, after, ping_s=self.ping_s, clients=self.metrics.sse_clients)
        return StreamingResponse(events, media_type="text/event-stream", headers={**HEADERS, **headers})


def build_app(
    door: Door,
    *,
    ready: Callable[[], Awaitable[Readiness]],
    lifespan: Lifespan | None = None,
    max_body_bytes: int = 1_048_576,
) -> FastAPI:
    """The orchestrator's app; `lifespan` runs its part in the life of runs."""
    app = create_app(
        "wideseek orchestrator",
        ready=ready,
        registry=door.metrics.registry,
        lifespan=lifespan,
        version="1",
        description="Broad queries in, tables out.",
    )
    app.add_middleware(BodyLimit, max_bytes=max_body_bytes)
    install_refusals(app)
    router = APIRouter(prefix="/v1/widesearch", tags=["runs"])
    _add_create(router, door)
    _add_reads(router, door)
    _add_cancel(router, door)
    app.include_router(router)
    add_admin(app, door.admin, door.trainer)
    describe(app)
    return app


def known_form(run_id: Annotated[str, Path(description="A run's id.", examples=[examples.RUN_ID])]) -> str:
    """The id, if it can be one. Raises `RunNotFound`."""
    if not _RUN_ID.fullmatch(run_id):
        raise RunNotFound(f"no run {run_id}: an id is ws_ and 26 characters")
    return run_id


def json_only(request: Request) -> None:
    """Refuse a body that does not say it is JSON."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise HTTPException(415, f"send JSON (content-type application/json, not {kind or 'none'})")


def cursor(
    after: Annotated[int, Query(ge=0, le=_MAX_SEQ, description="Leave out events up to this number.")] = 0,
    last_event_id: Annotated[str | None, Header(description="The number of the last event seen; wins.")] = None,
) -> int:
    """Where a stream begins. Raises `InvalidRequest` for a cursor that is no number."""
    if not last_event_id:
        return after
    if not last_event_id.isascii() or not last_event_id.isdigit() or int(last_event_id) > _MAX_SEQ:
        raise InvalidRequest("must be the number of an event", field="header Last-Event-ID")
    return int(last_event_id)


RunId = Annotated[str, Depends(known_form)]
Wait = Annotated[float, Query(ge=0, le=600, description="Seconds to wait for the run to end.")]
Key = Annotated[
    str | None,
    Header(min_length=1, max_length=255, description="Sent again with the same body, makes no second run."),
]


def _location(run_id: str) -> str:
    return f"/v1/widesearch/{run_id}"


def _sent(run: Run, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(run.model_dump(mode="json"), status, headers)


def _add_create(router: APIRouter, door: Door) -> None:
    @router.post(
        "",
        operation_id="createRun",
        summary="Ask a broad query",
        status_code=202,
        response_model=Run,
        dependencies=[Depends(json_only)],
        responses={
            **examples.runs(200, "The run, which ended within `wait` seconds; with `stream`, its events.", stream=True),
            **examples.runs(202, "The run was taken in; `Location` says where it is."),
            **examples.problems(
                "malformed-json",
                "key-missing",
                "key-refused",
                "request-in-flight",
                "body-too-large",
                "unsupported-media-type",
                "invalid-request",
                "upstream-unavailable",
            ),
        },
    )
    async def create(
        request: Annotated[RunRequest, Body(openapi_examples=examples.REQUESTS)],
        idempotency_key: Key = None,
        authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> Response:
        taken = await door.take_in(request, idempotency_key, authorization)
        headers = {"Location": _location(taken.run_id)}
        if taken.replayed:
            headers["Idempotent-Replayed"] = "true"
        if request.stream:
            return door.stream(taken.run_id, await door.views.get(taken.run_id), 0, headers)
        run = await door.views.ended(taken.run_id, seconds=request.wait)
        return _sent(run, 200 if request.wait and run.status.terminal else 202, headers)


def _add_reads(router: APIRouter, door: Door) -> None:
    missing = examples.problems("run-not-found", "invalid-request", "upstream-unavailable")

    @router.get(
        "/{run_id}",
        operation_id="getRun",
        summary="Where a run is, and what it has found",
        response_model=Run,
        responses={**examples.runs(200, "The run."), **missing},
    )
    async def get(run_id: RunId, wait: Wait = 0) -> Response:
        return _sent(await door.views.ended(run_id, seconds=wait), 200)

    @router.get(
        "/{run_id}/events",
        operation_id="streamRunEvents",
        summary="A run's events, live, from any number on",
        response_class=StreamingResponse,
        responses={200: examples.STREAM_RESPONSE, **missing},
    )
    async def events(run_id: RunId, after: Annotated[int, Depends(cursor)]) -> Response:
        return door.stream(run_id, await door.views.get(run_id), after, {})

    @router.get(
        "/{run_id}/table",
        operation_id="getRunTable",
        summary="A run's table; provisional while the run works",
        response_class=Response,
        responses={
            200: examples.TABLE_RESPONSE,
            **examples.problems(
                "run-not-found", "no-table", "no-table-yet", "run-failed", "invalid-request", "upstream-unavailable"
            ),
        },
    )
    async def table(
        run_id: RunId,
        format: Annotated[Format | None, Query(description="Wins over `Accept`.")] = None,
        accept: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Response:
        return table_response(await door.views.get(run_id), chosen(format, accept))


def _add_cancel(router: APIRouter, door: Door) -> None:
    @router.post(
        "/{run_id}/cancel",
        operation_id="cancelRun",
        summary="Stop a run; asking again changes nothing",
        status_code=202,
        response_model=Run,
        responses={
            **examples.runs(200, "The run had ended already."),
            **examples.runs(202, "The run is being cancelled."),
            **examples.problems("run-not-found", "invalid-request", "upstream-unavailable"),
        },
    )
    async def cancel(run_id: RunId) -> Response:
        before = await door.views.get(run_id)
        ended = before.status.terminal
        run = await request_cancel(door.log, door.views, run_id)
        return _sent(run, 200 if ended else 202)
