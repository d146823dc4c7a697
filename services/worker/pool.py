"""Celery's pool for agents: parked threads, one event loop.

Every slot is a thread that runs Celery's own tracer and waits for a coroutine on the `AgentLoop`,
so acknowledgements, signals and instrumentation work as in any pool, and cancelling reaches the
coroutine. A parked thread costs about 0.1 MB.

Take it by class (`worker_pool="services.worker.pool:TaskPool"`, as `create_celery` does) or by
`CELERY_CUSTOM_WORKER_POOL=services.worker.pool:TaskPool celery … worker -P custom`.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery.concurrency.base import BasePool, apply_target

from services.worker.loop import AgentLoop, Job, current_job


class Handle:
    """What Celery holds of a job; it asks for `terminate` when a request is revoked or the worker stops."""

    def __init__(self, job: Job, loop: AgentLoop) -> None:
        self.job = job
        self._loop = loop

    def terminate(self, signal: int | None = None) -> None:  # noqa: ARG002 - a coroutine takes no signals
        """Cancel the coroutine; the message goes back unless the user's cancel was recorded."""
        self._loop.cancel_job(self.job, "stopping")


class TaskPool(BasePool):  # type: ignore[misc]
    """A fixed number of slots over one event loop, which the app carries as `agent_loop`."""

    signal_safe = False
    body_can_be_buffer = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._loop: AgentLoop = getattr(self.app, "agent_loop", None) or AgentLoop()
        self._executor = ThreadPoolExecutor(max_workers=self.limit, thread_name_prefix="slot")
        self._handles: dict[int, Handle] = {}
        self._ids = itertools.count(1)
        self._stopped = False

    @property
    def in_flight(self) -> int:
        """How many slots are taken."""
        return len(self._handles)

    def on_apply(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        correlation_id: str = "",
        soft_timeout: float | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> Handle:
        """Take a slot for one delivery; `correlation_id` is Celery's task id, timeouts are seconds."""
        job = Job(next(self._ids), correlation_id, soft_timeout, timeout)
        handle = Handle(job, self._loop)
        if self._stopped:
            # The stop came between receiving and running: kombu puts the message back as it closes.
            return handle
        self._handles[job.id] = handle
        future = self._executor.submit(_perform, job, target, args, kwargs, callback, accept_callback)
        future.add_done_callback(lambda _: self._handles.pop(job.id, None))
        return handle

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """Celery's way of cancelling one job; `pid` is the job id that its acceptance named."""
        handle = self._handles.get(pid)
        if handle is not None:
            handle.terminate(signal)

    def on_stop(self) -> None:
        """Cancel what still runs and wait for every thread.

        Without the wait a message would be put back while its task still ends; without the cancel
        a long subagent would run on with nobody renewing its lease.
        """
        self._cancel_all()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def on_terminate(self) -> None:
        """Cancel everything and wait for nothing."""
        self._cancel_all()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _cancel_all(self) -> None:
        self._stopped = True
        for handle in list(self._handles.values()):
            handle.terminate()

    def _get_info(self) -> dict[str, Any]:
        return {**super()._get_info(), "in-flight": self.in_flight}


def _perform(
    job: Job,
    target: Callable[..., Any],
    args: tuple[Any, ...] | None,
    kwargs: dict[str, Any] | None,
    callback: Callable[..., Any] | None,
    accept_callback: Callable[..., Any] | None,
) -> None:
    token = current_job.set(job)
    try:
        apply_target(target, args, kwargs, callback, accept_callback, pid=job.id)
    finally:
        current_job.reset(token)
