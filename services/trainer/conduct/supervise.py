"""A learner that is started again when it dies: it goes on from the last committed step by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Self, TypeVar

from services.kit.logs import get_logger
from services.trainer.conduct.ports import Learning
from services.trainer.conduct.stop import Stopped, StopSign
from services.trainer.folder import LearnerReport, ScoreRow
from wideseek.errors import TrainerUnavailable

T = TypeVar("T")
log = get_logger(__name__)


class LearnerLost(TrainerUnavailable):
    """The learner died again and again over the same request."""

    retryable = False


class Supervised:
    """The learner, whichever process it is. Use as an async context manager."""

    def __init__(
        self,
        start: Callable[[], AbstractAsyncContextManager[Learning]],
        stop: StopSign,
        *,
        restarts: int = 5,
        pause_s: float = 2.0,
    ) -> None:
        """`restarts`: how often over one request; each pause is twice the one before."""
        self._start = start
        self._stop = stop
        self._restarts = restarts
        self._pause_s = pause_s
        self._stack = AsyncExitStack()
        self._learner: Learning | None = None

    async def __aenter__(self) -> Self:
        self._learner = await self._stack.enter_async_context(self._start())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def trained(self, step: int) -> LearnerReport:
        """As `Learning.trained`. Raises `LearnerLost`, or `Stopped` when the job is to end."""
        return await self._asked(lambda learner: learner.trained(step))

    async def score(self, rows: Sequence[ScoreRow], *, step: int) -> list[tuple[float, ...]]:
        """As `Learning.score`. Raises `LearnerLost`, or `Stopped` when the job is to end."""
        return await self._asked(lambda learner: learner.score(rows, step=step))

    async def _asked(self, ask: Callable[[Learning], Awaitable[T]]) -> T:
        deaths = 0
        while True:
            if self._learner is None:
                raise TrainerUnavailable("the learner was not started")
            try:
                return await ask(self._learner)
            except TrainerUnavailable as death:
                deaths += 1
                if self._stop.is_up:
                    # A learner ends by itself when it sees the stop file.
                    raise Stopped from death
                if not death.retryable:
                    raise
                if deaths > self._restarts:
                    raise LearnerLost(f"{death} (started {deaths} times)") from death
                log.warning("learner_died", error=str(death), deaths=deaths)
            await asyncio.sleep(self._pause_s * 2 ** (deaths - 1))
            await self._stack.aclose()
            self._learner = await self._stack.enter_async_context(self._start())
