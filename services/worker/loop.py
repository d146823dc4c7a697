"""Where subagents run: one event loop a process, in a thread of its own.

Celery's tracer runs on a parked pool thread and waits here for its coroutine. How the coroutine
ended decides what becomes of the message:

    returned, or raised UserCancelled           acknowledged
    a cancel by the user, recorded here         acknowledged (`Ignore`)
    over its time limit                         acknowledged, logged by Celery as a failure
    cancelled for any other reason              back on the queue (`Reject`)
    an unexpected error                         back on the queue (`Reject`), logged

Back on the queue is the safe default: a message must never be lost because a process stops. So
`run` counts on the task to count its attempts and to give up on a message that keeps failing.
"""

import asyncio
import itertools
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import uvloop
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded, TimeLimitExceeded

from services.kit.logs import get_logger

log = get_logger(__name__)

Why = Literal["user", "stopping"]
AgentTask = asyncio.Task[None]


class UserCancelled(Exception):
    """Raised by a subagent's coroutine that found its run cancelled: the message is done with."""


@dataclass(eq=False)
class Job:
    """One delivery in the pool. A message delivered twice is two jobs."""

    id: int
    task_id: str
    soft_timeout_s: float | None = None
    """After so long the coroutine is cancelled; its cleanup runs."""
    timeout_s: float | None = None
    """After so long its slot is freed, whether or not the coroutine has ended."""
    cancelled: Why | None = field(default=None, init=False)


current_job: ContextVar[Job | None] = ContextVar("current_job", default=None)
"""The job of this pool thread."""


class AgentLoop:
    """An event loop in a daemon thread, started by its first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._running: dict[Job, AgentTask | None] = {}
        self._anonymous = itertools.count(1)

    @property
    def in_flight(self) -> int:
        """How many coroutines run now."""
        return len(self._running)

    def run(self, coroutine: Coroutine[Any, Any, None], task_id: str) -> None:
        """Run to the end, on a pool thread; the module's table says what is raised."""
        job = current_job.get() or Job(-next(self._anonymous), task_id)
        done: Future[AgentTask | None] = Future()
        self.ensure().call_soon_threadsafe(self._start, coroutine, job, done)
        wait([done], job.timeout_s)
        if not done.done():
            self.cancel_job(job, "stopping")
            log.error("subagent_abandoned", task_id=task_id, timeout_s=job.timeout_s)
            raise TimeLimitExceeded(job.timeout_s)
        _settle(done.result(), job)

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> "Future[Any]":
        """Run something that is no delivery on this loop: opening clients, a watcher, a server."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.ensure())

    def cancel(self, task_id: str) -> int:
        """Record that the user cancelled this task, and cancel every delivery of it here; return how many."""
        return self._cancel_where(lambda job: job.task_id == task_id)

    def cancel_run(self, run_id: str) -> int:
        """The same for every subtask of a run (ids as `services.kit.queue.task_id` makes them)."""
        return self._cancel_where(lambda job: job.task_id.startswith(f"{run_id}/"))

    def _cancel_where(self, meant: Callable[[Job], bool]) -> int:
        jobs = [job for job in list(self._running) if meant(job)]
        for job in jobs:
            self.cancel_job(job, "user")
        return len(jobs)

    def cancel_job(self, job: Job, why: Why) -> None:
        """Cancel one delivery; a cancel by the user is never overruled by a stop."""
        if job.cancelled != "user":
            job.cancelled = why
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._interrupt, job)

    def ensure(self) -> asyncio.AbstractEventLoop:
        """The loop, started if it was not."""
        with self._lock:
            if self._loop is None:
                self._loop = uvloop.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="agents", daemon=True)
                self._thread.start()
            return self._loop

    def stop(self) -> None:
        """End the loop and its thread; what still runs is cancelled first."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(_cancel_others(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _start(self, coroutine: Coroutine[Any, Any, None], job: Job, done: "Future[AgentTask | None]") -> None:
        if job.cancelled is not None:
            coroutine.close()
            done.set_result(None)
            return
        task = asyncio.get_running_loop().create_task(_within(coroutine, job.soft_timeout_s))
        self._running[job] = task
        task.add_done_callback(partial(self._finish, job, done))

    def _interrupt(self, job: Job) -> None:
        task = self._running.get(job)
        if task is not None:
            task.cancel()

    def _finish(self, job: Job, done: "Future[AgentTask | None]", task: AgentTask) -> None:
        self._running.pop(job, None)
        done.set_result(task)


async def _within(coroutine: Coroutine[Any, Any, None], seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds) as budget:
            await coroutine
    except TimeoutError:
        if budget.expired():
            raise SoftTimeLimitExceeded(seconds) from None
        raise


def _settle(task: AgentTask | None, job: Job) -> None:
    """Turn the end of a coroutine into what Celery understands."""
    if task is None or task.cancelled():
        if job.cancelled == "user":
            raise Ignore
        raise Reject("the worker is stopping", requeue=True)
    error = task.exception()
    if error is None:
        return
    if isinstance(error, UserCancelled) or job.cancelled == "user":
        raise Ignore from error
    if isinstance(error, SoftTimeLimitExceeded):
        raise error
    log.error("subagent_failed_unexpectedly", task_id=job.task_id, exc_info=error)
    raise Reject(f"{type(error).__name__}: {error}", requeue=True) from error


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others)
