"""The run log: one append-only Redis Stream a run, every write fenced.

A run's events get the ids `0-1`, `0-2`, … (`XADD key 0-*`), so an event's number is its place in the
log and a stream resumes from any number. Writers carry a fencing token (Kleppmann, "How to do
distributed locking"): the number of their claim or attempt. A write whose token is not the newest is
refused, and an owner that has written its end writes nothing more, so a subtask that ran twice counts
once.
"""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from services.kit.keys import Keys
from services.kit.redis import redis_errors, stream_entries
from wideseek.contracts import Limits
from wideseek.errors import LeaseLost, RunNotFound
from wideseek.events import EVENT, Event, Logged, RunCreated

LEAD = "lead"
"""The owner whose token the lead writes with; a subagent's is `sub:<subtask id>`."""

_APPEND = """
-- KEYS: log, fences.  ARGV: owner, token, end (0|1), retention in seconds, event...
-- Returns the number of the last event written, -1 when the token is stale, -2 when the owner has ended.
if ARGV[1] ~= '' then
  if redis.call('HGET', KEYS[2], 'done:' .. ARGV[1]) then return -2 end
  if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return -1 end
  if ARGV[3] == '1' then redis.call('HSET', KEYS[2], 'done:' .. ARGV[1], ARGV[2]) end
end
local id
for i = 5, #ARGV do id = redis.call('XADD', KEYS[1], '0-*', 'event', ARGV[i]) end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
return tonumber(string.sub(id, 3))
"""

_CLAIM = """
-- KEYS: fences.  ARGV: owner, limit, retention in seconds.
-- Returns the new token, 0 when the owner or the whole run has ended, -token when this is a claim over the limit.
if redis.call('HGET', KEYS[1], 'done:' .. ARGV[1]) or redis.call('HGET', KEYS[1], 'done:lead') then return 0 end
local token = redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
redis.call('EXPIRE', KEYS[1], ARGV[3])
local returned = tonumber(redis.call('HGET', KEYS[1], 'returned:' .. ARGV[1]) or '0')
if tonumber(ARGV[2]) > 0 and token - returned > tonumber(ARGV[2]) then return -token end
return token
"""

_RESERVE = """
-- KEYS: budget.  ARGV: tokens, tool calls.  Takes both or nothing.
local tokens = tonumber(redis.call('HGET', KEYS[1], 'tokens') or '0')
local calls = tonumber(redis.call('HGET', KEYS[1], 'tool_calls') or '0')
if tokens < tonumber(ARGV[1]) or calls < tonumber(ARGV[2]) then return 0 end
redis.call('HINCRBY', KEYS[1], 'tokens', -ARGV[1])
redis.call('HINCRBY', KEYS[1], 'tool_calls', -ARGV[2])
return 1
"""


@dataclass(frozen=True)
class Fence:
    """Who writes, and the token that proves it is the newest to do so."""

    owner: str
    token: int


