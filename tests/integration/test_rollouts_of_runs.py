"""Runs that opt in leave one rollout each, whoever dies on the way; others leave none."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from services.kit.keys import Keys
from services.kit.queue import Producer
from services.kit.redis import connect
from services.kit.rollouts.entry import UNASSIGNED, StoredRollout
from services.kit.rollouts.index import RolloutIndex
from services.kit.rollouts.store import RolloutStore
from services.kit.runlog import LEAD, Fence, RunLog
from services.orchestrator.lead import LeadDesk
from services.orchestrator.modes import with_own_limits
from services.orchestrator.rollouts.writer import RolloutWriter
from services.orchestrator.subagents import Quorum
from services.orchestrator.views import RunViews
from services.worker.metrics import WorkerMetrics
from services.worker.subagent import SubagentDesk
from tests.fakes import PagesInMemory, ScriptedModel
from tests.integration.orchestrator_replica import eventually
from tests.integration.test_modes import ACCESS, MALI, SEARCH, TABLE, THREE, Messages, Policies
from wideseek.contracts import Run, RunError, RunRequest, RunStatus
from wideseek.errors import LeaseLost, ModelUnavailable, StoreUnavailable
from wideseek.events import RolloutSealed, RunCompleted, RunCreated, RunFailed
from wideseek.rollout import AgentStatus, Rollout, RolloutStatus
from wideseek.trajectory import Role

RUN = "ws_rollouts"
TRAINING = {"opt_in": True, "job_id": "job-1", "group_id": "g", "index_in_group": 2, "task_id": "t", "split": "train"}


class DiedError(Exception):
    """Stands for a process that ends between two steps."""


@dataclass
class Bench:
    """One run in the log, desks to work on it, a store and its index."""

    log: RunLog
    store: RolloutStore
    index: RolloutIndex
    messages: Messages = field(default_factory=Messages)
    share: float = 1
    """Of a wave's subtasks, whose end the lead waits for."""

    async def create(self, training: dict[str, Any] | None = None, **fields: Any) -> None:
        request = with_own_limits(
            RunRequest.model_validate({"query": "Capital of Mali?", "training": training or {}, **fields})
        )
        deadline = time.time() + request.limits.max_seconds
        await self.log.create(RunCreated(run_id=RUN, request=request, model="policy@v3", deadline=deadline))

    def desk(self, model: ScriptedModel, **parts: Any) -> LeadDesk:
        return LeadDesk(
            log=self.log,
            producer=cast("Producer", self.messages),
            engines=Policies({"policy@v3": model}),
            retrieval=lambda _: PagesInMemory([MALI]),
            quorum=Quorum(share=self.share, grace_s=0),
            patience_s=0.1,
            rollouts=self.writer(**parts),
        )

    def writer(self, **parts: Any) -> RolloutWriter:
        usual = {"log": self.log, "open_store": lambda: self.store, "index": self.index, "patience_s": 0.1}
        return RolloutWriter(**{**usual, **parts})

    async def work(self, model: ScriptedModel, **parts: Any) -> Run:
        """Claim the run and bring it to its end."""
        await self.desk(model, **parts).work_on_run(RUN, await self.claim(), asyncio.Event())
        return await RunViews(self.log).run(RUN)

    def worker(self, model: ScriptedModel) -> SubagentDesk:
        return SubagentDesk(
            log=self.log,
            engines=Policies({"policy@v3": model}),
            retrieval=lambda _: PagesInMemory([MALI]),
            metrics=WorkerMetrics(),
            worker="w",
        )

    async def claim(self) -> Fence:
        return Fence(LEAD, await self.log.claim(RUN, LEAD))

    async def fail(self, error: RunError, **parts: Any) -> RunFailed:
        """The end that a claim gives a run which the cluster failed."""
        created = await self.log.created(RUN)
        return await self.writer(**parts).fail(created, RunFailed(error=error), await self.claim())

    def stored(self, job_id: str = "job-1") -> list[StoredRollout]:
        return list(self.store.scan(job_id))

    def only(self) -> Rollout:
        [entry] = self.stored()
        return self.store.get(entry.uri, entry.sha256)

    async def indexed(self, job_id: str = "job-1") -> list[str]:
        return [entry.rollout_id for _, entry in await self.index.read(job_id)]


