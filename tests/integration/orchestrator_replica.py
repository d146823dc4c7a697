"""A real orchestrator replica on a free port, over a real Redis, with an honest stand-in for the lead."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from services.kit.http import server
from services.kit.queue import create_producer
from services.kit.runlog import Fence, RunLog
from services.orchestrator.parts import Backbone, backbone, build
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.submit import Upstreams
from wideseek.contracts import CorpusInfo
from wideseek.events import Event, RowUpserted, RunCancelled, RunCompleted, TableSchema, TerminalEvent
from wideseek.tables import Table

COLUMNS = ("Country", "Capital")
NIGER = Table(columns=COLUMNS, rows=(("Niger", "Niamey"),))
COMPLETED = RunCompleted(table=NIGER, answer_text="| Country | Capital |")
QUERY = {"query": "Capitals of the countries that border Mali?"}


def corpus(name: str, *, default: bool = False, lexical: bool = True) -> CorpusInfo:
    return CorpusInfo(
        name=name,
        num_pages=1,
        num_passages=1,
        lexical=lexical,
        dense=False,
        dense_ready=False,
        content_hash="0",
        default=default,
    )


@dataclass
class Served:
    """What the model endpoint and retrieval answer, or the outage they have."""

    models: Sequence[str] | Exception = ("expert", "policy@v1")
    corpora: Sequence[CorpusInfo] | Exception = (corpus("factbook", default=True), corpus("atlas"))

    def upstreams(self) -> Upstreams:
        async def models() -> Sequence[str]:
            if isinstance(self.models, Exception):
                raise self.models
            return self.models

        async def corpora() -> Sequence[CorpusInfo]:
            if isinstance(self.corpora, Exception):
                raise self.corpora
            return self.corpora

        return Upstreams(models=models, corpora=corpora)


class Lead:
    """Writes a schema and a row, then waits to be told how the run ends; a cancel ends it too."""

    def __init__(self, end: TerminalEvent | Exception | None = COMPLETED) -> None:
        self.end = end
        """What the run ends with; None: only when told so by `finish`."""
        self.claims: list[tuple[str, int]] = []
        self.finish = asyncio.Event()
        self.log: RunLog

    async def __call__(self, run_id: str, fence: Fence, cancel: asyncio.Event) -> None:
        self.claims.append((run_id, fence.token))
        end = self.end
        await self._write(run_id, fence, TableSchema(columns=COLUMNS), RowUpserted(key="niger", cells=NIGER.rows[0]))
        if isinstance(end, Exception):
            raise end
        if end is None:
            await _first(self.finish, cancel)
        if cancel.is_set():
            requested_at = await self.log.cancel_requested(run_id) or 0
            stopped = RunCancelled(
                requested_at=requested_at, stopped_at=requested_at, workers_stopped=1, tokens_after_cancel=0
            )
            await self.log.append(run_id, [stopped], fence, end=True)
        else:
            await self.log.append(run_id, [end or COMPLETED], fence, end=True)

    async def _write(self, run_id: str, fence: Fence, *events: Event) -> None:
        await self.log.append(run_id, events, fence)


async def _first(*events: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(event.wait()) for event in events]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()


@dataclass
class Replica:
    """A running replica."""

    http: httpx.AsyncClient
    redis: Backbone
    log: RunLog
    lead: Any
    served: Served = field(default_factory=Served)

    async def ask(self, **fields: Any) -> dict[str, Any]:
        """Create a run; the run object comes back."""
        response = await self.http.post("/v1/widesearch", json={**QUERY, **fields})
        assert response.status_code in {200, 202}, response.text
        run: dict[str, Any] = response.json()
        return run

    async def get(self, run_id: str, wait: float = 0) -> dict[str, Any]:
        run: dict[str, Any] = (await self.http.get(f"/v1/widesearch/{run_id}", params={"wait": wait})).json()
        return run


@asynccontextmanager
async def door(redis_url: str, **settings: Any) -> AsyncIterator[Replica]:
    """The app alone, called in process: nothing claims runs, nothing listens."""
    knobs = OrchestratorSettings(env="test", redis_url=redis_url, **settings)
    redis, served, lead = backbone(knobs), Served(), Lead()
    async with create_producer(redis_url, "test") as producer:
        app = build(knobs, redis, served.upstreams(), producer, lambda *_: lead)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as http:
            yield Replica(http, redis, redis.log(redis.work), lead, served)
    for client in (redis.short, redis.waits, redis.work):
        await client.aclose()


@asynccontextmanager
async def replica(
    redis_url: str,
    lead: Callable[..., Awaitable[None]] | None = None,
    *,
    served: Served | None = None,
    **settings: Any,
) -> AsyncIterator[Replica]:
    """A replica that serves until the block is left; then it stops as it does on SIGTERM."""
    knobs = OrchestratorSettings(
        env="test", port=0, redis_url=redis_url, **{"lease_s": 1, "upstream_cache_s": 0, "ping_s": 1, **settings}
    )
    redis, served, lead = backbone(knobs), served or Served(), lead or Lead()
    log = redis.log(redis.work)
    if isinstance(lead, Lead):
        lead.log = log
    app = build(knobs, redis, served.upstreams(), create_producer(redis_url, "test"), lambda *_: lead)
    uvicorn = server(app, host="127.0.0.1", port=0)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(uvicorn.serve())
        await eventually(lambda: uvicorn.started or serving.done(), "the replica to listen")
        port = uvicorn.servers[0].sockets[0].getsockname()[1]
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as http:
                yield Replica(http, redis, log, lead, served)
        finally:
            uvicorn.should_exit = True
            await asyncio.wait({serving})


async def eventually(condition: Callable[[], Any], what: str, *, seconds: float = 10) -> None:
    """Wait until `condition`, a function or a coroutine function, holds; fail saying `what` was waited for."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                held = condition()
                if await held if asyncio.iscoroutine(held) else held:
                    return
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"waited {seconds} s for {what}") from None
