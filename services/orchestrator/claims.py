"""A replica's part in the life of runs: claim them, work on them, end them, hand them over.

A replica may die at any moment and Redis may be away for a while; neither loses a run. What it writes
carries the number of its claim, so a replica that was taken for dead writes nothing more.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from services.kit.logs import get_logger
from services.kit.problems import classify
from services.kit.runlog import LEAD, Fence, RunLog
from services.orchestrator.cancels import cancelled_unstarted
from services.orchestrator.leases import Entry, Leases
from services.orchestrator.metrics import Metrics
from services.orchestrator.models import NoPolicies, PolicyNames, unpin
from services.orchestrator.rollouts.writer import RolloutWriter
from services.orchestrator.views import RunViews
from wideseek.contracts import RunError
from wideseek.errors import LeaseLost, QueueUnavailable, RunNotFound, UpstreamError, WideseekError
from wideseek.events import RunClaimed, RunFailed

_log = get_logger(__name__)

_BACKOFF_S = 0.5
_STOP_S = 5

WorkOnRun = Callable[[str, Fence, asyncio.Event], Awaitable[None]]
"""The lead's work on a claimed run, up to a terminal event written under the fence with `end`.

The event is set when the run is to be cancelled: then the work ends its agents and writes
`run.cancelled`. Raises `LeaseLost` when a newer claim has the run, `UpstreamError` for an outage.
"""


@dataclass
class Running:
    """A run this replica holds."""

    entry: Entry
    cancel: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    worked: bool = False
    """Whether the work is done and only the entry is left to take away."""


@dataclass(frozen=True)
class Limits:
    """How much a replica takes on."""

    max_runs: int
    max_claims: int
    lease_s: float


@dataclass(frozen=True)
class Closing:
    """What the end of a run takes besides its event."""

    rollouts: RolloutWriter | None = None
    """Writes what there is of a run that fails."""
    policies: PolicyNames = field(default_factory=NoPolicies)
    """Where the run's versions are pinned."""


