"""Asks the cluster for a rollout's run and waits for its end, however long an outage lasts.

What is sent again carries the same `Idempotency-Key`, so an orchestrator that was away gives back the run there is.
Who is no longer willing to wait cancels the call: a group does so when its time is over.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from services.kit.asking import Runs
from services.kit.logs import get_logger
from services.trainer.collect.tally import Tally
from wideseek.contracts import Run, RunRequest
from wideseek.errors import InvalidRequest, UpstreamError, WideseekError

T = TypeVar("T")

_CANCEL_S = 10.0
_PAUSE_S = 0.25

log = get_logger(__name__)


@dataclass(frozen=True)
class Pace:
    """How outages are sat out."""

    backoff_s: float = 2.0
    """Pause after the first failure; each further one doubles it."""
    longest_s: float = 30.0
    """Longest pause."""
    poll_s: float = 20.0
    """Seconds a request for a run's end is held open."""

    def pause(self, failures: int) -> float:
        """Seconds after so many failures in a row, counted from 1."""
        return float(min(self.longest_s, self.backoff_s * 2 ** min(failures - 1, 30)))

    async def persist(self, work: Callable[[], Awaitable[T]], what: str) -> T:
        """Do `work` until no `UpstreamError` is raised, nor a refusal that says it may pass."""
        failures = 0
        while True:
            try:
                return await work()
            except UpstreamError as outage:
                failures += 1
                log.warning("collect_outage", what=what, service=outage.service, error=str(outage), failures=failures)
            except InvalidRequest as refusal:
                if not refusal.retryable:
                    raise
                failures += 1
                log.warning("collect_refused_for_now", what=what, error=str(refusal), failures=failures)
            await asyncio.sleep(self.pause(failures))


class Asker:
    """Runs under way, `concurrency` at a time."""

    def __init__(self, runs: Runs, pace: Pace, tally: Tally, *, concurrency: int) -> None:
        self._runs = runs
        self._pace = pace
        self._tally = tally
        self._free = asyncio.Semaphore(concurrency)
        self._running: dict[tuple[str, int], str] = {}
        """Group id and index -> run."""

    async def ended(self, place: tuple[str, int], request: RunRequest, key: str) -> Run:
        """The run of this key once it has ended. Raises `RunNotFound`, or `InvalidRequest`."""
        async with self._free:
            with self._tally.running():
                run, _ = await self._pace.persist(lambda: self._runs.taken_in(request, key), "run")
                self._running[place] = run.id
                run_id = run.id
                while not run.status.terminal:
                    run = await self._pace.persist(lambda: self._polled(run_id), "run")
                del self._running[place]
        return run

    async def cancel(self, group_id: str | None = None) -> int:
        """Have the runs of a group (None: of all) stopped that nobody waits for any more; returns how many were."""
        places = [place for place in self._running if group_id in {None, place[0]}]
        for place in places:
            run_id = self._running.pop(place, None)
            if run_id is not None:
                with suppress(WideseekError, TimeoutError):
                    async with asyncio.timeout(_CANCEL_S):
                        await self._runs.cancel(run_id)
        return len(places)

    async def _polled(self, run_id: str) -> Run:
        run = await self._runs.get(run_id, wait=self._pace.poll_s)
        if not run.status.terminal:
            await asyncio.sleep(min(_PAUSE_S, self._pace.poll_s))
        return run
