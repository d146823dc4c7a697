"""The base app: health, readiness, metrics, problems; and how a service listens."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from services.kit.problems import install_problems
from wideseek.values import Frozen

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Readiness(Frozen):
    """What `/readyz` answers: 200 when ready, else 503."""

    ready: bool
    checks: dict[str, str]
    """One word or sentence a dependency or capability: `ok`, `loading`, or what is wrong."""


def create_app(
    title: str,
    *,
    ready: Callable[[], Awaitable[Readiness]],
    registry: CollectorRegistry,
    lifespan: Lifespan | None = None,
    **options: Any,
) -> FastAPI:
    """A FastAPI app with `/healthz` (the process serves), `/readyz` (it can do its work) and `/metrics`."""
    app = FastAPI(title=title, lifespan=lifespan, **options)
    install_problems(app)

    @app.get("/healthz", tags=["probes"], summary="Whether the process serves")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", tags=["probes"], summary="Whether it can do its work", response_model=Readiness)
    async def readyz() -> JSONResponse:
        state = await ready()
        return JSONResponse(state.model_dump(), 200 if state.ready else 503)

    @app.get("/metrics", tags=["probes"], summary="Prometheus metrics", response_class=Response)
    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return app


def server(app: FastAPI, *, host: str, port: int) -> uvicorn.Server:
    """A uvicorn server for `app`, logging through our own formatter."""
    config = uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=5, lifespan="on"
    )
    return uvicorn.Server(config)


def serve(app: FastAPI, *, host: str, port: int) -> None:
    """Listen until SIGTERM or SIGINT."""
    asyncio.run(server(app, host=host, port=port).serve())
