"""One delivery: claim the subtask, work on it, write its end. At least once delivered, once counted."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from services.kit.facts import Facts, persevere
from services.kit.logs import get_logger
from services.kit.queue import Delivery
from services.kit.runlog import Fence, RunBudget, RunLog
from services.worker.loop import UserCancelled
from services.worker.metrics import WorkerMetrics
from wideseek import agents
from wideseek.agent import Agent, Emit
from wideseek.agents import AgentSpec
from wideseek.compact import SUBAGENT_TURNS
from wideseek.contracts import PromptProfile, RunError, RunRequest, profile_of
from wideseek.errors import LeaseLost, QueueUnavailable, RunNotFound, UpstreamError
from wideseek.events import (
    AgentEvent,
    RunCreated,
    SubagentCancelled,
    SubagentCompleted,
    SubagentEnd,
    SubagentFailed,
    SubagentQueued,
    SubagentStarted,
    TurnStarted,
)
from wideseek.ports import Models, Retrieval
from wideseek.prompts import language_of, subagent_task
from wideseek.retrieval_tools import RetrievalTools
from wideseek.subagents import report_text
from wideseek.trajectory import Trajectory

log = get_logger(__name__)

_OWNER = "sub:"
"""What stands before a subtask's id in the name of its owner in the log."""
_MOST_RUNS = 256
"""Runs whose first event a worker keeps at hand."""


