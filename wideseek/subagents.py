"""Subagents: how one is set up, what it hands back, and the port run in process."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wideseek.agent import Agent
from wideseek.agents import AgentSpec
from wideseek.concurrency import run_all
from wideseek.ports import SubagentReport, Subtask
from wideseek.toolcalls import without_calls
from wideseek.trajectory import StopReason, Trajectory

FAILED_REPORT = "This subagent ran out of room before it could report. Ask again with a smaller subtask."
"""What the reference tells the lead, whatever the cause."""


def report_text(spec: AgentSpec, trajectory: Trajectory) -> str:
    """What a subagent hands back: its answer, or its partial findings when something ran out.

    Partial findings are what it last said besides its calls, else what its last tools told it.
    """
    if trajectory.stop_reason is StopReason.ANSWERED:
        return without_calls(trajectory.final_text)
    if not spec.hand_back_partial:
        return FAILED_REPORT
    said = [without_calls(turn.completion.text) for turn in trajectory.turns]
    seen = ["\n\n".join(result.content for result in turn.results if not result.failed) for turn in trajectory.turns]
    findings = next((text for text in reversed(said) if text), "") or next(
        (text for text in reversed(seen) if text), ""
    )
    return f"Not finished ({trajectory.stop_reason}). So far:\n{findings}" if findings else "Nothing was found."


@dataclass(frozen=True)
class InProcessSubagents:
    """The `Subagents` port over asyncio: for tests and small experiments, no queue in between."""

    make: Callable[[Subtask], tuple[Agent, str]]
    """The agent for a subtask, and its task text."""
    max_parallel: int = 128

    async def run(self, subtasks: Sequence[Subtask]) -> list[SubagentReport]:
        """Reports in the order of the subtasks. Raises `UpstreamError` when one of them meets an outage."""
        slots = asyncio.Semaphore(self.max_parallel)

        async def work(subtask: Subtask) -> SubagentReport:
            async with slots:
                agent, task = self.make(subtask)
                trajectory = await agent.run(task)
            return SubagentReport(
                subtask_id=subtask.subtask_id,
                text=report_text(agent.spec, trajectory),
                stop_reason=trajectory.stop_reason,
                trajectory=trajectory,
            )

        return await run_all(work(subtask) for subtask in subtasks)
