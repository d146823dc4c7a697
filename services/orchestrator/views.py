"""Runs as the API shows them: the log, folded."""

import time
from collections import OrderedDict

from services.kit.runlog import RunLog
from services.orchestrator.fold import RunFold
from wideseek.contracts import Run
from wideseek.errors import RunNotFound

_BATCH = 100
"""Events read at a time: a long log must not hold up the event loop in one piece."""


class RunViews:
    """Folds of recent runs, kept so that a poll reads only what is new."""

    def __init__(self, log: RunLog, *, waits: RunLog | None = None, capacity: int = 256) -> None:
        self._log = log
        self._waits = waits or log
        self._capacity = capacity
        self._folds: OrderedDict[str, RunFold] = OrderedDict()

    async def get(self, run_id: str) -> RunFold:
        """The run up to now. Raises `RunNotFound` and `QueueUnavailable`."""
        fold = self._folds.get(run_id)
        if fold is None:
            fold = RunFold(await self._log.created(run_id))
        await self._catch_up(run_id, fold)
        self._folds[run_id] = fold
        self._folds.move_to_end(run_id)
        while len(self._folds) > self._capacity:
            self._folds.popitem(last=False)
        return fold

    async def run(self, run_id: str) -> Run:
        """The run object up to now. Raises as `get` does."""
        return (await self.get(run_id)).run()

    async def ended(self, run_id: str, *, seconds: float) -> Run:
        """The run object once the run has ended or `seconds` have passed."""
        deadline = time.monotonic() + seconds
        fold = await self.get(run_id)
        while not fold.status.terminal and (left := deadline - time.monotonic()) > 0:
            fold.add_all(await self._waits.wait(run_id, fold.last_seq, seconds=left))
        return fold.run()

    async def _catch_up(self, run_id: str, fold: RunFold) -> None:
        """Read on from the last event seen; that one is read again, to notice a log that has expired.

        Others may carry the same fold on while we wait for Redis: what counts is where we began.
        """
        while True:
            seen = fold.last_seq
            batch = await self._log.read(run_id, max(0, seen - 1), count=_BATCH)
            if not batch or (seen and batch[0].seq != seen):
                self._folds.pop(run_id, None)
                raise RunNotFound(f"no run {run_id}, or its log has expired")
            fold.add_all(batch)
            if len(batch) < _BATCH:
                return
