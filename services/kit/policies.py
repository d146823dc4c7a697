"""Which version of a policy serves a run, read from Redis by the orchestrator and written by the trainer.

A version is served under a name of its own, `<policy>@v<N>`; version 0 is the base model under the engine's name for
it. Redis holds a mirror of the files below `<home>/policies`, which the trainer writes again whenever it is lost.

A canary gets the runs whose id falls below its share, so a run keeps its version however often it is asked for:

    share(run) = first 8 bytes of SHA-256(policy "@v" canary NUL run id), big-endian, / 2^64
"""

import hashlib
import math
import re
import time
from collections.abc import Mapping
from typing import Any, cast

from pydantic import Field
from redis.asyncio import Redis

from services.kit.keys import Keys
from services.kit.redis import redis_errors
from wideseek.values import Frozen

BASE = 0
"""The version that is the base model."""

_SERVED = re.compile(r"^(?P<name>[a-z][a-z0-9-]{0,39})@v(?P<version>0|[1-9][0-9]{0,8})$")
_MIRROR = """
-- KEYS: policy, names.  ARGV: name, revision, time of the first publication, field, value, ...
-- Returns 0 when Redis knows a newer revision already.
local known = tonumber(redis.call('HGET', KEYS[1], 'revision') or '-1')
if known > tonumber(ARGV[2]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'revision', ARGV[2])
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('ZADD', KEYS[2], 'NX', ARGV[3], ARGV[1])
return 1
"""


class ServedVersion(Frozen):
    """A version that every replica serves, with the hashes that a rollout's record names."""

    name: str
    version: int = Field(ge=0)
    model: str
    """The name to ask the engine for."""
    adapter_sha256: str = ""
    base_sha256: str = ""
    tokenizer_sha256: str = ""
    template_sha256: str = ""


class PolicyView(Frozen):
    """A policy as runs are resolved against it."""

    name: str
    revision: int = Field(default=0, ge=0)
    """Grows with every change; an older one never replaces a newer."""
    current: int = Field(default=BASE, ge=0)
    canary: int | None = Field(default=None, ge=0)
    canary_share: float = Field(default=0.0, ge=0, le=1)
    published_at: float = 0.0
    """When its first version was published, Unix seconds; the oldest policy serves runs that name no model."""
    served: tuple[ServedVersion, ...] = ()

    def find(self, version: int) -> ServedVersion | None:
        """A version, when it is served."""
        return next((one for one in self.served if one.version == version), None)

    def choose(self, run_id: str) -> ServedVersion | None:
        """The version for a run: the canary for its share of run ids, else the current one."""
        canary = None if self.canary is None else self.find(self.canary)
        if canary is not None and share_of(canary.name, canary.version, run_id) < self.canary_share:
            return canary
        return self.find(self.current)


class Policies:
    """The policies of one deployment. Every method raises `QueueUnavailable` when Redis is down."""

    def __init__(self, redis: Redis, keys: Keys, *, default: str | None = None) -> None:
        self._redis = redis
        self._keys = keys
        self._default = default
        """Policy of runs that name no model; None: the one that was published first."""
        self._mirror = redis.register_script(_MIRROR)

    async def resolve(self, asked: str | None, run_id: str) -> str | None:
        """The engine's name of what serves a run.

        Nothing asked, or a policy's name: the current version, or the canary for its share of run ids. An exact
        `policy@v3`: that version, while it is served. None when there is no such policy or version.
        """
        chosen = await self.chosen(asked, run_id)
        return None if chosen is None else chosen.model

    async def chosen(self, asked: str | None, run_id: str) -> ServedVersion | None:
        """As `resolve`, with the version's number and hashes."""
        exact = None if asked is None else parse(asked)
        if exact is not None:
            view = await self.view(exact[0])
            return None if view is None else view.find(exact[1])
        name = asked or self._default or await self._oldest()
        view = None if name is None else await self.view(name)
        return None if view is None else view.choose(run_id)

    async def view(self, name: str) -> PolicyView | None:
        """A policy, or None when there is none of this name."""
        async with redis_errors():
            fields = await cast("Any", self._redis.hgetall(self._keys.policy(name)))
        return _view(name, fields) if fields else None

    async def names(self) -> list[str]:
        """All policies, the oldest first."""
        async with redis_errors():
            return [str(name) for name in await self._redis.zrange(self._keys.policy_names, 0, -1)]

    async def mirror(self, view: PolicyView) -> bool:
        """Write a policy; False, and nothing changed, when Redis holds a newer revision of it."""
        fields: list[str | int | float] = ["current", view.current, "published_at", repr(view.published_at)]
        if view.canary is not None:
            fields += ["canary", view.canary, "canary_share", repr(view.canary_share)]
        for one in view.served:
            fields += [f"v{one.version}", one.model_dump_json()]
        keys = [self._keys.policy(view.name), self._keys.policy_names]
        async with redis_errors():
            return bool(await self._mirror(keys=keys, args=[view.name, view.revision, view.published_at, *fields]))

    async def pin(self, model: str, run_id: str, until: float) -> None:
        """Keep a version loaded for a run that ends at `until` (Unix seconds) at the latest."""
        key, expiry = self._keys.pins(model), math.ceil(until) + 1
        async with redis_errors(), self._redis.pipeline(transaction=True) as pipe:
            pipe.zadd(key, {run_id: until})
            pipe.expireat(key, expiry, nx=True)
            pipe.expireat(key, expiry, gt=True)
            await pipe.execute()

    async def unpin(self, model: str, run_id: str) -> None:
        """Say that a run has ended."""
        async with redis_errors():
            await self._redis.zrem(self._keys.pins(model), run_id)

    async def pinned(self, model: str) -> int:
        """Runs that hold on to a version now."""
        key = self._keys.pins(model)
        async with redis_errors(), self._redis.pipeline(transaction=True) as pipe:
            pipe.zremrangebyscore(key, "-inf", time.time())
            pipe.zcard(key)
            _, number = await pipe.execute()
        return int(number)

    async def _oldest(self) -> str | None:
        return next(iter(await self.names()), None)


def served_name(name: str, version: int) -> str:
    """What the engine calls a version."""
    return f"{name}@v{version}"


def parse(model: str) -> tuple[str, int] | None:
    """Policy and version of `policy@v3`; None for any other name."""
    match = _SERVED.match(model)
    return None if match is None else (match["name"], int(match["version"]))


def share_of(name: str, canary: int, run_id: str) -> float:
    """Where a run id falls in [0, 1), anew for every canary."""
    digest = hashlib.sha256(f"{served_name(name, canary)}\0{run_id}".encode()).digest()
    return float(int.from_bytes(digest[:8], "big") / 2**64)


def _view(name: str, fields: Mapping[str, str]) -> PolicyView:
    versions = (value for field, value in fields.items() if re.fullmatch(r"v[0-9]+", field))
    served = sorted((ServedVersion.model_validate_json(value) for value in versions), key=lambda one: one.version)
    return PolicyView(
        name=name,
        revision=int(fields["revision"]),
        current=int(fields["current"]),
        canary=int(fields["canary"]) if "canary" in fields else None,
        canary_share=float(fields.get("canary_share", 0)),
        published_at=float(fields.get("published_at", 0)),
        served=tuple(served),
    )