class Claims:
    """Claims runs and keeps them until they have ended."""

    def __init__(
        self,
        log: RunLog,
        leases: Leases,
        views: RunViews,
        metrics: Metrics,
        work: WorkOnRun,
        *,
        replica: str,
        limits: Limits,
        closing: Closing | None = None,
    ) -> None:
        self._log = log
        self._leases = leases
        self._views = views
        self._metrics = metrics
        self._work = work
        self._replica = replica
        self._limits = limits
        self._closing = closing or Closing()
        self._running: dict[str, Running] = {}
        self._freed = asyncio.Event()

    async def run(self) -> None:
        """Claim and renew until cancelled; then stop the work and lay its runs down for others."""
        self._metrics.run_slots.set(self._limits.max_runs)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forever(self._renew))
                if self._limits.max_runs:
                    group.create_task(self._forever(self._take))
        finally:
            await self._stop()

    def cancel(self, run_id: str) -> None:
        """Tell the work on a run, if it is here, that the run is to be cancelled."""
        for running in self._running.values():
            if running.entry.run_id == run_id:
                running.cancel.set()

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step; an outage of Redis is waited out."""
        while not _told_to_stop():
            try:
                await step()
            except QueueUnavailable as outage:
                _log.warning("claims_wait_for_redis", error=str(outage))
                await asyncio.sleep(_BACKOFF_S)

    async def _take(self) -> None:
        """Fill the free slots, or wait for one."""
        free = self._limits.max_runs - len(self._running)
        if free <= 0:
            self._freed.clear()
            await self._freed.wait()
            return
        await self._leases.open()
        for entry in await self._leases.take(free, wait_s=min(1.0, self._limits.lease_s / 3)):
            if entry.entry_id not in self._running:
                self._start(Running(entry))

    def _start(self, running: Running) -> None:
        entry_id = running.entry.entry_id
        self._running[entry_id] = running
        self._metrics.runs_in_flight.set(len(self._running))
        running.task = asyncio.create_task(self._hold(running), name=f"run {running.entry.run_id}")
        running.task.add_done_callback(lambda task: self._forget(entry_id, task))

    def _forget(self, entry_id: str, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()):
            _log.error("hold_broke", entry_id=entry_id, exc_info=failure)
        self._running.pop(entry_id, None)
        self._metrics.runs_in_flight.set(len(self._running))
        self._freed.set()

    async def _renew(self) -> None:
        """Renew all leases, drop what others hold by now, look for cancel flags, give a sign of life."""
        for entry_id in await self._leases.renew(list(self._running)):
            lost = self._running.get(entry_id)
            if lost and lost.task and not lost.worked:
                _log.warning("lease_lost", run_id=lost.entry.run_id, reason="another replica has the run")
                lost.task.cancel()
        for running in list(self._running.values()):
            if not running.cancel.is_set() and await self._log.cancel_requested(running.entry.run_id):
                running.cancel.set()
        await self._leases.beat(slots=self._limits.max_runs, in_flight=len(self._running))
        await self._leases.tidy()
        await asyncio.sleep(self._limits.lease_s / 3)

    async def _stop(self) -> None:
        tasks = [running.task for running in self._running.values() if running.task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_S)
        try:
            await self._leases.lay_down()
        except QueueUnavailable as outage:
            _log.warning("runs_not_laid_down", error=str(outage))

    async def _hold(self, running: Running) -> None:
        """One run, from its claim until its entry has left the stream."""
        entry = running.entry
        with structlog.contextvars.bound_contextvars(run_id=entry.run_id):
            try:
                await self._log.created(entry.run_id)
                await self._work_on(running)
                running.worked = True
                run = await self._views.run(entry.run_id)
                if run.status.terminal:
                    await unpin(self._closing.policies, run)
                    await self._leases.finish(entry.entry_id)
                    self._metrics.ended(run)
                    _log.info("run_ended", status=run.status.value)
            except RunNotFound:
                _log.warning("run_expired")
                await self._leases.finish(entry.entry_id)
            except QueueUnavailable as outage:
                # The entry stays pending; once Redis is back and the lease over, somebody takes it again.
                _log.warning("run_laid_down", error=str(outage))

    async def _work_on(self, running: Running) -> None:
        """Claim the run and see it to its end, unless it has ended or somebody newer has it."""
        run_id = running.entry.run_id
        token = await self._log.claim(run_id, LEAD, limit=self._limits.max_claims)
        fence = Fence(LEAD, abs(token))
        try:
            if token < 0:
                message = f"given up after {self._limits.max_claims} claims: every replica that took the run went away"
                await self._fail(run_id, fence, RunError(code="given-up", message=message))
            elif token > 0:
                await self._work_under(running, fence)
        except LeaseLost as lost:
            _log.info("lease_lost", reason=str(lost))

    async def _work_under(self, running: Running, fence: Fence) -> None:
        run_id = running.entry.run_id
        requested_at = await self._log.cancel_requested(run_id)
        if requested_at is not None:
            running.cancel.set()
            if not (await self._views.get(run_id)).claimed:
                await self._log.append(run_id, [cancelled_unstarted(requested_at)], fence, end=True)
                return
        await self._log.append(run_id, [RunClaimed(replica=self._replica, claim=fence.token)], fence)
        _log.info("run_claimed", claim=fence.token)
        self._metrics.runs_taken_over.inc(1 if fence.token > 1 else 0)
        error = await self._worked(run_id, fence, running.cancel)
        if error is not None:
            await self._fail(run_id, fence, error)

    async def _worked(self, run_id: str, fence: Fence, cancel: asyncio.Event) -> RunError | None:
        """Why the work did not end the run, or None when it did."""
        task = asyncio.ensure_future(self._work(run_id, fence, cancel))
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            await asyncio.wait({task})
        # A bug in one run's work must not end the replica's other runs: looked at, not raised.
        failure = task.exception()
        if failure is None:
            ended = (await self._views.get(run_id)).status.terminal
            return None if ended else RunError(code="internal", message="the lead stopped without an end")
        if isinstance(failure, LeaseLost | QueueUnavailable):
            raise failure
        if isinstance(failure, WideseekError):
            service = failure.service if isinstance(failure, UpstreamError) else None
            message = f"{service}: {failure}" if service else str(failure)
            return RunError(code=classify(failure)[1], message=message, service=service)
        _log.error("work_broke", exc_info=failure)
        return RunError(code="internal", message=f"internal error ({type(failure).__name__})")

    async def _fail(self, run_id: str, fence: Fence, error: RunError) -> None:
        end = RunFailed(error=error)
        if self._closing.rollouts is not None:
            end = await self._closing.rollouts.fail(await self._log.created(run_id), end, fence)
        await self._log.append(run_id, [end], fence, end=True)
        _log.warning("run_failed", code=error.code, error=error.message)


def _told_to_stop() -> bool:
    """Whether this task was cancelled, even if a library swallowed the exception."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
