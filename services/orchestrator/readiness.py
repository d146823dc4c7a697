"""Whether a replica can take runs in, dependency by dependency."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from services.kit.http import Readiness
from services.kit.keys import Keys
from services.kit.redis import redis_errors
from services.orchestrator.requirements import check_corpora
from services.orchestrator.submit import Upstreams
from wideseek.errors import ModelUnavailable, UpstreamError

_PING_S = 3


class Probes:
    """What `/readyz` asks. Workers are named but not required: runs wait in the queue for them."""

    def __init__(self, redis: Redis, keys: Keys, upstreams: Upstreams, *, worker_timeout_s: float) -> None:
        self._redis = redis
        self._keys = keys
        self._upstreams = upstreams
        self._worker_timeout_s = worker_timeout_s

    async def readiness(self) -> Readiness:
        """Ready when redis, model and retrieval are."""
        required = {"redis": self._ping, "model": self._model, "retrieval": self._retrieval}
        checks = {name: await state(check) for name, check in required.items()}
        ready = all(state == "ok" for state in checks.values())
        return Readiness(ready=ready, checks={**checks, "workers": await state(self._workers)})

    async def _ping(self) -> str:
        async with redis_errors(), asyncio.timeout(_PING_S):
            await self._redis.ping()
        return "ok"

    async def _model(self) -> str:
        if not await self._upstreams.models():
            raise ModelUnavailable("the endpoint serves no model")
        return "ok"

    async def _retrieval(self) -> str:
        check_corpora((), await self._upstreams.corpora())
        return "ok"

    async def _workers(self) -> str:
        async with redis_errors():
            beats = await self._redis.hvals(self._keys.workers)
        oldest = time.time() - self._worker_timeout_s
        live = [beat for beat in map(json.loads, beats) if beat["at"] >= oldest]
        slots = sum(beat.get("slots", 0) for beat in live)
        return f"ok: {len(live)} live, {slots} slots" if live else "none live: subtasks will wait"


async def state(check: Callable[[], Awaitable[str]]) -> str:
    """What a check finds: its word, or the outage it met."""
    try:
        return await check()
    except UpstreamError as outage:
        return str(outage)
