"""A job's surroundings for tests of the conductor: real ledger, store, index, registry and collector; a learner that
follows the folder's protocol and counts what it was given; engines over HTTP; and a way to crash at any boundary."""

import hashlib
import json
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from redis.asyncio import Redis

from services.kit.keys import Keys
from services.kit.policies import Policies
from services.kit.rollouts.index import RolloutIndex
from services.kit.rollouts.store import RolloutStore
from services.trainer.collect.collector import Collector, Means
from services.trainer.collect.scoring import Scoring
from services.trainer.collect.source import TaskSource
from services.trainer.collect.start import Start
from services.trainer.conduct.loop import Conductor, Parts
from services.trainer.conduct.patience import Patience
from services.trainer.conduct.ports import Learning, Served
from services.trainer.conduct.publishing import OpenedPolicy, StepPublishing
from services.trainer.conduct.sources import RolloutSource
from services.trainer.conduct.state import StateFile
from services.trainer.conduct.stop import StopSign
from services.trainer.config import JobConfig, PublishConfig
from services.trainer.folder import (
    COMMITTED,
    JobFolder,
    JobRecord,
    JobStatus,
    LearnerReport,
    ScoreRow,
    write_atomically,
    write_model,
)
from services.trainer.learn.base import base_sha256
from services.trainer.learn.durable import whole_folder
from services.trainer.learn.schedule import checkpoint_due
from services.trainer.ledger.ledger import Ledger
from services.trainer.ledger.manifest import FIRST, Manifest
from services.trainer.policies.probe import Alternative, Scorer
from services.trainer.policies.publish import Published, Publisher
from services.trainer.policies.records import Candidate
from services.trainer.policies.registry import Registry
from services.trainer.policies.replicas import Fleet
from services.trainer.policies.states import States
from tests.collect_parts import PACE, Cluster, IndexInMemory, source_of
from tests.policy_engine import PolicyEngine, Trainer, Weights, serving, write_adapter
from tests.servers import redis_binary, wait_until

JOB = "tj_20260101000000_000000"
BASE_SEED = 1
BOUNDARIES = (
    "object.before_rename",
    "object.after_rename",
    "index.before_xadd",
    "index.after_xadd",
    "manifest.before_create",
    "manifest.after_create",
    "committed.before_rename",
    "committed.after_rename",
    "stable.before",
    "stable.after",
    "current.before_flip",
    "current.after_flip",
    "index.before_xack",
    "index.after_xack",
)
"""Before and after each of the seven."""


