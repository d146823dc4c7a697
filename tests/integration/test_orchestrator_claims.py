"""Runs outlive replicas, outages and cancels: claims over a real Redis."""

import asyncio
import json
from typing import Any

import pytest

from services.kit.keys import Keys
from services.kit.redis import connect
from services.kit.runlog import LEAD, Fence, RunLog
from services.orchestrator.leases import GROUP, Leases
from tests.integration.orchestrator_replica import Lead, Replica, eventually, replica
from tests.servers import free_port, running_redis
from wideseek.errors import LeaseLost, ModelUnavailable, QueueUnavailable
from wideseek.events import RunCompleted

KEYS = Keys("test")


async def entries(orchestrator: Replica) -> int:
    count: int = await orchestrator.redis.short.xlen(KEYS.runs)
    return count


async def claimed(lead: Lead, times: int = 1) -> None:
    await eventually(lambda: len(lead.claims) >= times, f"claim {times}")


async def status(orchestrator: Replica, run_id: str) -> str:
    return str((await orchestrator.get(run_id))["status"])


async def test_an_ended_run_leaves_the_stream(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        await orchestrator.ask(wait=10)

        async def gone() -> bool:
            return await entries(orchestrator) == 0

        await eventually(gone, "the entry to leave")
        pending = await orchestrator.redis.short.xpending(KEYS.runs, GROUP)

    assert pending["pending"] == 0


async def test_a_stopping_replica_hands_its_runs_over_at_once(redis_url: str) -> None:
    first, second = Lead(end=None), Lead()
    async with replica(redis_url, second, max_runs=0, lease_s=60) as api:
        async with replica(redis_url, first, lease_s=60) as stopping:
            run = await stopping.ask()
            await claimed(first)
        async with replica(redis_url, second, lease_s=60):
            ended = await api.get(run["id"], wait=5)
        consumers = await api.redis.short.xinfo_consumers(KEYS.runs, GROUP)

    assert ended["status"] == "completed"
    assert second.claims == [(run["id"], 2)]
    assert [consumer["name"] for consumer in consumers] == ["released"]


async def test_a_dead_replicas_run_is_taken_over_after_its_lease(redis_url: str) -> None:
    lead = Lead()
    redis = connect(redis_url)
    async with replica(redis_url, lead, max_runs=0) as api:
        run = await api.ask()
        dead = Leases(redis, KEYS, "dead", lease_s=0.5)
        await dead.open()
        await dead.take(1, wait_s=1)
        await RunLog(redis, KEYS).claim(run["id"], LEAD)
        async with replica(redis_url, lead, lease_s=0.5):
            ended = await api.get(run["id"], wait=10)
    await redis.aclose()

    assert ended["status"] == "completed"
    assert lead.claims == [(run["id"], 2)]


async def test_a_living_replica_keeps_its_run_for_many_leases(redis_url: str) -> None:
    lead, other = Lead(end=None), Lead()
    async with replica(redis_url, lead, lease_s=0.3) as holder:
        run = await holder.ask()
        await claimed(lead)
        async with replica(redis_url, other, lease_s=0.3) as idle:
            await holder.get(run["id"], wait=1.5)
            lead.finish.set()
            ended = await idle.get(run["id"], wait=5)

    assert ended["status"] == "completed"
    assert other.claims == []


async def test_a_replica_whose_run_was_taken_over_stops_and_writes_nothing(redis_url: str) -> None:
    lead = Lead(end=None)
    async with replica(redis_url, lead, lease_s=0.6) as orchestrator:
        run = await orchestrator.ask()
        await claimed(lead)
        thief = Leases(orchestrator.redis.short, KEYS, "thief", lease_s=0)
        await thief.take(1, wait_s=1)
        token = await orchestrator.log.claim(run["id"], LEAD)

        async def dropped() -> bool:
            return "wideseek_runs_in_flight 0.0" in (await orchestrator.http.get("/metrics")).text

        await eventually(dropped, "the run to be dropped")
        with pytest.raises(LeaseLost):
            await orchestrator.log.append(run["id"], [RunCompleted(table=None, answer_text="")], Fence(LEAD, token - 1))
        still_there = await entries(orchestrator)

    assert still_there == 1


async def test_a_run_that_waits_for_a_slot_is_worked_on_when_one_is_free(redis_url: str) -> None:
    lead = Lead(end=None)
    async with replica(redis_url, lead, max_runs=1) as orchestrator:
        first, second = await orchestrator.ask(), await orchestrator.ask()
        await claimed(lead)
        waiting = await status(orchestrator, second["id"])
        lead.finish.set()
        ended = await orchestrator.get(second["id"], wait=5)

    assert lead.claims == [(first["id"], 1), (second["id"], 1)]
    assert waiting == "queued"
    assert ended["status"] == "completed"


async def test_a_working_run_is_cancelled_through_any_replica(redis_url: str) -> None:
    lead = Lead(end=None)
    async with replica(redis_url, lead) as worker, replica(redis_url, max_runs=0) as api:
        run = await worker.ask()
        await claimed(lead)
        path = f"/v1/widesearch/{run['id']}/cancel"
        first = await api.http.post(path)
        ended = await api.get(run["id"], wait=5)
        again = await api.http.post(path)
        events = [logged.event.type for logged in await api.log.read(run["id"])]

    assert first.status_code == 202
    assert first.json()["status"] in {"cancelling", "cancelled"}
    assert ended["status"] == "cancelled"
    assert ended["cancellation"]["workers_stopped"] == 1
    assert again.status_code == 200
    assert events.count("run.cancelling") == 1


async def test_a_queued_run_is_cancelled_at_once_and_never_started(redis_url: str) -> None:
    lead = Lead()
    async with replica(redis_url, max_runs=0) as api:
        run = await api.ask()
        response = await api.http.post(f"/v1/widesearch/{run['id']}/cancel")
        async with replica(redis_url, lead):

            async def gone() -> bool:
                return await entries(api) == 0

            await eventually(gone, "the entry to leave")

    assert response.status_code == 202
    assert response.json()["status"] == "cancelled"
    assert response.json()["started_at"] is None
    assert lead.claims == []


async def test_a_run_flagged_before_its_first_claim_is_cancelled_there(redis_url: str) -> None:
    lead = Lead()
    async with replica(redis_url, max_runs=0) as api:
        run = await api.ask()
        await api.log.request_cancel(run["id"])
        async with replica(redis_url, lead):
            ended = await api.get(run["id"], wait=5)

    assert ended["status"] == "cancelled"
    assert lead.claims == []


async def test_cancelling_an_ended_run_changes_nothing(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        run = await orchestrator.ask(wait=5)
        response = await orchestrator.http.post(f"/v1/widesearch/{run['id']}/cancel")

    assert response.status_code == 200
    assert response.json()["status"] == "completed"
    assert response.json()["last_event_seq"] == run["last_event_seq"]


async def test_an_outage_that_escapes_fails_the_run_with_the_services_name(redis_url: str) -> None:
    async with replica(redis_url, Lead(end=ModelUnavailable("ConnectError"))) as orchestrator:
        run = await orchestrator.ask(wait=5)

    assert run["status"] == "failed"
    assert run["error"] == {"code": "upstream-unavailable", "message": "model: ConnectError", "service": "model"}


async def test_a_bug_in_one_runs_work_fails_that_run_only(redis_url: str) -> None:
    lead = Lead(end=KeyError("secret"))
    async with replica(redis_url, lead) as orchestrator:
        broken = await orchestrator.ask(wait=5)
        lead.end = None
        lead.finish.set()
        fine = await orchestrator.ask(wait=5)

    assert broken["status"] == "failed"
    assert broken["error"]["code"] == "internal"
    assert "secret" not in broken["error"]["message"]
    assert fine["status"] == "completed"


async def test_work_that_stops_without_an_end_fails_the_run(redis_url: str) -> None:
    async def idle(run_id: str, fence: Fence, cancel: asyncio.Event) -> None:
        return None

    async with replica(redis_url, idle) as orchestrator:
        run = await orchestrator.ask(wait=5)

    assert run["error"]["message"] == "the lead stopped without an end"


async def test_a_run_that_outlived_too_many_claims_is_given_up(redis_url: str) -> None:
    lead = Lead()
    async with replica(redis_url, max_runs=0) as api:
        run = await api.ask()
        for _ in range(3):
            await api.log.claim(run["id"], LEAD)
        async with replica(redis_url, lead, max_claims=3):
            ended = await api.get(run["id"], wait=5)

    assert ended["status"] == "failed"
    assert ended["error"]["code"] == "given-up"
    assert lead.claims == []


async def test_work_that_lost_redis_is_taken_up_again(redis_url: str) -> None:
    lead = Lead(end=QueueUnavailable("ConnectionError"))
    async with replica(redis_url, lead, lease_s=0.3) as orchestrator:
        run = await orchestrator.ask()
        await claimed(lead)
        lead.end = None
        lead.finish.set()
        ended = await orchestrator.get(run["id"], wait=5)

    assert ended["status"] == "completed"
    assert lead.claims[-1][1] > 1


async def test_a_replica_sits_out_an_outage_of_redis() -> None:
    port = free_port()
    with running_redis(port):
        pass
    lead = Lead()
    async with replica(f"redis://127.0.0.1:{port}/0", lead) as orchestrator:
        refused = await orchestrator.http.post("/v1/widesearch", json={"query": "x"})
        ready = (await orchestrator.http.get("/readyz")).json()
        alive = await orchestrator.http.get("/healthz")
        with running_redis(port):
            ended = await orchestrator.ask(wait=10)

    assert refused.status_code == 503
    assert refused.json()["detail"].startswith("redis: ")
    assert ready["ready"] is False
    assert ready["checks"]["redis"] != "ok"
    assert alive.status_code == 200
    assert ended["status"] == "completed"


async def test_a_replica_shows_its_heartbeat_and_takes_it_away(redis_url: str) -> None:
    async def beats(orchestrator: Replica) -> list[dict[str, Any]]:
        return [json.loads(beat) for beat in await orchestrator.redis.short.hvals(KEYS.orchestrators)]

    async with replica(redis_url, max_runs=0) as api:
        async with replica(redis_url, max_runs=7) as orchestrator:

            async def both() -> bool:
                return len(await beats(orchestrator)) == 2

            await eventually(both, "two heartbeats")
            slots = {beat["slots"] for beat in await beats(orchestrator)}
        left = await beats(api)

    assert slots == {0, 7}
    assert len(left) == 1
