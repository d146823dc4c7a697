"""The lead's `Subagents` port: out through Celery, back through the run log.

A subtask's id is a hash of where and what it is, so a lead that is taken over by another replica finds
its subtasks in the log and pays none of them twice. Results are the workers' own log entries; nothing
is read from a result backend.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from services.kit.queue import Producer
from services.kit.runlog import Fence, RunLog
from services.orchestrator.rows import ProvisionalRows
from wideseek.concurrency import run_all
from wideseek.errors import ContractViolation, ModelUnavailable, QueueUnavailable, RetrievalUnavailable, UpstreamError
from wideseek.events import (
    Logged,
    SubagentCancelled,
    SubagentCompleted,
    SubagentEnd,
    SubagentFailed,
    SubagentQueued,
    SubagentStarted,
)
from wideseek.ports import SubagentReport, Subtask

_POLL_S = 5.0
_OUTAGES: dict[str, type[UpstreamError]] = {
    kind.service: kind for kind in (ModelUnavailable, RetrievalUnavailable, QueueUnavailable)
}


@dataclass(frozen=True)
class Quorum:
    """When a lead stops waiting for the last of a wave."""

    share: float = 0.9
    """Of the wave's subtasks that must have ended."""
    grace_s: float = 60
    """Seconds the others still get then; afterwards they are late, and reported so."""


@dataclass
class LoggedSubagents:
    """Subtasks of one run, in the hands of one claim."""

    log: RunLog
    producer: Producer
    run_id: str
    fence: Fence
    rows: ProvisionalRows
    deadline: float
    quorum: Quorum = field(default_factory=Quorum)
    one_by_one: bool = False
    """Whether a subtask is handed out only when every earlier one has ended."""
    gate: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the call whose subtasks are handed out one by one: a lead may call several times at once."""
    seen: int = 0
    """Number of the last event read."""
    queued: dict[str, int] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)
    ended: dict[str, SubagentEnd] = field(default_factory=dict)

    async def run(self, subtasks: Sequence[Subtask]) -> list[SubagentReport]:
        """Reports in the order of the subtasks.

        Raises the outage when every subtask of the wave met one; fewer are told to the lead.
        """
        if self.one_by_one:
            await self._hand_out_one_by_one(subtasks)
        else:
            await self._queue(subtasks)
            await self._wait({subtask.subtask_id for subtask in subtasks})
        ends = [self.ended.get(subtask.subtask_id) for subtask in subtasks]
        outages = [end for end in ends if isinstance(end, SubagentFailed) and end.error.service]
        if outages and len(outages) == len(ends):
            raise _outage(outages[0])
        return [_report(subtask.subtask_id, end) for subtask, end in zip(subtasks, ends, strict=True)]

    async def take_note(self, events: Sequence[Logged]) -> None:
        """Keep what the log says of subtasks, and pass on the rows they reported."""
        for logged in events:
            self.rows.recall(logged.event)
        for logged in events:
            self.seen = max(self.seen, logged.seq)
            event = logged.event
            if isinstance(event, SubagentQueued):
                self.queued[event.subtask_id] = logged.seq
                self.prompts[event.subtask_id] = " ".join(event.prompt.split())
            elif isinstance(event, SubagentStarted):
                self.started.add(event.subtask_id)
            elif isinstance(event, SubagentCompleted | SubagentFailed | SubagentCancelled):
                self.ended[event.subtask_id] = event
                if isinstance(event, SubagentCompleted):
                    await self._pass_on(event)

    async def settle_cancelled(self, *, seconds: float) -> None:
        """Wait, at most so long, until every subtask a worker has begun has ended."""
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        while self.started - self.ended.keys() and clock() < until:
            await self.take_note(await self.log.wait(self.run_id, self.seen, seconds=max(0.05, until - clock())))

    @property
    def outage(self) -> bool:
        """Whether a subtask was lost to an outage and no later one of the same prompt made up for it."""
        lost = {
            self.prompts[name]
            for name, end in self.ended.items()
            if isinstance(end, SubagentFailed) and end.error.service
        }
        done = {self.prompts[name] for name, end in self.ended.items() if isinstance(end, SubagentCompleted)}
        return bool(lost - done)

    @property
    def starved(self) -> bool:
        """Whether subtasks wait that no worker has begun."""
        return bool(self.queued.keys() - self.started - self.ended.keys())

    async def _hand_out_one_by_one(self, subtasks: Sequence[Subtask]) -> None:
        """One subtask after the other, each waited for to its end: its own, or the run's.

        What an earlier claim handed out is seen through first, so that no two run at once after a takeover either.
        """
        async with self.gate:
            left = self.queued.keys() - self.ended.keys()
            await self._publish(left)
            await self._wait(left)
            for subtask in subtasks:
                if subtask.subtask_id not in self.ended:
                    await self._queue([subtask])
                    await self._wait({subtask.subtask_id})

    async def _queue(self, subtasks: Sequence[Subtask]) -> None:
        """Log the new ones, then publish what has not ended; a second copy of a message is harmless."""
        new = [subtask for subtask in subtasks if subtask.subtask_id not in self.queued]
        if new:
            events = [SubagentQueued.model_validate(subtask.model_dump()) for subtask in new]
            last = await self.log.append(self.run_id, events, self.fence)
            first = last - len(new) + 1
            self.queued |= {subtask.subtask_id: first + place for place, subtask in enumerate(new)}
            self.prompts |= {subtask.subtask_id: " ".join(subtask.prompt.split()) for subtask in new}
        await self._publish({subtask.subtask_id for subtask in subtasks} - self.ended.keys())

    async def _publish(self, names: Collection[str]) -> None:
        await run_all(self.producer.publish(self.run_id, name, self.queued[name], self.deadline) for name in names)

    async def _wait(self, wanted: set[str]) -> None:
        clock = asyncio.get_running_loop().time
        enough_since: float | None = None
        while wanted - self.ended.keys():
            share = len(wanted & self.ended.keys()) / len(wanted)
            enough_since = enough_since or (clock() if share >= self.quorum.share else None)
            left = _POLL_S if enough_since is None else enough_since + self.quorum.grace_s - clock()
            if left <= 0:
                return
            await self.take_note(await self.log.wait(self.run_id, self.seen, seconds=min(_POLL_S, left)))

    async def _pass_on(self, event: SubagentCompleted) -> None:
        rows = self.rows.read(event.subtask_id, event.report)
        if rows:
            await self.log.append(self.run_id, rows, self.fence)


def _report(subtask_id: str, end: SubagentEnd | None) -> SubagentReport:
    if isinstance(end, SubagentCompleted):
        return SubagentReport(subtask_id=subtask_id, text=end.report, stop_reason=end.stop_reason)
    if isinstance(end, SubagentFailed):
        text = f"This subtask could not be worked on: {end.error.message}. It may be handed out again."
    elif isinstance(end, SubagentCancelled):
        text = "This subtask was cancelled."
    else:
        text = "This subagent is late: it has not reported yet."
    return SubagentReport(subtask_id=subtask_id, text=text, stop_reason=None)


def _outage(failed: SubagentFailed) -> UpstreamError:
    service = failed.error.service or ""
    kind = _OUTAGES.get(service)
    if kind is None:
        raise ContractViolation(f"subtask {failed.subtask_id} names an unknown service {service!r}")
    return kind(failed.error.message)
