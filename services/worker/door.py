"""The worker's own door: health, readiness, metrics, and the heartbeat that others see."""

import asyncio
import json
import time
from dataclasses import dataclass

from fastapi import FastAPI
from redis.asyncio import Redis

from services.kit.http import Readiness, create_app
from services.kit.keys import Keys
from services.kit.logs import get_logger
from services.kit.redis import redis_errors
from services.worker.app import WorkerApp
from services.worker.metrics import WorkerMetrics
from wideseek.errors import QueueUnavailable

log = get_logger(__name__)

HEARTBEAT_S = 2.0
"""Seconds between heartbeats."""

DEAF_AFTER = 3
"""Lease intervals without a renewal after which the consumer counts as deaf."""


@dataclass(frozen=True)
class WorkerDoor:
    """What a worker shows of itself."""

    app: WorkerApp
    redis: Redis
    keys: Keys
    metrics: WorkerMetrics
    worker: str

    async def ready(self) -> Readiness:
        """Ready when the consumer has renewed its lease lately: it listens, and Redis answers."""
        age = self.app.lease.age_s
        limit = DEAF_AFTER * self.app.lease.interval_s
        if age is None:
            return Readiness(ready=False, checks={"consumer": "starting"})
        if age > limit:
            return Readiness(ready=False, checks={"consumer": f"deaf for {age:.0f} s"})
        return Readiness(ready=True, checks={"consumer": "ok"})

    def http(self) -> FastAPI:
        """`/healthz`, `/readyz`, `/metrics`."""
        return create_app("wideseek worker", ready=self.ready, registry=self.metrics.registry)

    async def beat(self) -> None:
        """Say, until cancelled, that this worker lives and how full it is."""
        while True:
            started = time.perf_counter()
            await asyncio.sleep(HEARTBEAT_S)
            self.metrics.lag.set(max(0.0, time.perf_counter() - started - HEARTBEAT_S))
            self.metrics.slots.set(self.app.slots)
            try:
                await self._say()
            except QueueUnavailable as error:
                log.warning("heartbeat_not_written", reason=str(error))

    async def _say(self) -> None:
        if (await self.ready()).ready:
            beat = {"at": time.time(), "slots": self.app.slots, "in_flight": self.app.agent_loop.in_flight}
            async with redis_errors():
                await self.redis.hset(self.keys.workers, self.worker, json.dumps(beat))

    async def leave(self) -> None:
        """Take the heartbeat back: this worker goes."""
        async with redis_errors():
            await self.redis.hdel(self.keys.workers, self.worker)


async def watch_cancellations(app: WorkerApp, redis: Redis, keys: Keys) -> None:
    """Cancel, until cancelled, the subtasks of runs as their ids are published.

    A message lost to a reconnect is made up for by the flag that every turn looks at.
    """
    while True:
        try:
            async with redis_errors(), redis.pubsub() as channel:
                await channel.subscribe(keys.cancellations)
                async for message in channel.listen():
                    if message["type"] == "message":
                        app.agent_loop.cancel_run(str(message["data"]))
        except QueueUnavailable as error:
            log.warning("cancellations_not_watched", reason=str(error))
            await asyncio.sleep(1)
