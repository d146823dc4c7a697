"""Threads for the service's CPU work, so that the event loop only ever waits."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from services.retrieval.metrics import Metrics
from wideseek.errors import RetrievalUnavailable

T = TypeVar("T")


class WorkPool:
    """At most `slots` pieces of work at a time, at most `max_queue` waiting."""

    def __init__(self, slots: int, max_queue: int, metrics: Metrics) -> None:
        self._slots, self._max_queue, self._metrics = slots, max_queue, metrics
        self._threads = ThreadPoolExecutor(slots, thread_name_prefix="retrieval")
        self._submitted = 0
        metrics.slots.set(slots)

    async def run(self, work: Callable[[], T]) -> T:
        """Do `work` in a thread. Raises `RetrievalUnavailable` when too much is waiting already."""
        if self._submitted >= self._slots + self._max_queue:
            raise RetrievalUnavailable(f"{self._submitted} requests are waiting or being worked on; come back later")
        self._count(1)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._submitted += change
        self._metrics.in_flight.set(min(self._submitted, self._slots))
        self._metrics.queue_depth.set(max(0, self._submitted - self._slots))

    def close(self) -> None:
        """Let running work end; drop what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)
