"""The routes of `/v1/admin/training-jobs`."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse

from services.kit.sse import HEADERS
from services.trainer.config import DataConfig, JobConfig
from services.trainer.jobs.desk import JobDesk
from services.trainer.jobs.stream import metric_events
from services.trainer.jobs.views import DryRun, Job, JobRequest, view
from services.trainer.metrics.report import write_report
from wideseek.contracts import Problem
from wideseek.errors import InvalidRequest
from wideseek.values import Frozen

EXAMPLES: Mapping[str, Any] = {
    "smallest": {
        "summary": "Improve the policy on wide tasks",
        "value": {"config": {"data": {"wide": ["tasks/train.jsonl"]}}},
    },
    "dry_run": {
        "summary": "Check a job and estimate its cost",
        "value": {
            "config": {
                "policy": "policy",
                "steps": 50,
                "data": {"wide": ["tasks/wide.jsonl"], "questions": ["tasks/questions.jsonl"]},
                "rollouts": {"group_size": 8, "groups_per_step": 16, "max_staleness": 1},
                "optim": {"lr": 1e-5},
            },
            "dry_run": True,
        },
    },
    "supervised": {
        "summary": "Learn from demonstrations that an earlier job stored",
        "value": {"config": {"mode": "sft", "data": {"demonstrations": ["job:tj_20260101000000_0a1b2c"]}}},
    },
}


_JOB = {
    "id": "tj_20260101000000_0a1b2c",
    "object": "training_job",
    "status": "running",
    "policy": "policy",
    "mode": "grpo",
    "step": 12,
    "steps": 50,
    "policy_version": 12,
    "created_at": 1795387000.0,
    "updated_at": 1795388027.5,
    "error": None,
    "config_sha256": "77d2…",
    "config": {"steps": 50, "data": {"wide": ["/data/wide.jsonl"]}},
    "links": {"self": "/v1/admin/training-jobs/tj_20260101000000_0a1b2c"},
}
_PROBLEMS = {
    401: "The admin key is missing.",
    403: "The key is wrong, or there is none and this is no loopback address.",
    404: "No such job.",
    409: "Another job is training the policy, or the job is past it.",
    422: "The configuration must change; `detail` says every key.",
    503: "A service that a job needs does not answer.",
}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    media = {"application/problem+json": {"schema": Problem.model_json_schema()}}
    return {status: {"description": _PROBLEMS[status], "content": media} for status in (401, 403, *statuses)}


def _shown(status: int, text: str, *statuses: int) -> dict[int | str, dict[str, Any]]:
    shown = {"description": text, "model": Job, "content": {"application/json": {"example": _JOB}}}
    return {status: shown, **_problems(*statuses)}


class Jobs(Frozen):
    """`GET /v1/admin/training-jobs`."""

    object: str = "list"
    data: tuple[Job, ...]


def example_config() -> JobConfig:
    """A configuration with every default, for documents."""
    return JobConfig(data=DataConfig.model_validate({"wide": ["tasks/train.jsonl"]}))


def jobs_router(desk: JobDesk) -> APIRouter:
    """The routes, over one desk."""
    router = APIRouter(prefix="/v1/admin/training-jobs", tags=["training"])
    _add_start(router, desk)
    _add_reads(router, desk)
    _add_ends(router, desk)
    return router


def _sent(job: Job, status: int) -> JSONResponse:
    return JSONResponse(job.model_dump(mode="json"), status, {"Location": job.links["self"]})


def _add_start(router: APIRouter, desk: JobDesk) -> None:
    @router.post(
        "",
        operation_id="createTrainingJob",
        summary="Start a training job",
        status_code=202,
        responses={
            **_shown(202, "The job has begun; `Location` says where it is.", 409, 422, 503),
            200: {"description": "A dry run: what was checked, and what it would cost.", "model": DryRun},
        },
    )
    async def create(request: Annotated[JobRequest, Body(openapi_examples=dict(EXAMPLES))]) -> Response:
        if request.dry_run:
            dry: DryRun = await desk.dry_run(request.config)
            return JSONResponse(dry.model_dump(mode="json"))
        return _sent(view(await desk.start(request.config)), 202)


def _add_reads(router: APIRouter, desk: JobDesk) -> None:
    @router.get("", operation_id="listTrainingJobs", summary="All jobs, the newest first", responses=_problems())
    async def index() -> Jobs:
        return Jobs(data=tuple(view(folder) for folder in desk.book.all()))

    @router.get("/{job_id}", operation_id="getTrainingJob", summary="Where a job is", responses=_shown(200, "It.", 404))
    async def get(job_id: str) -> Job:
        return view(desk.book.folder(job_id))

    @router.get(
        "/{job_id}/metrics",
        operation_id="getTrainingMetrics",
        summary="One JSON line a step so far",
        response_class=PlainTextResponse,
        responses=_problems(404),
    )
    async def metrics(job_id: str) -> Response:
        path = desk.book.folder(job_id).metrics_file
        text = path.read_text("utf-8") if path.exists() else ""
        return PlainTextResponse(text, media_type="application/jsonl")

    @router.get(
        "/{job_id}/events",
        operation_id="streamTrainingEvents",
        summary="Steps as they are done",
        response_class=StreamingResponse,
        responses=_problems(404, 422),
    )
    async def events(
        job_id: str,
        after: Annotated[int, Query(ge=0)] = 0,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        if last_event_id and not (last_event_id.isascii() and last_event_id.isdigit()):
            raise InvalidRequest("must be the number of an event", field="header Last-Event-ID")
        stream = metric_events(desk.book.folder(job_id), int(last_event_id) if last_event_id else after)
        return StreamingResponse(stream, media_type="text/event-stream", headers=HEADERS)

    @router.get(
        "/{job_id}/report",
        operation_id="getTrainingReport",
        summary="The job's report as a page",
        response_class=HTMLResponse,
        responses=_problems(404),
    )
    async def report(job_id: str) -> Response:
        path = await asyncio.to_thread(write_report, desk.book.folder(job_id))
        return FileResponse(path, media_type="text/html")


def _add_ends(router: APIRouter, desk: JobDesk) -> None:
    @router.post(
        "/{job_id}/cancel",
        operation_id="cancelTrainingJob",
        summary="End a job after its step",
        status_code=202,
        responses=_shown(202, "It ends after the step it is at.", 404, 409),
    )
    async def cancel(job_id: str) -> Response:
        return _sent(view(await desk.cancel(job_id)), 202)

    @router.post(
        "/{job_id}/resume",
        operation_id="resumeTrainingJob",
        summary="Go on from the last checkpoint",
        status_code=202,
        responses=_shown(202, "It goes on.", 404, 409, 503),
    )
    async def resume(job_id: str) -> Response:
        return _sent(view(await desk.resume(job_id)), 202)
