"""Held-out tasks, asked of fixed versions beside the training; a line of `metrics.jsonl` each time."""

import asyncio
import time
from collections.abc import Callable

from services.kit.logs import get_logger
from services.trainer.conduct.lines import MetricsLines
from services.trainer.conduct.patience import Patience
from services.trainer.conduct.ports import Evaluating
from services.trainer.metrics.record import Interval, StepMetrics
from wideseek.errors import WideseekError

log = get_logger(__name__)


def _forget(_: Interval) -> None:
    pass


class HeldOut:
    """Evaluations of one job: of the version it begins with, every N steps, and of the last one."""

    def __init__(
        self,
        evaluating: Evaluating,
        *,
        every: int,
        last: int,
        patience: Patience,
        keep: Callable[[Interval], None] = _forget,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`keep` is told every score, too; it may block."""
        self._evaluating = evaluating
        self._every = every
        self._last = last
        self._patience = patience
        self._keep = keep
        self._clock = clock
        self._due: asyncio.Queue[tuple[int, int]] = asyncio.Queue()

    def consider(self, step: int, version: int) -> None:
        """Have the version evaluated that is in service after `step`, if one is due then."""
        if step % self._every == 0 or step == self._last:
            self._due.put_nowait((step, version))

    async def run(self, lines: MetricsLines) -> None:
        """Evaluate what is due, one version at a time and none twice, until cancelled."""
        while True:
            step, version = await self._due.get()
            try:
                if version not in lines.evaluated:
                    await self._evaluate(step, version, lines)
            finally:
                self._due.task_done()

    async def finished(self) -> None:
        """Wait until nothing is due any more."""
        await self._due.join()

    async def _evaluate(self, step: int, version: int, lines: MetricsLines) -> None:
        """An evaluation that cannot be had is told in the log and leaves no line: an outage is no score."""
        try:
            scores = await self._patience.sit_out(lambda: self._evaluating.evaluate(version), "evaluate")
            for score in scores:
                await asyncio.to_thread(self._keep, score)
        except (WideseekError, OSError) as error:
            log.error("evaluation_failed", step=step, version=version, error=str(error))  # noqa: TRY400  # told whole
            return
        lines.append(StepMetrics(step=step, at=self._clock(), policy_version=version, evaluation=scores))
