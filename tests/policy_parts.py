"""A small deployment for tests of policies: engines over HTTP, Redis, a home; a publisher as a job has it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis

from services.kit.keys import Keys
from services.kit.policies import Policies
from services.kit.redis import connect
from services.trainer.config import PublishConfig
from services.trainer.learn.base import base_sha256
from services.trainer.policies.manage import Manager
from services.trainer.policies.probe import Alternative
from services.trainer.policies.publish import Published, Publisher
from services.trainer.policies.records import Candidate
from services.trainer.policies.registry import Registry
from services.trainer.policies.replicas import Fleet
from services.trainer.policies.states import States
from tests.policy_engine import PolicyEngine, Trainer, Weights, serving, write_adapter

NAME = "wide"
BASE = 1
RULE = PublishConfig(probe_prompts=4, probe_tokens=8)
Shift = tuple[int, float]


class Crash(BaseException):
    """The process is gone at this boundary."""


@dataclass
class Deployment:
    """Engines, Redis and a home."""

    home: Path
    root: Path
    """Folder of the base's weights."""
    engines: list[PolicyEngine]
    urls: list[str]
    redis: Redis
    sigma: float = 0.0
    crash_at: str = ""
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def mark(self, boundary: str) -> None:
        if boundary == self.crash_at:
            raise Crash(boundary)

    @property
    def policies(self) -> Policies:
        return Policies(self.redis, Keys("test"))

    @property
    def registry(self) -> Registry:
        return Registry(self.home / "policies", mark=self.mark)

    @property
    def states(self) -> States:
        return States(self.registry, self.policies, mark=self.mark)

    async def fleet(self) -> Fleet:
        return await self.stack.enter_async_context(Fleet(self.urls))

    async def publisher(self) -> Publisher:
        """As a job that has just started has one."""
        return Publisher(self.registry, self.states, await self.fleet())

    async def manager(self) -> Manager:
        return Manager(self.registry, self.states, await self.fleet())

    def candidate(self, version: int, *shifts: Shift, parent: int | None = None) -> Candidate:
        folder = write_adapter(self.home / "jobs" / "j1" / f"adapter-{version}", *shifts)
        return Candidate(
            name=NAME,
            version=version,
            adapter=folder,
            parent_version=version - 1 if parent is None else parent,
            job_id="j1",
            step=version,
            base_sha256=base_sha256(self.root),
            manifest_sha256=f"{version:064d}",
        )

    def trainer(self, *shifts: Shift) -> Trainer:
        return Trainer(Weights(BASE, shifts), self.sigma)

    async def publish(
        self,
        version: int,
        *shifts: Shift,
        rule: PublishConfig = RULE,
        alternatives: Sequence[Alternative] = (),
        precision: str = "float32",
    ) -> Published:
        """Publish an adapter of these shifts, as its job would."""
        candidate, publisher = self.candidate(version, *shifts), await self.publisher()
        scorer = self.trainer(*shifts)
        return await publisher.publish(candidate, scorer, rule, precision=precision, alternatives=alternatives)

    async def serving(self, run_id: str = "r1") -> str | None:
        """What a new run is served with."""
        return await self.policies.resolve(None, run_id)


@asynccontextmanager
async def deployment(
    folder: Path, redis_url: str, *, replicas: int = 2, sigma: float = 0.0, dev_mode: bool = False
) -> AsyncIterator[Deployment]:
    """Running engines without any policy."""
    root = folder / "base"
    root.mkdir()
    (root / "model.safetensors").write_bytes(b"base weights")
    async with AsyncExitStack() as stack:
        engines = [PolicyEngine(root, BASE, sigma, dev_mode) for _ in range(replicas)]
        urls = [await stack.enter_async_context(serving(engine)) for engine in engines]
        redis = await stack.enter_async_context(connect(redis_url))
        yield Deployment(folder, root, engines, urls, redis, sigma, stack=stack)
