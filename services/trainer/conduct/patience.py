"""Outages are sat out: the job waits, says what for, and ends only when its patience does."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from services.kit.logs import get_logger
from services.trainer.conduct.stop import StopSign
from wideseek.errors import UpstreamError

T = TypeVar("T")
log = get_logger(__name__)


def _nothing(_: str) -> None:
    pass


@dataclass(frozen=True)
class Patience:
    """How long, and how often is tried."""

    stop: StopSign
    """Whoever waits notices when the job is to end."""
    seconds: float = 3_600
    """From the first failure on; an outage that lasts longer ends the job, which can be resumed."""
    first_s: float = 1.0
    """Pause after the first failure; each further one doubles it."""
    longest_s: float = 30.0
    say: Callable[[str], None] = _nothing
    """Told what is waited for, and told nothing ("") once that is over."""

    def pause(self, failures: int) -> float:
        """Seconds after so many failures in a row, counted from 1."""
        return float(min(self.longest_s, self.first_s * 2 ** min(failures - 1, 30)))

    async def sit_out(self, work: Callable[[], Awaitable[T]], what: str) -> T:
        """Do `work` until it succeeds.

        Raises its `UpstreamError` when that is not retryable or patience is over, `Stopped` when the job is to end.
        """
        failures, since = 0, time.monotonic()
        while True:
            try:
                done = await work()
            except UpstreamError as outage:
                failures += 1
                since = time.monotonic() if failures == 1 else since
                log.warning("job_waits", what=what, service=outage.service, error=str(outage), failures=failures)
                if not outage.retryable or time.monotonic() - since > self.seconds:
                    raise
                self.say(f"waiting to {what}: {outage.service}: {outage}")
            else:
                if failures:
                    log.info("job_goes_on", what=what, waited_s=round(time.monotonic() - since, 1))
                    self.say("")
                return done
            await self.stop.or_done(asyncio.sleep(self.pause(failures)))