@pytest.fixture
async def bench(redis_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    redis = connect(redis_url, max_connections=32)
    keys = Keys("test")
    yield Bench(RunLog(redis, keys), RolloutStore.open(str(tmp_path / "rollouts")), RolloutIndex(redis, keys))
    await redis.aclose()


async def test_a_run_that_opts_in_leaves_one_rollout_with_its_turns(bench: Bench) -> None:
    await bench.create(TRAINING, mode="single_agent")

    run = await bench.work(ScriptedModel([SEARCH, ACCESS, TABLE]))

    rollout = bench.only()
    [agent] = rollout.agents
    assert run.status is RunStatus.COMPLETED
    assert run.rollout_id == rollout.rollout_id
    assert await bench.indexed() == [rollout.rollout_id]
    assert (rollout.group_id, rollout.index_in_group, rollout.task_id, rollout.split) == ("g", 2, "t", "train")
    assert (rollout.status, rollout.answer_text) == (RolloutStatus.OK, TABLE)
    assert (agent.role, agent.status, len(agent.turns)) == (Role.SINGLE, AgentStatus.ANSWERED, 3)
    assert [call.name for turn in agent.turns for call in turn.tool_calls] == ["search", "access"]


async def test_a_run_that_does_not_opt_in_leaves_nothing(bench: Bench) -> None:
    await bench.create(mode="single_agent")

    run = await bench.work(ScriptedModel([TABLE]))

    assert run.rollout_id is None
    assert bench.stored() == bench.stored(UNASSIGNED) == []
    assert not any(isinstance(logged.event, RolloutSealed) for logged in await bench.log.read(RUN))


async def test_subagents_stand_below_their_lead(bench: Bench) -> None:
    await bench.create(TRAINING)
    working = asyncio.ensure_future(bench.work(ScriptedModel([THREE, TABLE])))
    await eventually(lambda: len(bench.messages.sent) == 3, "three subtasks")
    for delivery in bench.messages.sent:
        await bench.worker(ScriptedModel([SEARCH, "Bamako"])).work_on(delivery)

    run = await working

    rollout = bench.only()
    lead, *subagents = rollout.agents
    assert run.rollout_id == rollout.rollout_id
    assert [len(agent.turns) for agent in rollout.agents] == [2, 2, 2, 2]
    assert {agent.subtask for agent in subagents} == {"Mali", "Chad", "Niger"}
    assert {agent.parent_agent_id for agent in subagents} == {lead.agent_id}
    assert {agent.status for agent in rollout.agents} == {AgentStatus.ANSWERED}
    assert set(lead.turns[0].tool_calls[0].subtask_ids) == {agent.subtask_id for agent in subagents}


@dataclass
class Dying:
    """A store and an index that their process does not outlive."""

    bench: Bench
    when: str

    def put(self, rollout: Rollout, job_id: str = UNASSIGNED) -> StoredRollout:
        if self.when == "sealed":
            raise DiedError
        stored = self.bench.store.put(rollout, job_id)
        if self.when == "stored":
            raise DiedError
        return stored

    async def add(self, entry: StoredRollout) -> None:
        if self.when == "indexing":
            raise DiedError
        await self.bench.index.add(entry)
        raise DiedError


@pytest.mark.parametrize("when", ["sealed", "stored", "indexing", "indexed"])
async def test_who_takes_over_writes_the_same_rollout_once(bench: Bench, when: str) -> None:
    await bench.create(TRAINING, mode="single_agent")
    dying, model = Dying(bench, when), ScriptedModel([SEARCH, TABLE])
    with pytest.raises(DiedError):
        await bench.work(model, open_store=lambda: dying, index=dying)

    run = await bench.work(model)

    rollout = bench.only()
    assert (run.status, run.rollout_id) == (RunStatus.COMPLETED, rollout.rollout_id)
    assert set(await bench.indexed()) == {rollout.rollout_id}
    assert len(model.asked) == 2
    assert sum(isinstance(logged.event, RolloutSealed) for logged in await bench.log.read(RUN)) == 1


async def test_what_is_logged_after_the_seal_changes_nothing(bench: Bench) -> None:
    bench.share = 0.5
    await bench.create(TRAINING)
    working = asyncio.ensure_future(
        bench.work(ScriptedModel([THREE, TABLE]), open_store=lambda: Dying(bench, "stored"))
    )
    await eventually(lambda: len(bench.messages.sent) == 3, "three subtasks")
    early, also, late = bench.messages.sent
    for delivery in (early, also):
        await bench.worker(ScriptedModel(["Bamako"])).work_on(delivery)
    with pytest.raises(DiedError):
        await working
    before = bench.only()
    await bench.worker(ScriptedModel(["Niamey"])).work_on(late)

    run = await bench.work(ScriptedModel([]))

    assert bench.only() == before
    assert (run.rollout_id, run.progress.subagents.completed) == (before.rollout_id, 3)
    assert {len(agent.turns) for agent in before.agents if agent.agent_id == late.subtask_id} == {0}


async def test_a_takeover_after_the_deadline_keeps_the_end_that_was_reached(bench: Bench) -> None:
    await bench.create(TRAINING, mode="single_agent", limits={"max_seconds": 0.5})
    with pytest.raises(DiedError):
        await bench.work(ScriptedModel([TABLE]), open_store=lambda: Dying(bench, "stored"))
    deadline = (await bench.log.created(RUN)).deadline
    await eventually(lambda: time.time() > deadline, "the deadline")

    run = await bench.work(ScriptedModel([]))

    assert (run.status, run.answer_text) == (RunStatus.COMPLETED, TABLE)
    assert run.rollout_id == bench.only().rollout_id


@dataclass
class Flaky:
    """A store that is away for its first tries."""

    store: RolloutStore
    outages: int
    tries: int = 0

    def put(self, rollout: Rollout, job_id: str = UNASSIGNED) -> StoredRollout:
        self.tries += 1
        if self.tries <= self.outages:
            raise StoreUnavailable("the disk is full")
        return self.store.put(rollout, job_id)


async def test_a_short_outage_of_the_store_is_sat_out(bench: Bench) -> None:
    await bench.create(TRAINING, mode="single_agent")

    flaky = Flaky(bench.store, 1)

    run = await bench.work(ScriptedModel([TABLE]), open_store=lambda: flaky, patience_s=20)

    assert (run.status, flaky.tries) == (RunStatus.COMPLETED, 2)
    assert run.rollout_id == bench.only().rollout_id


async def test_a_long_outage_of_the_store_is_raised_and_no_success(bench: Bench) -> None:
    await bench.create(TRAINING, mode="single_agent")

    with pytest.raises(StoreUnavailable, match="disk is full"):
        await bench.work(ScriptedModel([TABLE]), open_store=lambda: Flaky(bench.store, 9))

    run = await RunViews(bench.log).run(RUN)
    assert (run.status.terminal, run.rollout_id) == (False, None)
    assert bench.stored() == []


async def test_a_failed_run_leaves_what_there_is(bench: Bench) -> None:
    await bench.create(TRAINING, mode="single_agent")
    with pytest.raises(ModelUnavailable):
        await bench.work(ScriptedModel([SEARCH, ModelUnavailable("down"), ModelUnavailable("down")]))

    end = await bench.fail(RunError(code="upstream-unavailable", message="down", service="model"))

    rollout = bench.only()
    assert end.rollout_id == rollout.rollout_id
    assert (rollout.status, rollout.error, len(rollout.agents[0].turns)) == (RolloutStatus.INFRA_ERROR, "down", 1)


async def test_a_run_that_failed_before_its_first_turn_leaves_nothing(bench: Bench) -> None:
    await bench.create(TRAINING)

    end = await bench.fail(RunError(code="given-up", message="m"))

    assert end.rollout_id is None
    assert bench.stored() == []


@pytest.mark.parametrize("service", ["rollout store", "redis"])
async def test_a_run_whose_rollout_could_not_be_written_fails_without_one(bench: Bench, service: str) -> None:
    await bench.create(TRAINING, mode="single_agent")
    with pytest.raises(StoreUnavailable):
        await bench.work(ScriptedModel([TABLE]), open_store=lambda: Flaky(bench.store, 9))

    end = await bench.fail(RunError(code="upstream-unavailable", message="m", service=service))

    assert end.rollout_id is None
    assert bench.stored() == []


async def test_a_failure_is_not_hidden_by_a_store_that_is_away_too(bench: Bench) -> None:
    await bench.create(TRAINING, mode="single_agent")
    with pytest.raises(ModelUnavailable):
        await bench.work(ScriptedModel([SEARCH, ModelUnavailable("down"), ModelUnavailable("down")]))

    error = RunError(code="upstream-unavailable", message="down", service="model")
    end = await bench.fail(error, open_store=lambda: Flaky(bench.store, 9))

    assert (end.error, end.rollout_id) == (error, None)


async def test_a_cancelled_run_leaves_nothing(bench: Bench) -> None:
    await bench.create(TRAINING, mode="single_agent")
    cancel = asyncio.Event()
    cancel.set()

    await bench.desk(ScriptedModel([TABLE])).work_on_run(RUN, await bench.claim(), cancel)

    run = await RunViews(bench.log).run(RUN)
    assert (run.status, run.rollout_id) == (RunStatus.CANCELLED, None)
    assert bench.stored() == []


async def test_a_stale_claim_seals_nothing(bench: Bench) -> None:
    await bench.create(TRAINING, mode="single_agent")
    stale = await bench.claim()
    await bench.claim()

    with pytest.raises(LeaseLost):
        await bench.writer().close(await bench.log.created(RUN), RunCompleted(answer_text=TABLE), stale)

    assert bench.stored() == []
