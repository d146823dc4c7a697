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
from services.orchestrator.modes import with_turns
from services.orchestrator.rollouts.writer import RolloutWriter
from services.orchestrator.subagents import Quorum
from services.orchestrator.views import RunViews
from tests.fakes import PagesInMemory, ScriptedModel
from tests.integration.test_modes import ACCESS, MALI, SEARCH, TABLE, Messages, Policies
from wideseek.contracts import Run, RunRequest, RunStatus
from wideseek.events import RolloutSealed, RunCreated
from wideseek.rollout import AgentStatus, Rollout, RolloutStatus
from wideseek.trajectory import Role

RUN = "ws_rollouts"
TRAINING = {"opt_in": True, "job_id": "job-1", "group_id": "g", "index_in_group": 2, "task_id": "t", "split": "train"}


class Died(BaseException):
    """Stands for a process that ends between two steps."""


@dataclass
class Bench:
    """One run in the log, desks to work on it, a store and its index."""

    log: RunLog
    store: RolloutStore
    index: RolloutIndex
    messages: Messages = field(default_factory=Messages)

    async def create(self, training: dict[str, Any] | None = None, **fields: Any) -> None:
        request = with_turns(
            RunRequest.model_validate({"query": "Capital of Mali?", "training": training or {}, **fields})
        )
        await self.log.create(RunCreated(run_id=RUN, request=request, model="policy@v3", deadline=time.time() + 60))

    def desk(self, model: ScriptedModel, **parts: Any) -> LeadDesk:
        return LeadDesk(
            log=self.log,
            producer=cast("Producer", self.messages),
            engines=Policies({"policy@v3": model}),
            retrieval=lambda _: PagesInMemory([MALI]),
            quorum=Quorum(share=0.5, grace_s=0),
            patience_s=0.1,
            rollouts=RolloutWriter(
                **{"log": self.log, "open_store": lambda: self.store, "index": self.index, "patience_s": 0.1, **parts}
            ),
        )

    async def work(self, model: ScriptedModel, **parts: Any) -> Run:
        """Claim the run and bring it to its end."""
        fence = Fence(LEAD, await self.log.claim(RUN, LEAD))
        await self.desk(model, **parts).work_on_run(RUN, fence, asyncio.Event())
        return await RunViews(self.log).run(RUN)

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