class RunLog:
    """The logs of all runs of one deployment. Raises `QueueUnavailable` when Redis is down."""

    def __init__(self, redis: Redis, keys: Keys, *, retention_s: int = 7 * 86_400) -> None:
        self._redis = redis
        self._keys = keys
        self._retention_s = retention_s
        self._append = redis.register_script(_APPEND)
        self._claim = redis.register_script(_CLAIM)
        self._reserve = redis.register_script(_RESERVE)

    async def create(self, event: RunCreated) -> None:
        """Write a run's first event, fill its purse, and offer it to the orchestrators, all or nothing."""
        stamped = event.model_copy(update={"at": time.time()})
        limits: Limits = event.request.limits
        async with redis_errors(), self._redis.pipeline(transaction=True) as pipe:
            purse = {"tokens": limits.max_tokens, "tool_calls": limits.max_tool_calls}
            pipe.xadd(self._keys.log(event.run_id), {"event": EVENT.dump_json(stamped)}, id="0-1")
            pipe.expire(self._keys.log(event.run_id), self._retention_s)
            pipe.hset(self._keys.budget(event.run_id), mapping=cast("dict[Any, Any]", purse))
            pipe.expire(self._keys.budget(event.run_id), self._retention_s)
            pipe.xadd(self._keys.runs, {"run_id": event.run_id}, maxlen=100_000, approximate=True)
            await pipe.execute()

    async def claim(self, run_id: str, owner: str, *, limit: int = 0) -> int:
        """A new fencing token for `owner`: older tokens are refused from now on.

        Returns 0 when the owner or the run has already written its end, and minus the token when this is
        a claim beyond `limit` (0: no limit). Claims that were given back do not count.
        """
        async with redis_errors():
            return int(await self._claim(keys=[self._keys.fences(run_id)], args=[owner, limit, self._retention_s]))

    async def give_back(self, run_id: str, owner: str) -> None:
        """Say that the newest claim ended for no fault of the work: its process was asked to stop."""
        async with redis_errors():
            await self._redis.hincrby(self._keys.fences(run_id), f"returned:{owner}", 1)

    async def append(
        self, run_id: str, events: Sequence[Event], fence: Fence | None = None, *, end: bool = False
    ) -> int:
        """Write events in one step; `end` closes the owner's part of the log.

        Raises `LeaseLost` when the fence's token is no longer the newest or its owner has ended.
        """
        now = time.time()
        lines = [EVENT.dump_json(event.model_copy(update={"at": now})) for event in events]
        owner, token = (fence.owner, fence.token) if fence else ("", 0)
        keys = [self._keys.log(run_id), self._keys.fences(run_id)]
        async with redis_errors():
            number = int(await self._append(keys=keys, args=[owner, token, int(end), self._retention_s, *lines]))
        if number < 0:
            raise LeaseLost(f"{owner} of run {run_id}: token {token} is " + ("stale" if number == -1 else "spent"))
        return number

    async def read(self, run_id: str, after: int = 0, *, count: int | None = None) -> list[Logged]:
        """Events numbered above `after`."""
        async with redis_errors():
            entries = await self._redis.xrange(self._keys.log(run_id), min=f"(0-{after}", count=count)
        return [_logged(entry) for entry in entries or []]

    async def created(self, run_id: str) -> RunCreated:
        """A run's first event. Raises `RunNotFound`."""
        first = await self.read(run_id, count=1)
        if not first or not isinstance(first[0].event, RunCreated):
            raise RunNotFound(f"no run {run_id}, or its log has expired")
        return first[0].event

    async def at(self, run_id: str, seq: int) -> Event | None:
        """The event of this number."""
        found = await self.read(run_id, seq - 1, count=1)
        return found[0].event if found and found[0].seq == seq else None

    async def wait(self, run_id: str, after: int, *, seconds: float) -> list[Logged]:
        """Events numbered above `after`, waiting up to `seconds` for the first."""
        async with redis_errors():
            reply: Any = await self._redis.xread(
                {self._keys.log(run_id): f"0-{after}"}, block=max(1, int(seconds * 1000)), count=500
            )
        entries = stream_entries(reply)
        return [_logged(entry) for entry in entries]

    async def follow(self, run_id: str, after: int = 0, *, poll_s: float = 5) -> AsyncIterator[list[Logged]]:
        """Batches of new events for ever; an empty batch is a heartbeat after `poll_s` without news."""
        while True:
            batch = await self.wait(run_id, after, seconds=poll_s)
            after = batch[-1].seq if batch else after
            yield batch

    async def reserve(self, run_id: str, *, tokens: int, tool_calls: int) -> bool:
        """Take from the run's purse before spending; False, and nothing taken, when it is too light."""
        async with redis_errors():
            return bool(await self._reserve(keys=[self._keys.budget(run_id)], args=[tokens, tool_calls]))

    async def settle(self, run_id: str, *, tokens: int) -> None:
        """Give back reserved tokens that were not spent."""
        if tokens:
            async with redis_errors():
                await self._redis.hincrby(self._keys.budget(run_id), "tokens", tokens)

    async def request_cancel(self, run_id: str) -> float:
        """Raise the run's cancel flag and tell every process; the time of the first request comes back."""
        now = time.time()
        async with redis_errors():
            await self._redis.set(self._keys.cancel(run_id), str(now), nx=True, ex=self._retention_s)
            first = await self._redis.get(self._keys.cancel(run_id))
            await self._redis.publish(self._keys.cancellations, run_id)
        return float(first or now)

    async def cancel_requested(self, run_id: str) -> float | None:
        """When cancellation was asked for, or None."""
        async with redis_errors():
            flag = await self._redis.get(self._keys.cancel(run_id))
        return float(flag) if flag else None


@dataclass(frozen=True)
class RunBudget:
    """`wideseek.ports.Budget` over a run's purse in Redis."""

    log: RunLog
    run_id: str

    async def reserve(self, *, tokens: int = 0, tool_calls: int = 0) -> bool:
        """Take from the purse; False, and nothing taken, when it does not hold so much."""
        return await self.log.reserve(self.run_id, tokens=tokens, tool_calls=tool_calls)

    async def settle(self, *, tokens: int) -> None:
        """Give back what was not spent."""
        await self.log.settle(self.run_id, tokens=tokens)


def _logged(entry: Any) -> Logged:
    number, fields = entry
    return Logged(seq=int(number.split("-")[1]), event=EVENT.validate_json(fields["event"]))
