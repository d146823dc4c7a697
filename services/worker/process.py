"""The worker process: how it stops.

SIGTERM, SIGINT and SIGQUIT mean the same: a soft stop (celery.apps.worker, `on_cold_shutdown`).
Celery's warm stop is out of reach on purpose: it would wait for long subagents while the lease is
no longer renewed, and their messages would be delivered a second time.
"""

import time
from functools import partial

from celery.apps import worker as celery_worker
from celery.platforms import EX_OK
from celery.worker import state

_POLL_S = 0.05
_again = partial(celery_worker.install_worker_term_hard_handler, exitcode=EX_OK, verbose=False)


class WorkerProcess(celery_worker.Worker):  # type: ignore[misc]
    """Celery's worker with one way to stop. Its exit code after a soft stop is 0."""

    @property
    def exit_code(self) -> int:
        """0 after a requested stop, Celery's code after an error."""
        return int(self.exitcode or EX_OK)

    def install_platform_tweaks(self, worker: "WorkerProcess") -> None:
        """Celery's signal handlers, then ours over them."""
        super().install_platform_tweaks(worker)
        for signal in ("SIGTERM", "SIGINT", "SIGQUIT"):
            _again(worker, sig=signal, callback=_stop_softly)

    def wait_for_soft_shutdown(self) -> None:
        """Take nothing new, then give what runs the soft timeout; less when all of it ends sooner.

        Celery's own sleeps the whole timeout and goes on consuming: a message popped while the
        loop sleeps would wait in a socket, and be lost if the process were killed there.
        """
        if self.consumer.task_consumer:
            celery_worker.ignore_errors(self.consumer, self.consumer.task_consumer.cancel)
        deadline = time.monotonic() + self.app.conf.worker_soft_shutdown_timeout
        while state.reserved_requests and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def _stop_softly(worker: WorkerProcess) -> None:
    # Told again: cancel at once; a third time: Celery's hard stop.
    _again(worker, sig="SIGTERM", callback=celery_worker.during_soft_shutdown)
    celery_worker.on_cold_shutdown(worker)
