"""An `Idempotency-Key` makes one run, also when its first request broke off half-way."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from services.kit.keys import Keys
from services.kit.redis import connect
from services.kit.runlog import RunLog
from services.orchestrator.idempotency import IN_FLIGHT_S, IdempotencyKeys, Reservation
from services.orchestrator.refusals import RequestInFlight
from wideseek.contracts import RunRequest
from wideseek.events import RunCreated

KEYS = Keys("test")
REQUEST = RunRequest(query="Which?")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = connect(redis_url)
    yield client
    await client.aclose()


def keys_at(redis: Redis, now: float) -> IdempotencyKeys:
    return IdempotencyKeys(redis, KEYS, ttl_s=86_400, clock=lambda: now)


async def test_a_repeat_while_the_first_is_in_flight_is_asked_to_wait(redis: Redis) -> None:
    await keys_at(redis, 0).reserve("k", REQUEST, "ws_1")

    with pytest.raises(RequestInFlight):
        await keys_at(redis, IN_FLIGHT_S - 1).reserve("k", REQUEST, "ws_2")


async def test_a_request_that_broke_off_before_its_run_was_written_is_taken_over_once(redis: Redis) -> None:
    await keys_at(redis, 0).reserve("k", REQUEST, "ws_1")

    taken = await keys_at(redis, IN_FLIGHT_S).reserve("k", REQUEST, "ws_2")

    assert taken == Reservation("ws_1", replayed=False)
    with pytest.raises(RequestInFlight):
        await keys_at(redis, IN_FLIGHT_S + 1).reserve("k", REQUEST, "ws_3")


async def test_a_request_that_broke_off_after_its_run_was_written_gives_that_run(redis: Redis) -> None:
    await keys_at(redis, 0).reserve("k", REQUEST, "ws_1")
    await RunLog(redis, KEYS).create(RunCreated(run_id="ws_1", request=REQUEST, model="expert", deadline=9))

    found = await keys_at(redis, IN_FLIGHT_S).reserve("k", REQUEST, "ws_2")

    assert found == Reservation("ws_1", replayed=True)


async def test_a_released_key_may_make_another_run(redis: Redis) -> None:
    await keys_at(redis, 0).reserve("k", REQUEST, "ws_1")
    await keys_at(redis, 0).release("k")

    assert await keys_at(redis, 1).reserve("k", REQUEST, "ws_2") == Reservation("ws_2", replayed=False)
