"""What the tests of the collector work with: tasks, and a cluster in memory that stores rollouts like the real one."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.kit.rollouts.checks import answer_hash_of
from services.kit.rollouts.entry import StoredRollout
from services.kit.rollouts.store import RolloutStore
from services.trainer.collect.asker import Pace
from services.trainer.collect.attempts import Pupil
from services.trainer.collect.collector import Collector, Means
from services.trainer.collect.scoring import Scoring
from services.trainer.collect.source import TaskSource
from services.trainer.collect.start import Start
from services.trainer.config import JobConfig
from tests.evaluation_parts import question, wide
from wideseek.contracts import Mode, Output, Run, RunError, RunRequest, RunStatus
from wideseek.errors import RunNotFound, UpstreamError
from wideseek.rollout import (
    AgentRecord,
    AgentStatus,
    Rollout,
    RolloutSource,
    RolloutStatus,
    SamplingRecord,
    TurnRecord,
    WeightSpan,
    rollout_id_of,
)
from wideseek.trajectory import Role

JOB = "job-1"
BASE = "base"
PACE = Pace(backoff_s=0.001, longest_s=0.002, poll_s=0.0)
RIGHT = "```markdown\n| Country | Capital |\n| --- | --- |\n| Peru | Lima |\n| Chile | Santiago |\n```"


def config_of(**rollouts: Any) -> JobConfig:
    """A job that `GRPO` trains; the source of its tasks is given to the collector apart."""
    sizes = {"group_size": 4, "groups_per_step": 2, **rollouts}
    return JobConfig.model_validate({"data": {"wide": ["w.jsonl"], "questions": ["q.jsonl"]}, "rollouts": sizes})


def source_of(*, wides: int = 3, questions: int = 3, share: float = 0.5, seed: int = 0) -> TaskSource:
    tasks = [wide(f"w{number}") for number in range(wides)]
    return TaskSource(tasks, [question(f"q{number}") for number in range(questions)], share=share, seed=seed)


@dataclass
class IndexInMemory:
    """The `Index` port: a list."""

    entries: list[StoredRollout] = field(default_factory=list)

    async def add(self, entry: StoredRollout) -> str:
        self.entries.append(entry)
        return f"{len(self.entries)}-0"

    async def read(self, job_id: str, *, after: str = "0-0") -> list[tuple[str, StoredRollout]]:
        start = int(after.partition("-")[0])
        return [(f"{number}-0", one) for number, one in enumerate(self.entries, 1) if number > start][:7]

    async def rebuild(
        self, job_id: str, store: RolloutStore, *, resolved: Collection[str] = (), after: str = "0-0"
    ) -> int:
        there = {entry.rollout_id for entry in self.entries} | set(resolved)
        lost = [entry for entry in store.scan(job_id) if entry.rollout_id not in there]
        self.entries += lost
        return len(lost)


@dataclass(frozen=True)
class End:
    """How a run ends."""

    status: RunStatus = RunStatus.COMPLETED
    reason: str | None = None
    answer: str = RIGHT
    source: RolloutSource = RolloutSource.POLICY
    model: str | None = None
    """The weights that sampled, where they are not those asked for."""
    lead: AgentStatus = AgentStatus.ANSWERED
    stored: bool = True


def usually_right(request: RunRequest) -> End:
    """Answers that differ within a group: those of even index are right."""
    box = "\\boxed{Lima}" if (request.training.index_in_group or 0) % 2 == 0 else "\\boxed{Cusco}"
    if request.output is Output.ANSWER:
        return End(answer=box)
    return End(answer=RIGHT if "Lima" in box else RIGHT.replace("Lima", "Cusco"))


@dataclass
class Cluster:
    """An orchestrator in memory: runs end out of order, and leave a rollout in the store and the index."""

    folder: Path
    """The root of the store."""
    store: RolloutStore
    index: IndexInMemory
    end: Callable[[RunRequest], End | Exception] = usually_right
    hold: Callable[[RunRequest], bool] = lambda _: False
    """Runs that do not end while this is so."""
    seed: int = 0
    requests: list[RunRequest] = field(default_factory=list)
    """Each run that was made, in order."""
    cancelled: list[str] = field(default_factory=list)
    peak: int = 0
    """Most runs under way at once."""
    damage: Callable[[RunRequest], bool] = lambda _: False
    """Rollouts whose object is torn once it lies in the store."""
    down: int = 0
    """Answers that are still to be an outage."""

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)
        self._by_key: dict[str, str] = {}
        self._asked: dict[str, RunRequest] = {}
        self._runs: dict[str, Run] = {}
        self._left: dict[str, int] = {}

    @property
    def active(self) -> int:
        return sum(not run.status.terminal for run in self._runs.values())

    async def taken_in(self, request: RunRequest, idempotency_key: str) -> tuple[Run, bool]:
        await asyncio.sleep(0)
        self._maybe_down()
        if idempotency_key in self._by_key:
            return self._runs[self._by_key[idempotency_key]], True
        run_id = f"ws_{len(self._runs)}"
        made = {"id": run_id, "status": RunStatus.QUEUED, "query": request.query, "mode": request.mode}
        self.requests.append(request)
        self._by_key[idempotency_key] = run_id
        self._asked[run_id] = request
        self._runs[run_id] = Run.model_validate({**made, "model": request.model or BASE, "created_at": 100.0})
        self._left[run_id] = self._draw.randrange(8)
        self.peak = max(self.peak, self.active)
        return self._runs[run_id], False

    async def get(self, run_id: str, *, wait: float = 0) -> Run:
        await asyncio.sleep(0)
        self._maybe_down()
        if run_id not in self._runs:
            raise RunNotFound(f"no run {run_id}")
        run, request = self._runs[run_id], self._asked[run_id]
        if not run.status.terminal and not self.hold(request):
            self._left[run_id] -= 1
            if self._left[run_id] < 0:
                await self._finish(run, request)
        return self._runs[run_id]

    async def cancel(self, run_id: str) -> Run:
        self.cancelled.append(run_id)
        run = self._runs[run_id]
        if not run.status.terminal:
            self._runs[run_id] = run.model_copy(update={"status": RunStatus.CANCELLED})
        return self._runs[run_id]

    async def events(self, run_id: str, after: int = 0) -> AsyncIterator[dict[str, Any]]:
        yield {"type": "run.completed", "sequence_number": 1, "at": 0.0}

    def _maybe_down(self) -> None:
        if self.down:
            self.down -= 1
            raise UpstreamError("does not answer")

    async def _finish(self, run: Run, request: RunRequest) -> None:
        end = self.end(request)
        if isinstance(end, Exception):
            raise end
        name = None
        if end.stored and request.training.opt_in:
            rollout = rollout_of(run.id, request, end)
            entry = self.store.put(rollout, request.training.job_id or "")
            if self.damage(request):
                (self.folder / entry.uri).write_bytes(b"torn")
            await self.index.add(entry)
            name = rollout.rollout_id
        update: dict[str, Any] = {"status": end.status, "rollout_id": name, "incomplete_reason": end.reason}
        update |= {"answer_text": end.answer, "completed_at": 101.0}
        if end.status is RunStatus.FAILED:
            update["error"] = RunError(code="upstream", message="does not answer", service="model")
        self._runs[run.id] = run.model_copy(update=update)


def rollout_of(run_id: str, request: RunRequest, end: End) -> Rollout:
    """What the orchestrator stores: a lead that read a page and answered, in two turns of exact tokens."""
    training, model = request.training, end.model or request.model or BASE
    version = int(model.partition("@v")[2] or 0)
    status = RolloutStatus.FAILED_TASK if end.lead is not AgentStatus.ANSWERED else RolloutStatus.OK
    if end.status is RunStatus.FAILED or end.reason:
        status = RolloutStatus.INFRA_ERROR
    turns = (turn_of(0, model, version, end.source), turn_of(1, model, version, end.source))
    role = Role.SINGLE if request.mode is Mode.SINGLE_AGENT else Role.LEAD
    return Rollout(
        schema_version=1,
        run_id=run_id,
        rollout_id=rollout_id_of(run_id, training.group_id, training.index_in_group, training.attempt),
        group_id=training.group_id,
        index_in_group=training.index_in_group,
        attempt=training.attempt,
        task_id=training.task_id,
        task_hash="ab" * 32,
        split=training.split,
        source=end.source,
        status=status,
        started_at=100.0,
        finished_at=101.5,
        query=request.query,
        answer_text=end.answer,
        answer_hash=answer_hash_of(end.answer),
        policy_version_min=version,
        policy_version_max=version,
        agents=(AgentRecord(agent_id="lead", role=role, subtask=request.query, status=end.lead, turns=turns),),
    )


def turn_of(index: int, model: str, version: int, source: RolloutSource = RolloutSource.POLICY) -> TurnRecord:
    return TurnRecord(
        turn_index=index,
        model_name=model,
        prompt_token_ids=tuple(range(1, 4 + 3 * index)),
        sampled_token_ids=(7, 8, 9),
        sampled_logprobs=(-0.1, -0.2, -0.3),
        weight_version_spans=(WeightSpan(version=version, start=0, end=3),),
        sampling=SamplingRecord(temperature=1.0, max_tokens=16),
        finish_reason="stop",
        trainable=source is RolloutSource.POLICY,
        mask_reason="" if source is RolloutSource.POLICY else "demonstration",
    )


@dataclass
class Bench:
    """A store, an index and a cluster that outlive collectors."""

    folder: Path
    cluster: Cluster
    source: TaskSource

    @classmethod
    def at(cls, folder: Path, *, source: TaskSource | None = None, **cluster: Any) -> "Bench":
        root = folder / "store"
        store = RolloutStore.open(str(root))
        return cls(folder, Cluster(root, store, IndexInMemory(), **cluster), source or source_of())

    def collector(self, config: JobConfig, start: Start | None = None, **more: Any) -> Collector:
        means = Means(
            runs=self.cluster,
            store=self.cluster.store,
            index=self.cluster.index,
            source=self.source,
            journal=self.folder / "groups.jsonl",
            scoring=more.pop("scoring", Scoring()),
            pace=PACE,
        )
        return Collector(Pupil(JOB, config, BASE), means, start)


@asynccontextmanager
async def collecting(collector: Collector, *, seconds: float = 20) -> AsyncIterator[Collector]:
    """The collector at work for as long as the block runs; then it is killed."""
    task = asyncio.ensure_future(collector.run())
    try:
        async with asyncio.timeout(seconds):
            yield collector
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()


async def until(condition: Callable[[], bool]) -> None:
    """Until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # any condition, not only those that an event stands for
            await asyncio.sleep(0)


async def settled(cluster: Cluster) -> None:
    """Until nothing has been asked of the cluster, and nothing ended there, for a while."""
    quiet, before = 0, (-1, -1)
    while quiet < 50:
        await asyncio.sleep(0)
        now = (len(cluster.requests), cluster.active)
        quiet, before = (quiet + 1 if now == before else 0), now
