"""The Celery application of a worker: delivery guarantees as settings, and the process around it."""

import os
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

from celery import Celery, signals

from services.kit.queue import COMMON_SETTINGS, DEADLINE, ENQUEUED_AT, QUEUE, TASK_NAME, Delivery, transport_options
from services.worker.lease import Lease, LeaseRenewal
from services.worker.loop import AgentLoop, current_job
from services.worker.process import Drain, Stop, WorkerProcess

DEADLINE_GRACE_S = 5.0
"""How long after its deadline a subagent may still report; it is expected to keep the deadline itself."""

_SPARE_CONNECTIONS = 50
_POOL = "services.worker.pool:TaskPool"
_TRANSPORT = "services.worker.transport:Transport"


class WorkerApp(Celery):  # type: ignore[misc]
    """A Celery app that carries what the pool and the consumer steps share."""

    agent_loop: AgentLoop
    lease: Lease
    stop_asked: Stop
    slots: int


def create_celery(
    broker_url: str,
    *,
    env: str,
    slots: int,
    visibility_timeout_s: float = 90,
    lease_interval_s: float = 15,
    soft_shutdown_timeout_s: float = 45,
) -> WorkerApp:
    """An app whose messages are run at least once and, while their worker lives, by one worker only.

    Raises ValueError unless `visibility_timeout_s > soft_shutdown_timeout_s + 2 * lease_interval_s`:
    then a worker that hangs while it stops keeps its messages for the soft timeout and no longer.
    """
    _check_times(visibility_timeout_s, lease_interval_s, soft_shutdown_timeout_s)
    app = WorkerApp("wideseek.worker", broker=broker_url, set_as_current=False)
    app.agent_loop, app.lease, app.stop_asked, app.slots = AgentLoop(), Lease(lease_interval_s), Stop(), slots
    app.conf.update(
        COMMON_SETTINGS,
        broker_transport_options=transport_options(
            env, max_connections=slots + _SPARE_CONNECTIONS, visibility_timeout_s=visibility_timeout_s
        ),
        broker_transport=_TRANSPORT,
        task_acks_late=True,
        worker_pool=_POOL,
        worker_concurrency=slots,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        worker_soft_shutdown_timeout=soft_shutdown_timeout_s,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_enable_remote_control=True,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    app.steps["consumer"].update({LeaseRenewal, Drain})
    return app


def _check_times(visibility_timeout_s: float, lease_interval_s: float, soft_shutdown_timeout_s: float) -> None:
    needed = soft_shutdown_timeout_s + 2 * lease_interval_s
    if visibility_timeout_s <= needed:
        raise ValueError(
            f"visibility timeout must exceed soft shutdown timeout + 2 × lease interval: "
            f"{visibility_timeout_s:g} s <= {soft_shutdown_timeout_s:g} s + 2 × {lease_interval_s:g} s"
        )


def register(app: WorkerApp, run: Callable[[Delivery], Coroutine[Any, Any, None]]) -> None:
    """Make `run` the one task: it gets each delivery on the app's loop.

    `run` counts attempts itself: a delivery that ends in an unexpected error, or kills its
    process, is delivered again. How a coroutine may end: see `services.worker.loop`. A delivery
    still running `DEADLINE_GRACE_S` after its deadline is cancelled and acknowledged.
    """

    def deliver(task: Any, run_id: str, subtask_id: str, queued_seq: int) -> None:
        headers = task.request.headers or {}
        delivery = Delivery(run_id, subtask_id, queued_seq, headers.get(ENQUEUED_AT), headers.get(DEADLINE))
        _bound(delivery)
        app.agent_loop.run(run(delivery), task.request.id)

    app.task(deliver, name=TASK_NAME, bind=True, acks_late=True, ignore_result=True)


def _bound(delivery: Delivery) -> None:
    """Turn the deadline of the message into the soft limit of this thread's job."""
    job = current_job.get()
    if job is not None and delivery.deadline is not None:
        left = max(0.0, delivery.deadline + DEADLINE_GRACE_S - time.time())
        job.soft_timeout_s = left if job.soft_timeout_s is None else min(left, job.soft_timeout_s)


def run_worker(
    app: WorkerApp, *, name: str = "subagents", log_level: str = "INFO", closing: Callable[[], None] | None = None
) -> int:
    """Work until told to stop; return the exit code. Call it from the main thread.

    `closing` is called when all work has ended and the agents' loop still runs.

    SIGTERM, SIGINT and SIGQUIT all stop softly: nothing new is taken, what ends within the soft
    timeout is acknowledged, the rest is cancelled and goes back on the queue.
    """
    signals.setup_logging.connect(_leave_logging_alone)
    worker = app.subclass_with_self(WorkerProcess)(
        hostname=f"{name}@{socket.gethostname()}.{os.getpid()}",
        queues=[QUEUE],
        pool_cls=app.conf.worker_pool,
        concurrency=app.slots,
        loglevel=log_level,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    if closing is not None:
        closing()
    app.agent_loop.stop()
    return int(worker.exit_code)


def _leave_logging_alone(**_: Any) -> None:
    """A receiver of `setup_logging` is all Celery asks for to keep its hands off the loggers."""
