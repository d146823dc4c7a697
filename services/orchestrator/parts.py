"""The composition root: what an orchestrator replica is made of, and how it runs."""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.kit.admin import AdminKey
from services.kit.keys import Keys
from services.kit.logs import get_logger
from services.kit.policies import Policies
from services.kit.queue import Producer
from services.kit.redis import connect
from services.kit.rollouts.index import RolloutIndex
from services.kit.rollouts.store import RolloutStore
from services.kit.runlog import RunLog
from services.orchestrator.app import Door, build_app
from services.orchestrator.cancels import listen
from services.orchestrator.claims import Claims, Closing, Limits, WorkOnRun
from services.orchestrator.forwarding import Trainer
from services.orchestrator.idempotency import IdempotencyKeys
from services.orchestrator.leases import Leases
from services.orchestrator.metrics import Metrics
from services.orchestrator.models import PolicyNames
from services.orchestrator.readiness import Probes
from services.orchestrator.rollouts.writer import RolloutWriter, written_counter
from services.orchestrator.settings import OrchestratorSettings
from services.orchestrator.submit import Submit, Upstreams
from services.orchestrator.views import RunViews
from wideseek.errors import QueueUnavailable

_log = get_logger(__name__)
_SAMPLE_S = 2


@dataclass(frozen=True)
class Backbone:
    """Connections to Redis, apart by use, so that watchers cannot starve the work."""

    keys: Keys
    short: Redis
    """Short commands: the door, leases, flags."""
    waits: Redis
    """Blocking reads of the door: streams and long polls."""
    work: Redis
    """The leads' reads and writes, blocking ones too."""
    retention_s: int

    def log(self, redis: Redis) -> RunLog:
        """The run log over one of the connections."""
        return RunLog(redis, self.keys, retention_s=self.retention_s)


def backbone(settings: OrchestratorSettings) -> Backbone:
    """Clients that connect on first use."""
    url = settings.redis_url
    return Backbone(
        keys=Keys(settings.env),
        short=connect(url, max_connections=64 + 2 * settings.max_runs),
        waits=connect(url, max_connections=settings.max_streams),
        work=connect(url, max_connections=64 + 8 * settings.max_runs),
        retention_s=settings.retention_s,
    )


def rollout_writer(settings: OrchestratorSettings, redis: Backbone, registry: CollectorRegistry) -> RolloutWriter:
    """What writes this replica's rollouts; the store is opened when the first one is written."""
    return RolloutWriter(
        log=redis.log(redis.work),
        open_store=cache(partial(RolloutStore.open, settings.store_root)),
        index=RolloutIndex(redis.work, redis.keys),
        patience_s=settings.patience_s,
        written=written_counter(registry),
    )


def replica_name() -> str:
    """A name no other replica has had."""
    return f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(3)}"


def make_door(
    settings: OrchestratorSettings, redis: Backbone, views: RunViews, submit: Submit, metrics: Metrics
) -> Door:
    """What the routes of a replica work with."""
    return Door(
        log=redis.log(redis.short),
        waits=redis.log(redis.waits),
        views=views,
        submit=submit,
        keys=IdempotencyKeys(redis.short, redis.keys, ttl_s=int(settings.idempotency_hours * 3_600)),
        metrics=metrics,
        admin=AdminKey(settings.admin_key.get_secret_value() if settings.admin_key else None, settings.host),
        trainer=Trainer.at(settings.trainer_url),
        ping_s=settings.ping_s,
    )


def build(
    settings: OrchestratorSettings,
    redis: Backbone,
    upstreams: Upstreams,
    producer: Producer,
    make_work: Callable[[CollectorRegistry, RolloutWriter], WorkOnRun],
    *,
    policies: PolicyNames | None = None,
    close: Sequence[Callable[[], Awaitable[None]]] = (),
) -> FastAPI:
    """The app of one replica; starting it starts the claims, stopping it lays its runs down.

    `policies` are those in Redis unless given; `close` is what else is to be closed at the end.
    """
    metrics = Metrics(CollectorRegistry())
    rollouts = rollout_writer(settings, redis, metrics.registry)
    policies = policies or Policies(redis.short, redis.keys)
    upstreams = upstreams.remembered(settings.upstream_cache_s)
    log, replica = redis.log(redis.short), replica_name()
    views = RunViews(log, waits=redis.log(redis.waits))
    claims = Claims(
        log,
        Leases(redis.short, redis.keys, replica, lease_s=settings.lease_s),
        views,
        metrics,
        make_work(metrics.registry, rollouts),
        replica=replica,
        limits=Limits(settings.max_runs, settings.max_claims, settings.lease_s),
        closing=Closing(rollouts, policies),
    )
    submit = Submit(log, upstreams, settings.default_model, policies, settings.home, settings.default_prompt_profile)
    door = make_door(settings, redis, views, submit, metrics)
    probes = Probes(redis.short, redis.keys, upstreams, worker_timeout_s=settings.worker_timeout_s)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as closing, asyncio.TaskGroup() as group:
            connections = (redis.short.aclose, redis.waits.aclose, redis.work.aclose, door.trainer.http.close)
            for aclose in (*connections, producer.aclose, *close):
                closing.push_async_callback(aclose)
            tasks = [
                group.create_task(claims.run()),
                group.create_task(listen(redis.short, redis.keys, claims.cancel)),
                group.create_task(sample_queue(producer, metrics)),
            ]
            _log.info("replica_started", replica=replica, max_runs=settings.max_runs)
            yield
            for task in tasks:
                task.cancel()

    return build_app(door, ready=probes.readiness, lifespan=lifespan, max_body_bytes=settings.max_body_bytes)


async def sample_queue(producer: Producer, metrics: Metrics) -> None:
    """Keep the queue's depth and age in the metrics, for ever."""
    while True:
        try:
            depth, age_s = await producer.depth()
        except QueueUnavailable as outage:
            _log.warning("queue_not_sampled", error=str(outage))
        else:
            metrics.queue_depth.set(depth)
            metrics.queue_age.set(age_s)
        await asyncio.sleep(_SAMPLE_S)
