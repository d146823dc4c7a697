"""The producer's side of the queue, on a real server."""

import json
import time

import pytest
from redis import Redis

from services.kit.queue import QUEUE, TASK_NAME, create_producer
from tests.servers import free_port, running_redis
from wideseek.errors import QueueUnavailable


async def test_a_message_carries_ids_only_and_stays_small(redis_url: str) -> None:
    async with create_producer(redis_url, "unit") as producer:
        await producer.publish("run", "subtask", 7, deadline=time.time() + 60)

    with Redis.from_url(redis_url) as redis:
        (message,) = redis.lrange(f"ws:unit:{QUEUE}", 0, -1)
    assert json.loads(message)["headers"]["task"] == TASK_NAME
    assert len(message) < 1536


async def test_depth_counts_what_waits_and_the_age_of_the_oldest(redis_url: str) -> None:
    async with create_producer(redis_url, "unit") as producer:
        empty = await producer.depth()

        before = time.time()
        for seq in range(3):
            await producer.publish("run", f"s{seq}", seq)
        waiting, age_s = await producer.depth()

    assert empty == (0, 0)
    assert waiting == 3
    assert 0 < age_s <= time.time() - before


async def test_deployments_on_one_server_do_not_see_each_other(redis_url: str) -> None:
    async with create_producer(redis_url, "one") as one, create_producer(redis_url, "two") as two:
        await one.publish("run", "subtask", 1)

        depths = [await one.depth(), await two.depth()]

    assert [waiting for waiting, _ in depths] == [1, 0]


async def test_an_outage_of_the_queue_is_raised_not_answered() -> None:
    asked_at = time.monotonic()

    async with create_producer(f"redis://127.0.0.1:{free_port()}/0", "unit") as producer:
        with pytest.raises(QueueUnavailable):
            await producer.publish("run", "subtask", 1)
        with pytest.raises(QueueUnavailable):
            await producer.depth()

    assert time.monotonic() - asked_at < 2


async def test_publishing_goes_on_after_a_restart_of_the_server() -> None:
    port = free_port()
    async with create_producer(f"redis://127.0.0.1:{port}/0", "unit") as producer:
        with running_redis(port):
            await producer.publish("run", "before", 1)
            await producer.depth()

        with running_redis(port):
            await producer.publish("run", "after", 2)
            waiting, _ = await producer.depth()

    assert waiting == 1
