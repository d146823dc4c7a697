"""`Idempotency-Key`: the same key makes one run, however often the request is sent.

After draft-ietf-httpapi-idempotency-key-header-07. What is remembered is the id of the run and the
fingerprint of the request; the answer is made anew from the run's log, so a repeated request
shows where the run is now. The id is chosen before the run is written: whoever repeats a request that
broke off half-way finds out from the log whether the run exists.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from redis.asyncio import Redis

from services.kit.keys import Keys
from services.kit.redis import redis_errors
from services.orchestrator.refusals import RequestInFlight
from wideseek.contracts import RunRequest
from wideseek.errors import InvalidRequest

IN_FLIGHT_S = 30
"""Seconds a request may take to create its run before a repeat of it takes over."""

_TAKE_OVER = """
-- KEYS: record.  ARGV: the record as read, the new record.  Replaces it if nobody else has.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
"""


@dataclass(frozen=True)
class Reservation:
    """What a key stands for."""

    run_id: str
    replayed: bool
    """Whether an earlier request has created the run."""


def fingerprint(request: RunRequest) -> str:
    """SHA-256 of the request, defaults filled in."""
    return hashlib.sha256(request.model_dump_json().encode()).hexdigest()


class IdempotencyKeys:
    """Keys and the runs they made. Raises `QueueUnavailable` when Redis is down."""

    def __init__(self, redis: Redis, keys: Keys, *, ttl_s: int, clock: Callable[[], float] = time.time) -> None:
        self._redis = redis
        self._keys = keys
        self._ttl_s = ttl_s
        self._clock = clock
        self._take_over = redis.register_script(_TAKE_OVER)

    async def reserve(self, key: str, request: RunRequest, run_id: str) -> Reservation:
        """Reserve `run_id` for the key, or find the run it has made.

        Raises `InvalidRequest` when the key came with another body, `RequestInFlight` while the first
        request is being answered.
        """
        name, print_ = self._name(key), fingerprint(request)
        mine = json.dumps({"fingerprint": print_, "run_id": run_id, "at": self._clock(), "done": False})
        async with redis_errors():
            if await self._redis.set(name, mine, nx=True, ex=self._ttl_s):
                return Reservation(run_id, replayed=False)
            found = str(await self._redis.get(name) or mine)
        record = json.loads(found)
        if record["fingerprint"] != print_:
            raise InvalidRequest("this key was used with another body", field="header Idempotency-Key")
        if record["done"]:
            return Reservation(record["run_id"], replayed=True)
        if self._clock() - record["at"] < IN_FLIGHT_S:
            raise RequestInFlight("the first request with this Idempotency-Key is still being answered")
        return await self._repeat(name, found, record)

    async def _repeat(self, name: str, found: str, record: dict[str, object]) -> Reservation:
        """Take over a request that broke off; its run may have been written."""
        run_id = str(record["run_id"])
        async with redis_errors():
            if await self._redis.exists(self._keys.log(run_id)):
                return Reservation(run_id, replayed=True)
            taken = await self._take_over(keys=[name], args=[found, json.dumps({**record, "at": self._clock()})])
        if not taken:
            raise RequestInFlight("another repeat of this request is being answered")
        return Reservation(run_id, replayed=False)

    async def done(self, key: str, request: RunRequest, run_id: str) -> None:
        """The run is written: from now on the key stands for it."""
        record = {"fingerprint": fingerprint(request), "run_id": run_id, "at": self._clock(), "done": True}
        async with redis_errors():
            await self._redis.set(self._name(key), json.dumps(record), ex=self._ttl_s)

    async def release(self, key: str) -> None:
        """The request was refused: the key is free again."""
        async with redis_errors():
            await self._redis.delete(self._name(key))

    def _name(self, key: str) -> str:
        return self._keys.idempotency(hashlib.sha256(key.encode()).hexdigest())
