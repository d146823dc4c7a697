"""The worker process: how it stops.

SIGTERM, SIGINT and SIGQUIT mean the same: a soft stop. The worker takes nothing new, what ends
within the soft timeout is acknowledged, the rest is cancelled, cleans up and goes back on the
queue. A second signal ends the waiting at once.

Celery's own soft stop does its work inside the signal handler: it sleeps there with the event loop
halted (no lease is renewed, no acknowledgement sent) and then waits for threads, which may need a
lock that the interrupted code holds. Here the handler takes a note, and a step of the consumer acts
on it between two turns of the loop. Celery's warm stop is out of reach: it would wait for long
subagents without renewing their lease.
"""

import signal
import time
from typing import Any

from celery import bootsteps
from celery.apps import worker as celery_worker
from celery.platforms import EX_OK
from celery.worker import state

_TICK_S = 0.1
_CLEANUP_S = 10.0
"""How long cancelled coroutines may clean up before the process goes without them."""


class Stop:
    """How often the process was told to stop, and whether somebody acts on it."""

    def __init__(self) -> None:
        self.asked = 0
        self.loop_lives = False
        self.draining = False
        """Whether the worker takes nothing new any more."""

    def ask(self, *_: object) -> None:
        """Signal handler. Without a consumer (the server is away) there is nothing to wait for."""
        self.asked += 1
        if not self.loop_lives:
            terminate()


def terminate() -> None:
    """Celery's loops end at their next look at this flag; whatever is unacknowledged goes back."""
    state.should_terminate = EX_OK


class Drain(bootsteps.StartStopStep):  # type: ignore[misc]
    """Consumer step that carries out a soft stop; the app carries its `Stop` as `stop_asked`."""

    requires = {"celery.worker.consumer.tasks:Tasks"}  # noqa: RUF012 - Celery's protocol

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._stop: Stop = parent.app.stop_asked
        self._timer: Any = None
        self._deadline: float | None = None
        self._cancelled_at: float | None = None

    def start(self, parent: Any) -> None:
        """Look out for a stop from now on; called again after a reconnect."""
        self._stop.loop_lives = True
        self._timer = parent.timer.call_repeatedly(_TICK_S, self.tick, (parent,))

    def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
        """The connection is lost or the worker ends: a stop that was asked for need not wait for it."""
        self._stop.loop_lives = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._stop.asked:
            terminate()

    def tick(self, parent: Any) -> None:
        """One step of a soft stop, if one was asked for."""
        if not self._stop.asked:
            return
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + parent.app.conf.worker_soft_shutdown_timeout
            parent.task_consumer.cancel()
            self._stop.draining = True
        busy = bool(state.reserved_requests) or parent.pool.in_flight > 0
        if busy and self._cancelled_at is None and (now >= self._deadline or self._stop.asked > 1):
            self._cancelled_at = now
            parent.cancel_active_requests()
        elif not busy or (self._cancelled_at is not None and now >= self._cancelled_at + _CLEANUP_S):
            # One more turn of the loop sends the acknowledgements that the last threads left.
            parent.hub.call_soon(terminate)


class WorkerProcess(celery_worker.Worker):  # type: ignore[misc]
    """Celery's worker with one way to stop. Its exit code after a soft stop is 0."""

    @property
    def exit_code(self) -> int:
        """0 after a requested stop, Celery's code after an error."""
        return int(self.exitcode or EX_OK)

    def install_platform_tweaks(self, worker: "WorkerProcess") -> None:
        """Celery's signal handlers, then ours over them."""
        super().install_platform_tweaks(worker)
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(name, self.app.stop_asked.ask)