@contextmanager
def private_redis(folder: Path) -> Iterator[str]:
    """A real server on a Unix socket in `folder`, ended by the process it was started as; its address."""
    socket = folder / "redis.sock"
    command = [str(redis_binary()), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(socket.exists, seconds=10, what="redis on its socket")
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: hundreds of flushed writes then take no disk's time."""
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


class Crash(BaseException):
    """The process is gone; nothing catches it."""


@dataclass
class Fuse:
    """Crashes at one passing of one boundary."""

    at: str = ""
    passings: int = 1
    blown: Counter[str] = field(default_factory=Counter)

    def __call__(self, boundary: str) -> None:
        if boundary != self.at:
            return
        self.passings -= 1
        if self.passings == 0:
            self.at = ""
            self.blown[boundary] += 1
            raise Crash(boundary)

    def arm(self, boundary: str, passings: int = 1) -> None:
        self.at, self.passings = boundary, passings


class CountingLearner:
    """A learner whose weights are a count: how often each rollout was trained on, in what order of steps."""

    def __init__(self, folder: JobFolder, store: RolloutStore, probe: Callable[[str], None] = lambda _: None) -> None:
        self._folder, self._store, self._probe = folder, store, probe
        self._config = folder.record().config
        self.trained_now: list[int] = []
        self._resume()

    async def trained(self, step: int) -> LearnerReport:
        while self._step < step:
            self._train(self._step + 1)
        return LearnerReport.model_validate_json(self._folder.learner_file(step).read_bytes())

    async def score(self, rows: Sequence[ScoreRow], *, step: int) -> list[tuple[float, ...]]:
        state = State.read(self._folder, step) if step != self._step else self._state
        return await Trainer(Weights(BASE_SEED, state.shifts)).score(rows)

    def _resume(self) -> None:
        self._step = max(self._folder.committed(), default=0)
        self._state = State.read(self._folder, self._step)

    def _train(self, step: int) -> None:
        data = self._folder.manifest_file(step).read_bytes()
        manifest = Manifest.model_validate_json(data)
        assert manifest.prev_sha256 == self._state.manifest_sha256
        for entry in manifest.entries:
            assert self._store.get(entry.uri, entry.sha256).rollout_id == entry.rollout_id
            self._state.counts[entry.rollout_id] += 1
        self._state = State(self._state.counts, hashlib.sha256(data).hexdigest())
        self._step = step
        self.trained_now.append(step)
        report = LearnerReport(
            step=step, manifest_sha256=self._state.manifest_sha256, scalars={"loss/value": float(len(manifest.entries))}
        )
        write_model(self._folder.learner_file(step), report)
        if checkpoint_due(self._config, step):
            self._commit(step)

    def _commit(self, step: int) -> None:
        target = self._folder.checkpoint(step)
        if target.exists():
            target.rename(target.with_name(f".half-{step}-{len(list(target.parent.iterdir()))}"))
        with whole_folder(target) as part:
            (part / "state.json").write_text(json.dumps([self._state.counts, self._state.manifest_sha256]))
            write_adapter(part / "adapter", *self._state.shifts)
        self._probe("committed.before_rename")
        write_atomically(target / COMMITTED, b"")
        self._probe("committed.after_rename")


@dataclass
class State:
    """What the counting learner has learned."""

    counts: Counter[str] = field(default_factory=Counter)
    manifest_sha256: str = FIRST

    @classmethod
    def read(cls, folder: JobFolder, step: int) -> "State":
        if not step:
            return cls()
        counts, sha256 = json.loads((folder.checkpoint(step) / "state.json").read_text())
        return cls(Counter(counts), sha256)

    @property
    def shifts(self) -> tuple[tuple[int, float], ...]:
        """An adapter's content that depends on everything learned; none before the first step."""
        if not self.counts:
            return ()
        text = json.dumps([sorted(self.counts.items()), self.manifest_sha256])
        return ((int(hashlib.sha256(text.encode()).hexdigest()[:8], 16), 0.5),)


class MarkingPublisher(Publisher):
    """Publishes by the real registry and states, and asks no engine: neither loaded nor probed."""

    async def publish(
        self,
        candidate: Candidate,
        scorer: Scorer,
        rule: PublishConfig,
        *,
        precision: str,
        alternatives: Sequence[Alternative] = (),
    ) -> Published:
        record = self._registry.write(candidate, precision)
        state = self._states.newest(candidate.name)
        if record.version not in state.served:
            served = {"served": (*state.served, record.version), "current": record.version}
            await self._states.change(candidate.name, "job", f"publish v{record.version}", lambda _: served)
        return Published(record=record, outcome="promoted", publish_s=0.0)


class Wrap(Protocol):
    """Puts something between conductor and learner."""

    def __call__(self, learner: CountingLearner) -> Learning: ...


def config_of(**values: Any) -> JobConfig:
    """A small job: two groups of two rollouts a step, a probe of few prompts."""
    body: dict[str, Any] = {
        "data": {"wide": ["w.jsonl"], "questions": ["q.jsonl"]},
        "steps": 3,
        "model": {"precision": "float32"},
        "publish": {"probe_prompts": 4, "probe_tokens": 1},
    }
    rollouts = {"group_size": 2, "groups_per_step": 2, "max_staleness": 1, **values.pop("rollouts", {})}
    return JobConfig.model_validate({**body, **values, "rollouts": rollouts})


@dataclass
class Job:
    """A job, and the world that outlives its processes."""

    folder: JobFolder
    home: Path
    root: Path
    redis: Redis
    engine: PolicyEngine
    fleet: Fleet
    cluster: Cluster
    tasks: TaskSource
    fuse: Fuse
    learners: list[CountingLearner] = field(default_factory=list)
    collectors: list[Collector] = field(default_factory=list)
    wrap: Wrap = lambda learner: learner
    publisher: type[Publisher] = Publisher

    @property
    def config(self) -> JobConfig:
        return self.folder.record().config

    @property
    def store(self) -> RolloutStore:
        return RolloutStore.open(self.folder.record().rollouts_root, probe=self.fuse)

    @property
    def index(self) -> RolloutIndex:
        return RolloutIndex(self.redis, Keys("test"), probe=self.fuse)

    @property
    def registry(self) -> Registry:
        return Registry(self.home / "policies", mark=self.fuse)

    @property
    def states(self) -> States:
        return States(self.registry, Policies(self.redis, Keys("test")), mark=self.fuse)

    def ledger(self) -> Ledger:
        return Ledger(self.folder, probe=self.fuse)

    def stop_sign(self) -> StopSign:
        return StopSign(self.folder, poll_s=0.01)

    async def live(self, stop: StopSign | None = None, **parts: Any) -> JobStatus:
        """One process of the conductor, from its start to its end or its crash."""
        stop = stop or self.stop_sign()
        record, state = self.folder.record(), StateFile(self.folder)
        fleet = self.fleet
        counting = CountingLearner(self.folder, self.store, self.fuse)
        self.learners.append(counting)
        learner = self.wrap(counting)
        publishing = StepPublishing(
            folder=self.folder,
            opened=OpenedPolicy(JOB, record.config, fleet, self.states, base_sha256(self.root)),
            registry=self.registry,
            publisher=self.publisher(self.registry, self.states, fleet),
            learner=learner,
        )

        def source(ledger: Ledger, served: Served) -> RolloutSource:
            start = Start.after(
                ledger.manifests(),
                trained=ledger.step,
                version=served.version,
                made_at=served.step,
                lineage=ledger.lineage,
            )
            means = Means(
                runs=self.cluster,
                store=self.store,
                index=self.index,
                source=self.tasks,
                journal=self.folder.path / "groups.jsonl",
                scoring=Scoring(),
                pace=PACE,
            )
            self.collectors.append(Collector(publishing.opened.pupil, means, start))
            return RolloutSource(record.config, self.collectors[-1])

        made = {
            "ledger": self.ledger(),
            "learner": learner,
            "publishing": publishing,
            "source": source,
            "stop": stop,
            "patience": Patience(stop=stop, seconds=5, first_s=0.01, longest_s=0.05, say=state.waiting),
            "index": self.index,
            "code_version": "test",
            **parts,
        }
        return await Conductor(self.folder, record, Parts(**made), state).run()

    def counts(self) -> Counter[str]:
        """How often each rollout was trained on, in the surviving lineage."""
        return State.read(self.folder, max(self.folder.committed(), default=0)).counts


@asynccontextmanager
async def job_at(
    folder: Path, redis_url: str, config: JobConfig, *, seed: int = 0, **cluster: Any
) -> AsyncIterator[Job]:
    """A job that nobody has worked on yet; Redis is empty."""
    make_job(folder, config)
    async with reopened(folder, redis_url, seed=seed, **cluster) as job:
        await job.redis.flushall()
        yield job


def make_job(folder: Path, config: JobConfig) -> JobFolder:
    """The files of a job and of its base."""
    (folder / "base").mkdir(parents=True)
    (folder / "base" / "model.safetensors").write_bytes(b"base weights")
    record = JobRecord(job_id=JOB, created_at=1.0, config=config, rollouts_root=str(folder / "store"))
    job_folder = JobFolder(folder / "home" / "jobs" / JOB)
    write_model(job_folder.record_file, record)
    return job_folder


@asynccontextmanager
async def reopened(folder: Path, redis_url: str, *, seed: int = 0, **cluster: Any) -> AsyncIterator[Job]:
    """A job as it is, with an engine and a cluster that know nothing of the time before."""
    home, base, root = folder / "home", folder / "base", folder / "store"
    fuse = Fuse()
    async with AsyncExitStack() as stack:
        engine = PolicyEngine(base, BASE_SEED)
        url = await stack.enter_async_context(serving(engine))
        fleet = await stack.enter_async_context(Fleet([url]))
        redis: Redis = await stack.enter_async_context(
            Redis.from_url(redis_url, decode_responses=True, socket_timeout=None)
        )
        index = cast("IndexInMemory", RolloutIndex(redis, Keys("test"), probe=fuse))
        made = Cluster(root, RolloutStore.open(str(root), probe=fuse), index, seed=seed, **cluster)
        job_folder = JobFolder(home / "jobs" / JOB)
        yield Job(job_folder, home, base, redis, engine, fleet, made, source_of(seed=seed), fuse)