@dataclass(frozen=True)
class SubagentDesk:
    """What working on subtasks takes."""

    log: RunLog
    engines: Models
    retrieval: Callable[[RunRequest], Retrieval]
    """Retrieval as a run may use it."""
    metrics: WorkerMetrics
    worker: str
    max_attempts: int = 3
    max_turns: int = 20
    max_items: int = 5
    patience_s: float = 20
    runs: dict[str, RunCreated] = field(default_factory=dict)
    """First events of the runs seen last."""

    async def work_on(self, delivery: Delivery) -> None:
        """Work on a delivered subtask, or find that there is nothing left to do.

        Raises `UserCancelled` when the run was cancelled, and `QueueUnavailable` when Redis is down:
        then nothing can be written and the message is delivered again.
        """
        owner = f"{_OWNER}{delivery.subtask_id}"
        attempt = await self.log.claim(delivery.run_id, owner, limit=self.max_attempts)
        self.metrics.attempts.inc()
        if attempt == 0:
            self.metrics.ends.labels("superfluous").inc()
            return
        fence = Fence(owner, abs(attempt))
        try:
            await self._claimed(delivery, fence, poison=attempt < 0)
        except (LeaseLost, RunNotFound) as error:
            log.info("subtask_let_go", subtask_id=delivery.subtask_id, reason=str(error))
            self.metrics.ends.labels("let_go").inc()
        except asyncio.CancelledError:
            await self._cancelled(delivery, fence)
            raise

    async def _claimed(self, delivery: Delivery, fence: Fence, *, poison: bool) -> None:
        if poison:
            message = f"given up after {self.max_attempts} attempts that ended without a result"
            await self._end(delivery, fence, self._failure(delivery, fence, RunError(code="poison", message=message)))
            return
        created = await self._created(delivery.run_id)
        queued = await self.log.at(delivery.run_id, delivery.queued_seq)
        if not isinstance(queued, SubagentQueued):
            raise RunNotFound(f"event {delivery.queued_seq} of run {delivery.run_id} is no subtask")
        started = SubagentStarted(subtask_id=delivery.subtask_id, attempt=fence.token, worker=self.worker)
        await self.log.append(delivery.run_id, [started], fence)
        with self.metrics.seconds.time():
            end = await self._worked(delivery, fence, created, queued)
        await self._end(delivery, fence, end)

    async def _created(self, run_id: str) -> RunCreated:
        """A run's first event, which never changes: read once for all its subtasks here."""
        known = self.runs.get(run_id)
        if known is None:
            known = self.runs[run_id] = await self.log.created(run_id)
            while len(self.runs) > _MOST_RUNS:
                del self.runs[next(iter(self.runs))]
        return known

    async def _worked(
        self, delivery: Delivery, fence: Fence, created: RunCreated, queued: SubagentQueued
    ) -> SubagentEnd:
        facts = Facts(self.log, delivery.run_id, delivery.subtask_id, fence)
        if fence.token > 1:
            facts.load(await self.log.read(delivery.run_id))
            self.metrics.redeliveries.inc()

        async def emit(event: AgentEvent) -> None:
            if isinstance(event, TurnStarted):
                await self._stop_if_cancelled(delivery, fence)
            await facts.emit(event)

        spec, task = self._briefed(created.request, queued.prompt)

        async def attempt() -> Trajectory:
            agent = await self._agent(created, spec, task, fence, emit)
            seconds = max(0.0, created.deadline - time.time())
            return await agent.run(task, max_seconds=seconds, recorded=facts.recorded)

        try:
            trajectory = await persevere(attempt, patience_s=self.patience_s, progress=lambda: facts.count)
        except QueueUnavailable:
            raise
        except UpstreamError as error:
            outage = RunError(code="upstream-unavailable", message=str(error), service=error.service)
            return self._failure(delivery, fence, outage)
        return SubagentCompleted(
            subtask_id=delivery.subtask_id,
            attempt=fence.token,
            report=report_text(spec, trajectory),
            stop_reason=trajectory.stop_reason,
            num_turns=len(trajectory.turns),
        )

    def _briefed(self, request: RunRequest, prompt: str) -> tuple[AgentSpec, str]:
        """The subagent for a subtask, and its task text."""
        language = language_of(request.query)
        compact = profile_of(request) is PromptProfile.COMPACT
        spec = agents.subagent(
            language,
            max_turns=min(self.max_turns, SUBAGENT_TURNS) if compact else self.max_turns,
            max_items=self.max_items,
            output=request.output,
            profile=profile_of(request),
        )
        return spec, subagent_task(request, prompt, language)

    async def _agent(self, created: RunCreated, spec: AgentSpec, task: str, fence: Fence, emit: Emit) -> Agent:
        """The subagent with its model and tools. Raises `ModelUnavailable`."""
        request, budget = created.request, RunBudget(self.log, created.run_id)
        model = await self.engines.model(created.subagent_model or created.model)
        tools = RetrievalTools(
            self.retrieval(request),
            model,
            budget,
            task=task,
            urls=request.sources.urls,
            spec=spec,
        )
        return Agent(
            spec=spec,
            model=model,
            tools=tools,
            budget=budget,
            emit=emit,
            sampling=request.sampling,
            agent_id=fence.owner.removeprefix(_OWNER),
            attempt=fence.token,
        )

    def _failure(self, delivery: Delivery, fence: Fence, error: RunError) -> SubagentFailed:
        return SubagentFailed(subtask_id=delivery.subtask_id, attempt=fence.token, error=error)

    async def _stop_if_cancelled(self, delivery: Delivery, fence: Fence) -> None:
        """The flag is the truth; the message that interrupts us sooner may get lost."""
        if await self.log.cancel_requested(delivery.run_id) is not None:
            cancelled = SubagentCancelled(subtask_id=delivery.subtask_id, attempt=fence.token)
            await self._end(delivery, fence, cancelled)
            raise UserCancelled

    async def _cancelled(self, delivery: Delivery, fence: Fence) -> None:
        """Interrupted: by a cancelled run, which gets its proof, or by a stop, which is nobody's fault."""
        try:
            await self._stop_if_cancelled(delivery, fence)
            await self.log.give_back(delivery.run_id, fence.owner)
        except UserCancelled:
            pass
        except (LeaseLost, QueueUnavailable) as error:
            log.warning("cancel_not_recorded", subtask_id=delivery.subtask_id, reason=str(error))

    async def _end(self, delivery: Delivery, fence: Fence, event: SubagentEnd) -> None:
        await self.log.append(delivery.run_id, [event], fence, end=True)
        self.metrics.ends.labels(event.type.removeprefix("subagent.")).inc()
