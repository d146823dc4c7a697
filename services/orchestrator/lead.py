"""One claimed run, worked on to its terminal event: by the lead with its subagents, or by one agent alone.

A run taken over from a dead replica is rehydrated from the log and goes on at the turn it had reached.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from services.kit.facts import Facts, persevere
from services.kit.queue import Producer
from services.kit.runlog import LEAD, Fence, RunBudget, RunLog
from services.orchestrator.ends import conclude
from services.orchestrator.modes import Surroundings, answering_agent, toolbox
from services.orchestrator.rollouts.writer import RolloutWriter
from services.orchestrator.rows import ProvisionalRows
from services.orchestrator.subagents import LoggedSubagents, Quorum
from wideseek.agent import Agent
from wideseek.contracts import Mode, RunRequest
from wideseek.events import (
    Logged,
    RunCancelled,
    RunCancelling,
    RunCreated,
    SubagentCancelled,
    TerminalEvent,
    TurnCompleted,
)
from wideseek.ports import Models, Retrieval
from wideseek.prompts import language_of, whole_task
from wideseek.trajectory import Trajectory

CANCEL_GRACE_S = 5.0
"""Seconds a cancelled run waits for its workers to say that they have stopped."""


@dataclass(frozen=True)
class LeadDesk:
    """What working on runs takes."""

    log: RunLog
    producer: Producer
    engines: Models
    retrieval: Callable[[RunRequest], Retrieval]
    """Retrieval as a run may use it."""
    quorum: Quorum
    patience_s: float = 30
    """Seconds of an outage a run sits out before it fails."""
    rollouts: RolloutWriter | None = None
    """Writes the rollouts of runs that opt in; None where none are taken in."""

    async def work_on_run(self, run_id: str, fence: Fence, cancel: asyncio.Event) -> None:
        """Bring a run to its terminal event.

        Raises `LeaseLost` when another replica owns it now, and `UpstreamError` for an outage that
        outlasts `patience_s`: what a run that fails is called is the caller's to write.
        """
        history = await self.log.read(run_id)
        created = await self.log.created(run_id)
        end = await self.rollouts.sealed(created, history) if self.rollouts else None
        if end is None:
            end = await self._worked(created, history, fence, cancel)
            end = await self.rollouts.close(created, end, fence) if self.rollouts else end
        await self.log.append(run_id, [end], fence, end=True)

    async def _worked(
        self, created: RunCreated, history: list[Logged], fence: Fence, cancel: asyncio.Event
    ) -> TerminalEvent:
        """What the agent that answers makes of the run, or being cancelled does."""
        subagents = LoggedSubagents(
            log=self.log,
            producer=self.producer,
            run_id=created.run_id,
            fence=fence,
            rows=ProvisionalRows(created.request),
            deadline=created.deadline,
            quorum=self.quorum,
            one_by_one=created.request.mode is Mode.SEQUENTIAL,
        )
        await subagents.take_note(history)
        facts = Facts(self.log, created.run_id, LEAD, fence)
        facts.load(history)
        lead = asyncio.ensure_future(self._answer(created, subagents, facts, fence))
        stop = asyncio.ensure_future(cancel.wait())
        try:
            await asyncio.wait({lead, stop}, return_when=asyncio.FIRST_COMPLETED)
            if cancel.is_set():
                await _ended(lead)
                return await self._cancelled(created, subagents)
            return conclude(created, lead.result(), subagents)
        finally:
            await _ended(lead)
            await _ended(stop)

    async def _answer(self, created: RunCreated, subagents: LoggedSubagents, facts: Facts, fence: Fence) -> Trajectory:
        """The work of the agent that answers, begun where the facts end, and again after an outage."""
        request, language = created.request, language_of(created.request.query)
        spec, task = answering_agent(request, language), whole_task(request, language)
        budget = RunBudget(self.log, created.run_id)
        around = Surroundings(created.run_id, subagents, self.retrieval(request), budget)

        async def attempt() -> Trajectory:
            model = await self.engines.model(created.model)
            agent = Agent(
                spec=spec,
                model=model,
                tools=toolbox(request, spec, model, task, around),
                budget=budget,
                emit=facts.emit,
                sampling=request.sampling,
                agent_id=LEAD,
                attempt=fence.token,
            )
            seconds = max(0.0, created.deadline - time.time())
            return await agent.run(task, max_seconds=seconds, recorded=facts.recorded)

        return await persevere(attempt, patience_s=self.patience_s, progress=lambda: facts.count)

    async def _cancelled(self, created: RunCreated, subagents: LoggedSubagents) -> RunCancelled:
        """Wait for the workers, then state what stopping took."""
        await subagents.settle_cancelled(seconds=CANCEL_GRACE_S)
        history = await self.log.read(created.run_id)
        requested_at = await self.log.cancel_requested(created.run_id) or time.time()
        return RunCancelled(
            requested_at=requested_at,
            stopped_at=time.time(),
            workers_stopped=sum(1 for logged in history if isinstance(logged.event, SubagentCancelled)),
            tokens_after_cancel=_tokens_after_cancel(history),
            table=subagents.rows.table,
        )


def _tokens_after_cancel(history: list[Logged]) -> int:
    """Tokens sampled by completions that arrived after cancellation was logged."""
    asked = next((logged.seq for logged in history if isinstance(logged.event, RunCancelling)), None)
    if asked is None:
        return 0
    late = [logged.event for logged in history if logged.seq > asked]
    return sum(event.completion.completion_tokens for event in late if isinstance(event, TurnCompleted))


async def _ended(task: "asyncio.Future[Any]") -> None:
    """Cancel a task of ours and wait until it has ended; its own result or error is read elsewhere."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
