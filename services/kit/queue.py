"""The queue of subtasks: the names both sides share, and the producer's side.

Celery moves work and nothing else. A message carries ids, the moment it was published and,
when there is one, a deadline; what is to be done stands in the run log.
"""

import json
import time
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

import anyio
from celery import Celery
from celery.exceptions import CeleryError
from kombu.exceptions import KombuError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError

from services.kit.keys import Keys
from wideseek.errors import QueueUnavailable

TASK_NAME = "subagent.run"
"""The one task; both sides name it, neither imports the other."""

QUEUE = "sub.interactive"
"""The one queue, a Redis list under the deployment's prefix."""

ENQUEUED_AT = "enqueued_at"
"""Message header: when the message was first published, seconds since the epoch."""

DEADLINE = "deadline"
"""Message header: when nobody waits for the subtask any more, seconds since the epoch."""

_CONNECTIONS = 16
_THREADS = 8
_RETRY = {"max_retries": 1, "interval_start": 0.1, "interval_step": 0.1, "interval_max": 0.1}
"""Once more on a fresh connection, for a pooled one may have died with the last server; then it is an outage."""


def task_id(run_id: str, subtask_id: str, queued_seq: int) -> str:
    """Celery's id of a message. A message published again for the same event has the same id."""
    return f"{run_id}/{subtask_id}/{queued_seq}"


@dataclass(frozen=True)
class Delivery:
    """One message as it reaches a worker."""

    run_id: str
    subtask_id: str
    queued_seq: int
    """Sequence number of the `subagent.queued` event this message stands for."""
    enqueued_at: float | None = None
    deadline: float | None = None


def transport_options(env: str, *, max_connections: int, visibility_timeout_s: float = 90) -> dict[str, Any]:
    """Options of kombu's Redis transport, the same on both sides.

    `max_connections` must be said: redis-py caps a pool at 100 by default, and a worker with more
    slots than connections loses acknowledgements.
    """
    return {
        "global_keyprefix": Keys(env).prefix,
        "visibility_timeout": visibility_timeout_s,
        "unacked_restore_interval": min(5.0, visibility_timeout_s / 4),
        "unacked_restore_throttle": 1,
        # kombu's 300 s would let a worker killed in the middle of the sweep stop it for everyone.
        "unacked_mutex_expire": max(1, round(min(10.0, visibility_timeout_s / 4))),
        "priority_steps": [0],
        "max_connections": max_connections,
        "socket_timeout": 20,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }


COMMON_SETTINGS: dict[str, Any] = {
    "result_backend": None,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_protocol": 2,
    "task_default_queue": QUEUE,
    "broker_connection_retry_on_startup": True,
}
"""Celery settings of both sides."""


class Producer:
    """Publishes subtasks and looks at the queue, never blocking the event loop."""

    def __init__(self, celery: Celery, redis: Redis, queue_key: str) -> None:
        self._celery = celery
        self._redis = redis
        self._queue_key = queue_key
        self._threads = anyio.CapacityLimiter(_THREADS)

    async def publish(self, run_id: str, subtask_id: str, queued_seq: int, deadline: float | None = None) -> None:
        """Queue one subtask; it is in Redis when this returns.

        Raises QueueUnavailable. The message may have been queued all the same when the connection
        broke after the write: the worker's fencing makes a second copy harmless.
        """
        send = partial(
            self._celery.send_task,
            TASK_NAME,
            kwargs={"run_id": run_id, "subtask_id": subtask_id, "queued_seq": queued_seq},
            task_id=task_id(run_id, subtask_id, queued_seq),
            queue=QUEUE,
            headers={ENQUEUED_AT: time.time(), DEADLINE: deadline},
            retry=True,
            retry_policy=_RETRY,
            ignore_result=True,
        )
        try:
            await anyio.to_thread.run_sync(send, limiter=self._threads)
        except (KombuError, CeleryError, RedisError, OSError) as error:
            raise QueueUnavailable(f"{type(error).__name__}: {error}") from error

    async def depth(self) -> tuple[int, float]:
        """How many messages wait, and for how long the oldest has, in seconds (0 when none waits).

        Age counts from the first publication: a message put back by a stopping worker keeps its
        place in time. Raises QueueUnavailable.
        """
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.llen(self._queue_key)
                pipe.lindex(self._queue_key, -1)
                waiting, oldest = await pipe.execute()
        except (RedisError, OSError) as error:
            raise QueueUnavailable(f"{type(error).__name__}: {error}") from error
        return int(waiting), _age_s(oldest)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._redis.aclose()
        await anyio.to_thread.run_sync(self._celery.close, limiter=self._threads)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _age_s(message: bytes | None) -> float:
    if message is None:
        return 0.0
    published = json.loads(message).get("headers", {}).get(ENQUEUED_AT)
    return max(0.0, time.time() - published) if isinstance(published, int | float) else 0.0


def create_producer(broker_url: str, env: str) -> Producer:
    """The producer of a deployment; it connects on first use. Close it with `aclose()`."""
    celery = Celery("wideseek.producer", broker=broker_url, set_as_current=False)
    celery.conf.update(
        COMMON_SETTINGS,
        broker_transport_options=transport_options(env, max_connections=_CONNECTIONS) | _RETRY,
        broker_pool_limit=_THREADS,
    )
    redis = Redis.from_url(
        broker_url,
        socket_timeout=5,
        socket_connect_timeout=5,
        max_connections=_CONNECTIONS,
        retry=Retry(ConstantBackoff(0.1), 1),
    )
    return Producer(celery, redis, f"{Keys(env).prefix}{QUEUE}")
