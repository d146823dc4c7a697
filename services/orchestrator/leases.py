"""Which replica works on which run: a consumer group over the `runs` stream.

An entry that a replica has read stays pending under its name; the time since it was last touched is the
lease. A living replica touches its entries every third of a lease (XCLAIM JUSTID), a dead one's are
handed over by XAUTOCLAIM, a stopping one sets them back to long idle. The entry leaves the stream only
after the run's end is in its log. Redis Streams: https://redis.io/docs/latest/develop/data-types/streams/
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from services.kit.keys import Keys
from services.kit.redis import redis_errors, stream_entries

GROUP = "orchestrators"
_RELEASED = "released"
"""Consumer that holds what a stopping replica laid down."""
_LONG_IDLE_MS = 30 * 86_400_000
_GONE_S = 3_600
"""Silence after which a replica's heartbeat and consumer are tidied away."""


@dataclass(frozen=True)
class Entry:
    """A run in the stream."""

    entry_id: str
    run_id: str
    taken_over: bool = False
    """Whether another replica had it before."""


class Leases:
    """One replica's hold on runs. Every method raises `QueueUnavailable` when Redis is down."""

    def __init__(self, redis: Redis, keys: Keys, replica: str, *, lease_s: float) -> None:
        self._redis = redis
        self._keys = keys
        self._replica = replica
        self._lease_ms = int(lease_s * 1000)

    async def open(self) -> None:
        """Make the group, from the stream's beginning, where there is none."""
        async with redis_errors():
            try:
                await self._redis.xgroup_create(self._keys.runs, GROUP, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    async def take(self, count: int, *, wait_s: float) -> list[Entry]:
        """Up to `count` runs: those of dead replicas first, else new ones, waited for."""
        abandoned = await self._abandoned(count)
        if abandoned:
            return abandoned
        async with redis_errors():
            reply: Any = await self._redis.xreadgroup(
                GROUP, self._replica, {self._keys.runs: ">"}, count=count, block=max(1, int(wait_s * 1000))
            )
        return [Entry(entry_id, fields["run_id"]) for entry_id, fields in stream_entries(reply)]

    async def _abandoned(self, count: int) -> list[Entry]:
        async with redis_errors():
            reply: Any = await self._redis.xautoclaim(
                self._keys.runs, GROUP, self._replica, self._lease_ms, start_id="0-0", count=count
            )
        return [Entry(entry_id, fields["run_id"], taken_over=True) for entry_id, fields in reply[1] if fields]

    async def renew(self, entry_ids: Sequence[str]) -> set[str]:
        """Touch our entries; those that another replica holds by now come back untouched."""
        if not entry_ids:
            return set()
        async with redis_errors():
            pending: Any = await self._redis.xpending_range(
                self._keys.runs, GROUP, min="-", max="+", count=10_000, consumername=self._replica
            )
            held = {item["message_id"] for item in pending}
            ours: list[Any] = [entry_id for entry_id in entry_ids if entry_id in held]
            if ours:
                await self._redis.xclaim(self._keys.runs, GROUP, self._replica, 0, ours, justid=True)
        return set(entry_ids) - held

    async def finish(self, entry_id: str) -> None:
        """The run has ended: take its entry out of the stream."""
        async with redis_errors(), self._redis.pipeline(transaction=True) as pipe:
            pipe.xack(self._keys.runs, GROUP, entry_id)
            pipe.xdel(self._keys.runs, entry_id)
            await pipe.execute()

    async def lay_down(self) -> None:
        """Give up all our entries so that another replica takes them at once, and leave the group."""
        async with redis_errors():
            pending: Any = await self._redis.xpending_range(
                self._keys.runs, GROUP, min="-", max="+", count=10_000, consumername=self._replica
            )
            ids: list[Any] = [item["message_id"] for item in pending]
            if ids:
                await self._redis.xclaim(self._keys.runs, GROUP, _RELEASED, 0, ids, idle=_LONG_IDLE_MS, justid=True)
            await self._redis.xgroup_delconsumer(self._keys.runs, GROUP, self._replica)
            await self._redis.hdel(self._keys.orchestrators, self._replica)

    async def beat(self, *, slots: int, in_flight: int) -> None:
        """Leave a sign of life."""
        beat = json.dumps({"at": time.time(), "slots": slots, "in_flight": in_flight})
        async with redis_errors():
            await self._redis.hset(self._keys.orchestrators, self._replica, beat)

    async def tidy(self) -> None:
        """Forget replicas that have been silent for long and hold nothing."""
        async with redis_errors():
            beats = await self._redis.hgetall(self._keys.orchestrators)
            silent = [name for name, beat in beats.items() if time.time() - json.loads(beat)["at"] > _GONE_S]
            if not silent:
                return
            await self._redis.hdel(self._keys.orchestrators, *silent)
            consumers = await self._redis.xinfo_consumers(self._keys.runs, GROUP)
            for consumer in consumers:
                if consumer["name"] in silent and not consumer["pending"]:
                    await self._redis.xgroup_delconsumer(self._keys.runs, GROUP, consumer["name"])
