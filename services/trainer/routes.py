"""The routes of `/v1/admin/training-jobs`."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query, Response
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse

from services.trainer.config import DataConfig, JobConfig
from services.trainer.jobs.desk import JobDesk
from services.trainer.jobs.stream import HEADERS, metric_events
from services.trainer.jobs.views import DryRun, Job, JobRequest, view
from wideseek.errors import InvalidRequest, JobNotFound
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
    @router.post("", operation_id="createTrainingJob", summary="Start a training job", status_code=202)
    async def create(request: Annotated[JobRequest, Body(openapi_examples=dict(EXAMPLES))]) -> Response:
        if request.dry_run:
            dry: DryRun = await desk.dry_run(request.config)
            return JSONResponse(dry.model_dump(mode="json"))
        return _sent(view(await desk.start(request.config)), 202)


def _add_reads(router: APIRouter, desk: JobDesk) -> None:
    @router.get("", operation_id="listTrainingJobs", summary="All jobs, the newest first", response_model=Jobs)
    async def index() -> Jobs:
        return Jobs(data=tuple(view(folder) for folder in desk.book.all()))

    @router.get("/{job_id}", operation_id="getTrainingJob", summary="Where a job is", response_model=Job)
    async def get(job_id: str) -> Job:
        return view(desk.book.folder(job_id))

    @router.get("/{job_id}/metrics", operation_id="getTrainingMetrics", summary="One JSON line a step so far")
    async def metrics(job_id: str) -> Response:
        path = desk.book.folder(job_id).metrics_file
        text = path.read_text("utf-8") if path.exists() else ""
        return PlainTextResponse(text, media_type="application/jsonl")

    @router.get("/{job_id}/events", operation_id="streamTrainingEvents", summary="Steps as they are done")
    async def events(
        job_id: str,
        after: Annotated[int, Query(ge=0)] = 0,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        if last_event_id and not (last_event_id.isascii() and last_event_id.isdigit()):
            raise InvalidRequest("must be the number of an event", field="header Last-Event-ID")
        stream = metric_events(desk.book.folder(job_id), int(last_event_id) if last_event_id else after)
        return StreamingResponse(stream, media_type="text/event-stream", headers=HEADERS)

    @router.get("/{job_id}/report", operation_id="getTrainingReport", summary="The job's report as a page")
    async def report(job_id: str) -> Response:
        path = desk.book.folder(job_id).report_file
        if not path.exists():
            raise JobNotFound(f"{job_id} has no report yet; it is written after the first step")
        return FileResponse(path, media_type="text/html")


def _add_ends(router: APIRouter, desk: JobDesk) -> None:
    @router.post(
        "/{job_id}/cancel", operation_id="cancelTrainingJob", summary="End a job after its step", status_code=202
    )
    async def cancel(job_id: str) -> Response:
        return _sent(view(await desk.cancel(job_id)), 202)

    @router.post(
        "/{job_id}/resume", operation_id="resumeTrainingJob", summary="Go on from the last checkpoint", status_code=202
    )
    async def resume(job_id: str) -> Response:
        return _sent(view(await desk.resume(job_id)), 202)
