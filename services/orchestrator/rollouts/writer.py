"""Writing the rollout of a run that opted in: sealed in the log, then the object, then the index, then the run's end.

Whoever dies in between is followed by a replica that finds the seal and writes the same object again, which changes
nothing.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter

from services.kit.facts import persevere
from services.kit.logs import get_logger
from services.kit.rollouts.entry import UNASSIGNED, StoredRollout
from services.kit.runlog import Fence, RunLog
from services.orchestrator.rollouts.build import build_rollout
from wideseek.errors import ContractViolation, StoreUnavailable
from wideseek.events import (
    Logged,
    RolloutSealed,
    RunCancelled,
    RunCreated,
    RunFailed,
    TerminalEvent,
)
from wideseek.rollout import Rollout

_log = get_logger(__name__)


class Store(Protocol):
    """Where rollouts lie. Raises `StoreUnavailable` when it cannot be reached."""

    def put(self, rollout: Rollout, job_id: str = UNASSIGNED) -> StoredRollout:
        """Write a rollout; one that stands there already, with the same content, is left alone."""
        ...


class Index(Protocol):
    """What there is in the store. Raises `QueueUnavailable` when Redis is down."""

    async def add(self, entry: StoredRollout) -> object:
        """Make a rollout known; twice is harmless."""
        ...


def written_counter(registry: CollectorRegistry) -> Counter:
    """Counts the rollouts that a replica has written."""
    return Counter("wideseek_rollouts_written_total", "Rollouts written to the store.", ["status"], registry=registry)


@dataclass(frozen=True)
class RolloutWriter:
    """Writes rollouts, and gives the ends of runs their names."""

    log: RunLog
    open_store: Callable[[], Store]
    """Opens the store, or gives the one that is open; called from a thread of its own."""
    index: Index
    patience_s: float = 30
    """Seconds of an outage of the store that a run sits out before it fails."""
    written: Counter | None = None

    async def close(self, created: RunCreated, end: TerminalEvent, fence: Fence) -> TerminalEvent:
        """The event to end a run with: naming its rollout, once that stands in store and index.

        A run that did not opt in, or was cancelled, has none. What an earlier claim has sealed is what counts.
        Raises `StoreUnavailable`, `QueueUnavailable` and `LeaseLost`.
        """
        if not created.request.training.opt_in or isinstance(end, RunCancelled):
            return end
        history = await self.log.read(created.run_id)
        if sealed_in(history) is None:
            await self.log.append(created.run_id, [RolloutSealed(end=end)], fence)
            history += await self.log.read(created.run_id, history[-1].seq)
        return await self._written(created, history)

    async def fail(self, created: RunCreated, end: RunFailed, fence: Fence) -> RunFailed:
        """The end of a run that the cluster failed: with a rollout of what there is, if it can be written.

        A run whose rollout was sealed fails because of the rollout, so that is not tried again.
        Raises `QueueUnavailable` and `LeaseLost`.
        """
        if not created.request.training.opt_in or end.error.service == StoreUnavailable.service:
            return end
        if sealed_in(await self.log.read(created.run_id)) is not None:
            return end
        try:
            closed = await self.close(created, end, fence)
        except (StoreUnavailable, ContractViolation) as problem:
            _log.warning("rollout_not_written", run_id=created.run_id, error=str(problem))
            return end
        return closed if isinstance(closed, RunFailed) else end

    async def sealed(self, created: RunCreated, history: list[Logged]) -> TerminalEvent | None:
        """The end that an earlier claim sealed, its rollout written; None when nothing is sealed. Raises as `close`."""
        return None if sealed_in(history) is None else await self._written(created, history)

    async def _written(self, created: RunCreated, history: list[Logged]) -> TerminalEvent:
        seal = sealed_in(history)
        assert seal is not None
        place, sealed = seal
        before = [logged for logged in history if logged.seq < place]
        rollout = await asyncio.to_thread(build_rollout, created, before, sealed)
        if rollout is None:
            return sealed.end
        job_id = created.request.training.job_id or UNASSIGNED

        def put() -> StoredRollout:
            return self.open_store().put(rollout, job_id)

        async def attempt() -> StoredRollout:
            return await asyncio.to_thread(put)

        stored = await persevere(attempt, patience_s=self.patience_s, progress=lambda: 0)
        await self.index.add(stored)
        if self.written is not None:
            self.written.labels(rollout.status.value).inc()
        return sealed.end.model_copy(update={"rollout_id": rollout.rollout_id})


def sealed_in(history: list[Logged]) -> tuple[int, RolloutSealed] | None:
    """The event that sealed a run's rollout, with its number; there is at most one that counts, the first."""
    return next(((logged.seq, logged.event) for logged in history if isinstance(logged.event, RolloutSealed)), None)
