"""The orchestrator's `/v1/admin/…` is the trainer's: same request, same answer, streams as they come."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from services.kit.http import server
from tests.integration.orchestrator_replica import Replica, door, eventually, replica
from tests.servers import free_port

KEY = {"Authorization": "Bearer sesame"}
JOB = {"Content-Type": "application/toml", **KEY}


@dataclass
class TinyTrainer:
    """What a trainer was asked, and two doors of it."""

    asked: list[dict[str, Any]] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    breaks: bool = False
    watching: int = 0
    url: str = ""

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/v1/admin/training-jobs/{job}/events")
        async def events(job: str, request: Request) -> StreamingResponse:
            self.asked.append({"job": job, "from": request.headers.get("last-event-id")})
            return StreamingResponse(self.stream(), media_type="text/event-stream")

        @app.api_route("/v1/admin/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
        async def anything(path: str, request: Request) -> Response:
            body = (await request.body()).decode()
            seen = {name: request.headers.get(name) for name in ("authorization", "content-type", "cookie")}
            self.asked.append(
                {"method": request.method, "path": path, "query": str(request.query_params), "body": body}
            )
            headers = {"Location": "/v1/admin/training-jobs/j1", "Retry-After": "7", "X-Internal": "secret"}
            status = int(request.query_params.get("status", 202))
            return Response(json.dumps(seen), status, headers, media_type="application/json")

        return app

    async def stream(self) -> AsyncIterator[str]:
        self.watching += 1
        try:
            yield "id: 1\nevent: step\ndata: {}\n\n"
            await self.go_on.wait()
            if self.breaks:
                raise ConnectionError("the trainer died")
            yield "id: 2\nevent: done\ndata: {}\n\n"
        finally:
            self.watching -= 1


@asynccontextmanager
async def trainer() -> AsyncIterator[TinyTrainer]:
    """A trainer that listens until the block is left."""
    tiny = TinyTrainer()
    serving: uvicorn.Server = server(tiny.app(), host="127.0.0.1", port=0)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serving.serve())
        await eventually(lambda: serving.started or task.done(), "the trainer to listen")
        tiny.url = f"http://127.0.0.1:{serving.servers[0].sockets[0].getsockname()[1]}"
        try:
            yield tiny
        finally:
            tiny.go_on.set()
            serving.should_exit = True
            await asyncio.wait({task})


@asynccontextmanager
async def both(redis_url: str, **settings: Any) -> AsyncIterator[tuple[TinyTrainer, Replica]]:
    async with trainer() as tiny, replica(redis_url, trainer_url=tiny.url, **settings) as orchestrator:
        yield tiny, orchestrator


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_a_request_reaches_the_trainer_as_it_came(redis_url: str, method: str) -> None:
    async with both(redis_url, admin_key="sesame") as (tiny, orchestrator):
        response = await orchestrator.http.request(
            method, "/v1/admin/policies/a%20b?after=1&x=%2F", content=b"[job]", headers={**JOB, "Cookie": "c=1"}
        )

    assert tiny.asked == [{"method": method, "path": "policies/a b", "query": "after=1&x=%2F", "body": "[job]"}]
    assert response.json() == {"authorization": "Bearer sesame", "content-type": "application/toml", "cookie": None}
    assert response.status_code == 202
    assert response.headers["location"] == "/v1/admin/training-jobs/j1"
    assert response.headers["retry-after"] == "7"
    assert "x-internal" not in response.headers


@pytest.mark.parametrize("status", [200, 404, 409, 422, 500, 503])
async def test_an_answer_comes_back_whatever_its_status(redis_url: str, status: int) -> None:
    async with both(redis_url) as (_, orchestrator):
        response = await orchestrator.http.get("/v1/admin/policies", params={"status": status})

    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"


async def test_the_key_is_asked_for_at_this_door_too(redis_url: str) -> None:
    async with both(redis_url, admin_key="sesame") as (tiny, orchestrator):
        without = await orchestrator.http.get("/v1/admin/policies")
        wrong = await orchestrator.http.get("/v1/admin/policies", headers={"Authorization": "Bearer simsim"})
    async with door(redis_url, host="0.0.0.0") as orchestrator:
        shut = await orchestrator.http.get("/v1/admin/policies")

    assert [without.status_code, wrong.status_code, shut.status_code] == [401, 403, 403]
    assert without.json()["code"] == "key-missing"
    assert tiny.asked == []


async def test_a_trainer_that_is_down_is_named_and_does_not_make_the_door_unready(redis_url: str) -> None:
    async with replica(redis_url, trainer_url=f"http://127.0.0.1:{free_port()}") as orchestrator:
        response = await orchestrator.http.get("/v1/admin/training-jobs")
        ready = await orchestrator.http.get("/readyz")

    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"].startswith("trainer: ConnectError")
    assert "retry-after" in response.headers
    assert (ready.status_code, "trainer" in ready.json()["checks"]) == (200, False)


async def test_events_are_passed_on_as_they_come(redis_url: str) -> None:
    path, headers = "/v1/admin/training-jobs/j1/events", {"Last-Event-ID": "41", "Accept": "text/event-stream"}
    async with (
        both(redis_url) as (tiny, orchestrator),
        orchestrator.http.stream("GET", path, headers=headers) as response,
    ):
        pieces = response.aiter_text()
        first = await anext(pieces)
        tiny.go_on.set()
        rest = "".join([piece async for piece in pieces])

    assert tiny.asked == [{"job": "j1", "from": "41"}]
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no"
    assert (first, rest) == ("id: 1\nevent: step\ndata: {}\n\n", "id: 2\nevent: done\ndata: {}\n\n")


async def test_a_watcher_that_leaves_is_not_watched_for_any_longer(redis_url: str) -> None:
    async with both(redis_url) as (tiny, orchestrator):
        async with orchestrator.http.stream("GET", "/v1/admin/training-jobs/j1/events") as response:
            await anext(response.aiter_text())
            while_there = tiny.watching
        await eventually(lambda: tiny.watching == 0, "the trainer's stream to be let go")

    assert while_there == 1


async def test_a_stream_that_breaks_ends_with_an_error_event(redis_url: str) -> None:
    async with both(redis_url) as (tiny, orchestrator):
        tiny.breaks = True
        async with orchestrator.http.stream("GET", "/v1/admin/training-jobs/j1/events") as response:
            pieces = response.aiter_text()
            await anext(pieces)
            tiny.go_on.set()
            rest = "".join([piece async for piece in pieces])

    name, data = rest.split("\n")[:2]
    assert name == "event: error"
    assert json.loads(data.removeprefix("data: "))["service"] == "trainer"


async def test_the_forwarded_path_stays_below_admin(redis_url: str) -> None:
    async with both(redis_url) as (tiny, orchestrator):
        url = httpx.URL(str(orchestrator.http.base_url)).copy_with(raw_path=b"/v1/admin/x/%2e%2e/%2e%2e/metrics")
        response = await orchestrator.http.get(url)

    assert response.status_code == 404
    assert tiny.asked == []
