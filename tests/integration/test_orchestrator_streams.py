"""A run's events over real HTTP, and the SDK client that reads them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from httpx_sse import ServerSentEvent, aconnect_sse

from tests.integration.orchestrator_replica import QUERY, Lead, Replica, replica
from tests.servers import free_port, running_redis
from wideseek.clients.orchestrator import Orchestrator
from wideseek.contracts import RunRequest, RunStatus

EVENTS = ["run.created", "run.claimed", "table.schema", "row.upserted", "run.completed"]


async def streamed(orchestrator: Replica, run_id: str, **options: Any) -> list[ServerSentEvent]:
    path = f"/v1/widesearch/{run_id}/events"
    async with aconnect_sse(orchestrator.http, "GET", path, **options) as stream:
        return [event async for event in stream.aiter_sse()]


async def test_events_are_numbered_named_and_end_with_the_run(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        run = await orchestrator.ask()
        opened, *events = await streamed(orchestrator, run["id"])

    assert opened.event == "stream.opened"
    assert opened.json()["after"] == 0
    assert opened.retry == 3000
    assert [event.event for event in events] == EVENTS
    assert [event.id for event in events] == ["1", "2", "3", "4", "5"]
    assert [event.json()["sequence_number"] for event in events] == [1, 2, 3, 4, 5]
    assert [event.json()["type"] for event in events] == EVENTS


async def test_a_stream_resumes_after_the_last_event_seen(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        run = await orchestrator.ask(wait=10)
        by_header = await streamed(orchestrator, run["id"], headers={"last-event-id": "3"}, params={"after": 1})
        by_query = await streamed(orchestrator, run["id"], params={"after": 4})

    assert [event.event for event in by_header] == ["stream.opened", "row.upserted", "run.completed"]
    assert by_header[0].json() == {"type": "stream.opened", "after": 3, "latest": 5}
    assert [event.event for event in by_query] == ["stream.opened", "run.completed"]


async def test_a_stream_that_has_seen_the_end_ends_at_once(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        run = await orchestrator.ask(wait=10)
        events = await streamed(orchestrator, run["id"], headers={"last-event-id": "900"})

    assert [event.json() for event in events] == [{"type": "stream.opened", "after": 5, "latest": 5}]


async def test_a_cursor_that_is_no_number_is_refused(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        run = await orchestrator.ask()
        path = f"/v1/widesearch/{run['id']}/events"
        by_header = await orchestrator.http.get(path, headers={"last-event-id": "x"})
        by_query = await orchestrator.http.get(path, params={"after": -1})

    assert by_header.status_code == by_query.status_code == 422
    assert by_header.json()["errors"][0]["pointer"] == "header Last-Event-ID"
    assert by_query.json()["errors"][0]["pointer"] == "query /after"


async def test_a_silent_stream_sends_comments_and_forbids_caching(redis_url: str) -> None:
    async with replica(redis_url, Lead(end=None), ping_s=0.1) as orchestrator:
        run = await orchestrator.ask()
        async with orchestrator.http.stream("GET", f"/v1/widesearch/{run['id']}/events") as response:
            lines = aiter(response.aiter_lines())
            while not (line := await anext(lines)).startswith(": "):
                pass
            clients = (await orchestrator.http.get("/metrics")).text

    assert line == ": ping"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "wideseek_sse_clients 1.0" in clients


async def test_a_stream_says_when_redis_goes_away() -> None:
    port = free_port()
    with running_redis(port):
        async with replica(f"redis://127.0.0.1:{port}/0", Lead(end=None), ping_s=0.1) as orchestrator:
            run = await orchestrator.ask()
            path = f"/v1/widesearch/{run['id']}/events"
            async with aconnect_sse(orchestrator.http, "GET", path) as stream:
                events = stream.aiter_sse()
                await anext(events)
                await orchestrator.redis.short.shutdown(nosave=True)
                (*_, last) = [event async for event in events]

    assert last.event == "error"
    assert last.json()["service"] == "redis"
    assert last.json()["retryable"] is True


async def test_asking_for_a_stream_answers_with_the_events(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        body = {**QUERY, "stream": True}
        async with aconnect_sse(orchestrator.http, "POST", "/v1/widesearch", json=body) as stream:
            events = [event.event async for event in stream.aiter_sse()]
        location = stream.response.headers["location"]
        run = (await orchestrator.http.get(location)).json()

    assert events == ["stream.opened", *EVENTS]
    assert run["status"] == "completed"


async def test_a_dropped_stream_cancels_nothing(redis_url: str) -> None:
    lead = Lead(end=None)
    async with replica(redis_url, lead) as orchestrator:
        body = {**QUERY, "stream": True}
        async with orchestrator.http.stream("POST", "/v1/widesearch", json=body) as response:
            run_id = response.headers["location"].rsplit("/", 1)[1]
        lead.finish.set()
        run = await orchestrator.get(run_id, wait=10)

    assert run["status"] == "completed"


async def test_the_client_creates_follows_and_reads_a_run(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator, Orchestrator(str(orchestrator.http.base_url)) as client:
        created = await client.create(RunRequest(query="Capitals?"))
        events = [event["type"] async for event in client.events(created.id)]
        run = await client.get(created.id)
        table = await client.table(created.id)
        markdown = await client.rendered_table(created.id, "md")

    assert events == EVENTS
    assert run.status is RunStatus.COMPLETED
    assert run.table == table
    assert markdown.startswith("| Country | Capital |")


async def test_the_client_resumes_a_stream_that_breaks(redis_url: str) -> None:
    lead = Lead(end=None)
    async with (
        replica(redis_url, lead) as orchestrator,
        cut_once(orchestrator, at=b"id: 3") as (url, cuts),
        Orchestrator(url) as client,
    ):
        created = await client.create(RunRequest(query="Capitals?"))
        seen = []
        async for event in client.events(created.id):
            seen.append(event["sequence_number"])
            lead.finish.set()

    assert seen == [1, 2, 3, 4, 5]
    assert cuts == [b"id: 3"]


@asynccontextmanager
async def cut_once(orchestrator: Replica, *, at: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A TCP proxy that, the first time it has passed on `at`, breaks that connection off."""
    cuts: list[bytes] = []

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while chunk := await source.read(65_536):
            sink.write(chunk)
            await sink.drain()
            if at in chunk and not cuts:
                cuts.append(at)
                break
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, out = await asyncio.open_connection("127.0.0.1", orchestrator.http.base_url.port)
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, out))
            group.create_task(pump(upstream, writer))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", cuts
