"""The index of a job's rollouts: a Redis stream, delivered at least once and rebuilt from the objects when it is lost.

Two ways to read it. `read` follows a cursor that its caller keeps somewhere durable (a step's manifest); `claim` lets
the consumer group `trainer` remember what was handed out and not yet acknowledged. Either may deliver a rollout twice,
so readers tell rollouts apart by id. Acknowledging frees no memory; `trim` does. Redis 7.0 is enough.
Every method raises `QueueUnavailable` when Redis is down.
"""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from services.kit.keys import Keys
from services.kit.logs import get_logger
from services.kit.redis import redis_errors, stream_entries
from services.kit.rollouts.entry import StoredRollout
from services.kit.rollouts.objects import Probe, silent
from services.kit.rollouts.store import RolloutStore

GROUP = "trainer"
FIRST = "0-0"
_FIELD = "rollout"
_BATCH = 1_000

log = get_logger(__name__)

Indexed = list[tuple[str, StoredRollout]]
"""Cursors and what they stand for, oldest first."""


class RolloutIndex:
    """The indexes of all jobs.

    `probe` is called with `index.before_xadd`, `index.after_xadd`, `index.before_xack` and `index.after_xack`.
    """

    def __init__(self, redis: Redis, keys: Keys, *, probe: Probe = silent) -> None:
        self._redis = redis
        self._keys = keys
        self._probe = probe

    async def add(self, entry: StoredRollout) -> str:
        """Append an entry; returns its cursor. To be called once the object is stored."""
        self._probe("index.before_xadd")
        async with redis_errors():
            cursor = str(await self._redis.xadd(self._keys.rollouts(entry.job_id), {_FIELD: entry.model_dump_json()}))
        self._probe("index.after_xadd")
        return cursor

    async def read(
        self, job_id: str, *, after: str = FIRST, count: int = _BATCH, wait_s: float | None = None
    ) -> Indexed:
        """Up to `count` entries behind a cursor; with `wait_s`, wait so long for the first one."""
        block = None if wait_s is None else max(1, round(wait_s * 1_000))
        async with redis_errors():
            reply = await self._redis.xread({self._keys.rollouts(job_id): after}, count=count, block=block)
        return _readable(job_id, stream_entries(reply))

    async def claim(
        self, job_id: str, *, consumer: str = "conductor", count: int = _BATCH, idle_s: float = 0.0
    ) -> Indexed:
        """Entries handed out to anybody and not acknowledged for `idle_s` seconds, then those never handed out."""
        key = self._keys.rollouts(job_id)
        async with redis_errors():
            await self._ensure_group(key)
            taken = await self._reclaimed(key, consumer, count, round(idle_s * 1_000))
            if len(taken) < count:
                reply = await self._redis.xreadgroup(GROUP, consumer, {key: ">"}, count=count - len(taken))
                taken += stream_entries(reply)
        return _readable(job_id, taken)

    async def ack(self, job_id: str, cursors: Sequence[str]) -> int:
        """Acknowledge entries; returns how many the group had handed out and not yet got back."""
        self._probe("index.before_xack")
        count = 0
        async with redis_errors():
            for start in range(0, len(cursors), _BATCH):
                batch = cursors[start : start + _BATCH]
                count += int(await self._redis.xack(self._keys.rollouts(job_id), GROUP, *batch))
        self._probe("index.after_xack")
        return count

    async def trim(self, job_id: str, cursor: str) -> int:
        """Forget all entries up to a cursor, it included; returns how many."""
        async with redis_errors():
            return int(await self._redis.xtrim(self._keys.rollouts(job_id), minid=_next(cursor), approximate=False))

    async def known(self, job_id: str) -> set[str]:
        """Ids of all rollouts that are in the index."""
        ids: set[str] = set()
        cursor = FIRST
        while entries := await self._page(job_id, cursor):
            ids.update(entry.rollout_id for _, entry in _readable(job_id, entries))
            cursor = entries[-1][0]
        return ids

    async def rebuild(
        self, job_id: str, store: RolloutStore, *, resolved: Collection[str] = (), after: str = FIRST
    ) -> int:
        """Add what is stored and neither indexed nor resolved; returns how many were added.

        New entries come behind the cursor `after` (the last manifest's) even where a new Redis, or its machine's
        clock, counts from further back.
        """
        await self.begin_behind(job_id, after)
        there = await self.known(job_id) | set(resolved)
        added = 0
        stored = store.scan(job_id, skip=there)
        while batch := await asyncio.to_thread(_take, stored):
            for entry in batch:
                await self.add(entry)
            added += len(batch)
        return added

    async def begin_behind(self, job_id: str, cursor: str) -> None:
        """Make the stream where there is none, and let its next entry come behind a cursor."""
        key = self._keys.rollouts(job_id)
        async with redis_errors():
            await self._ensure_group(key)
            information = await self._redis.xinfo_stream(key)
            if _order(information["last-generated-id"]) < _order(cursor):
                await self._redis.eval("return redis.call('XSETID', KEYS[1], ARGV[1])", 1, key, cursor)

    async def _page(self, job_id: str, cursor: str) -> list[Any]:
        async with redis_errors():
            return list(await self._redis.xrange(self._keys.rollouts(job_id), min=f"({cursor}", count=_BATCH) or ())

    async def _reclaimed(self, key: str, consumer: str, count: int, idle_ms: int) -> list[Any]:
        taken: list[Any] = []
        start = FIRST
        while len(taken) < count:
            reply = await self._redis.xautoclaim(
                key, GROUP, consumer, min_idle_time=idle_ms, start_id=start, count=count - len(taken)
            )
            taken += [entry for entry in reply[1] if entry[1]]
            start = reply[0]
            if start == FIRST:
                break
        return taken

    async def _ensure_group(self, key: str) -> None:
        try:
            await self._redis.xgroup_create(key, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise


def _readable(job_id: str, entries: list[Any]) -> Indexed:
    """Entries that can be read; one that cannot is passed over, and its rollout is found again by a scan."""
    found: Indexed = []
    for cursor, fields in entries:
        try:
            found.append((cursor, StoredRollout.model_validate_json(fields.get(_FIELD, ""))))
        except ValidationError:
            log.warning("rollout_index_entry_unreadable", job_id=job_id, cursor=cursor)
    return found


def _take(stored: Iterator[StoredRollout]) -> list[StoredRollout]:
    return list(islice(stored, 200))


def _order(cursor: str) -> tuple[int, int]:
    milliseconds, _, sequence = cursor.partition("-")
    return int(milliseconds), int(sequence or 0)


def _next(cursor: str) -> str:
    milliseconds, sequence = _order(cursor)
    return f"{milliseconds}-{sequence + 1}"
