"""One claimed run, worked on to its terminal event: the lead agent, and what its end means.

A run taken over from a dead replica is rehydrated from the log and goes on at the turn it had reached.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from services.kit.facts import Facts, persevere
from services.kit.queue import Producer
from services.kit.runlog import LEAD, Fence, RunBudget, RunLog
from services.orchestrator.rows import ProvisionalRows
from services.orchestrator.subagents import LoggedSubagents, Quorum
from wideseek import agents
from wideseek.agent import Agent
from wideseek.delegation import DelegationTools
from wideseek.events import (
    Logged,
    RunCancelled,
    RunCancelling,
    RunCompleted,
    RunCreated,
    RunIncomplete,
    SubagentCancelled,
    TerminalEvent,
    TurnCompleted,
)
from wideseek.ports import Models
from wideseek.prompts import language_of, whole_task
from wideseek.tables import Table, aligned, parse_markdown_table
from wideseek.toolcalls import after_thinking
from wideseek.trajectory import StopReason, Trajectory

CANCEL_GRACE_S = 5.0
"""Seconds a cancelled run waits for its workers to say that they have stopped."""


@dataclass(frozen=True)
class LeadDesk:
    """What working on runs takes."""

    log: RunLog
    producer: Producer
    engines: Models
    quorum: Quorum
    patience_s: float = 30
    """Seconds of an outage a run sits out before it fails."""

    async def work_on_run(self, run_id: str, fence: Fence, cancel: asyncio.Event) -> None:
        """Bring a run to its terminal event.

        Raises `LeaseLost` when another replica owns it now, and `UpstreamError` for an outage that
        outlasts `patience_s`: what a run that fails is called is the caller's to write.
        """
        history = await self.log.read(run_id)
        created = await self.log.created(run_id)
        subagents = LoggedSubagents(
            log=self.log,
            producer=self.producer,
            run_id=run_id,
            fence=fence,
            rows=ProvisionalRows(created.request),
            deadline=created.deadline,
            quorum=self.quorum,
        )
        await subagents.take_note(history)
        facts = Facts(self.log, run_id, LEAD, fence)
        facts.load(history)
        lead = asyncio.ensure_future(self._lead(created, subagents, facts, fence))
        stop = asyncio.ensure_future(cancel.wait())
        try:
            await asyncio.wait({lead, stop}, return_when=asyncio.FIRST_COMPLETED)
            if cancel.is_set():
                await _ended(lead)
                end: TerminalEvent = await self._cancelled(created, subagents)
            else:
                end = conclude(created, lead.result(), subagents)
        finally:
            await _ended(lead)
            await _ended(stop)
        await self.log.append(run_id, [end], fence, end=True)

    async def _lead(self, created: RunCreated, subagents: LoggedSubagents, facts: Facts, fence: Fence) -> Trajectory:
        request, language = created.request, language_of(created.request.query)
        spec = agents.lead(language, max_turns=request.limits.max_turns, max_width=request.limits.max_width)

        async def attempt() -> Trajectory:
            model = await self.engines.model(created.model)
            tools = DelegationTools(created.run_id, subagents, model, request.limits.max_width, language)
            agent = Agent(
                spec=spec,
                model=model,
                tools=tools,
                budget=RunBudget(self.log, created.run_id),
                emit=facts.emit,
                sampling=request.sampling,
                agent_id=LEAD,
                attempt=fence.token,
            )
            task = whole_task(request, language)
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


def conclude(created: RunCreated, trajectory: Trajectory, subagents: LoggedSubagents) -> TerminalEvent:
    """What the lead's trajectory makes of the run: completed only with a table that says something."""
    text = trajectory.final_text
    table = answer_table(created, text)
    answered = trajectory.stop_reason is StopReason.ANSWERED
    if answered and table is not None and says_something(table) and not subagents.outage:
        return RunCompleted(table=table, answer_text=text)
    shown = table if table is not None and table.rows else subagents.rows.table
    return RunIncomplete(reason=_reason(trajectory.stop_reason, table, subagents), table=shown, answer_text=text)


def answer_table(created: RunCreated, text: str) -> Table | None:
    """The table of the lead's final text, with the columns that the request named, at most `max_rows` long."""
    table = parse_markdown_table(after_thinking(text))
    if table is None:
        return None
    if created.request.columns:
        table = aligned(table, [column.name for column in created.request.columns])
    return table.head(created.request.limits.max_rows)


def says_something(table: Table) -> bool:
    """Whether a table has rows, and a fact in one of them: more filled cells than rows have names."""
    return bool(table.rows) and table.cells_filled > (len(table.rows) if len(table.columns) > 1 else 0)


def _reason(stop: StopReason, table: Table | None, subagents: LoggedSubagents) -> str:
    if stop is StopReason.ANSWERED:
        if table is None or not table.rows:
            return "no_table"
        return "tool_outage" if subagents.outage else "no_facts"
    if stop is StopReason.DEADLINE and subagents.starved:
        return "width_starved"
    return stop.value


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
