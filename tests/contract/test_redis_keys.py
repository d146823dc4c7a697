"""`docs/redis.md` names every key there is."""

import inspect

from redis import Redis

from services.kit.keys import Keys
from services.kit.queue import create_producer
from tests.integration.orchestrator_replica import QUERY, replica
from tests.redis_keys import documented, undocumented

CHANNELS = {"cancellations"}
NAMES = {part: f"{{{part}}}" for part in ("run_id", "digest", "job_id", "name", "model")}


async def test_no_key_is_left_behind_that_the_page_does_not_name(redis_url: str) -> None:
    async with replica(redis_url) as orchestrator:
        headers = {"idempotency-key": "k1"}
        run = (await orchestrator.http.post("/v1/widesearch", json={**QUERY, "wait": 5}, headers=headers)).json()
        queued = await orchestrator.ask()
        await orchestrator.http.post(f"/v1/widesearch/{queued['id']}/cancel")
        async with create_producer(redis_url, "test") as producer:
            await producer.publish(run["id"], "s1", 2)
        left = undocumented(redis_url, "test")

    assert left == []


def test_an_undocumented_key_or_type_is_noticed(redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        client.set("ws:test:surprise", "x")
        client.set("ws:test:runs", "not a stream")
        client.set("ws:other:workers", "x")

    assert undocumented(redis_url, "test") == [
        "ws:other:workers (string)",
        "ws:test:runs (string)",
        "ws:test:surprise (string)",
    ]


def test_every_name_the_code_makes_is_in_the_page() -> None:
    keys = Keys("{env}")
    made = {getattr(keys, name) for name, value in vars(Keys).items() if isinstance(value, property)}
    methods = [value for name, value in inspect.getmembers(keys, inspect.ismethod) if not name.startswith("_")]
    made |= {method(NAMES[next(iter(inspect.signature(method).parameters))]) for method in methods}

    unnamed = made - set(documented()) - {keys.prefix, *(getattr(keys, name) for name in CHANNELS)}

    assert unnamed == set()
