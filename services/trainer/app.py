"""The trainer's HTTP door: training jobs and policies, for those who hold the admin key. Imports no torch."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header
from prometheus_client import CollectorRegistry

from services.kit.admin import AdminKey
from services.kit.http import Lifespan, Readiness, create_app
from services.trainer.jobs.desk import JobDesk
from services.trainer.routes import jobs_router


def build_app(
    desk: JobDesk,
    policies: APIRouter,
    key: AdminKey,
    *,
    ready: Callable[[], Awaitable[Readiness]],
    registry: CollectorRegistry,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """The app; every admin route asks for the key first."""
    app = create_app(
        "wideseek trainer",
        ready=ready,
        registry=registry,
        lifespan=lifespan,
        version="1",
        description="Training jobs and policies.",
    )

    def admitted(authorization: Annotated[str | None, Header(include_in_schema=False)] = None) -> None:
        key.check(authorization)

    for router in (jobs_router(desk), policies):
        app.include_router(router, dependencies=[Depends(admitted)])
    return app
