"""`python -m services.worker.main`: the composition root of a worker process."""

import asyncio
import os
import socket
import sys
from concurrent.futures import Future, wait
from functools import partial

from pydantic import ValidationError
from uvicorn import Server

from services.kit.http import server
from services.kit.keys import Keys
from services.kit.logs import configure_logs, get_logger
from services.kit.redis import connect
from services.kit.runlog import RunLog
from services.worker.app import WorkerApp, create_celery, register, run_worker
from services.worker.door import WorkerDoor, watch_cancellations
from services.worker.metrics import WorkerMetrics
from services.worker.settings import WorkerSettings
from services.worker.subagent import SubagentDesk
from wideseek.clients.engines import Engines
from wideseek.clients.model import model_http
from wideseek.clients.retrieval import RetrievalClient, retrieval_http

log = get_logger(__name__)

_CLOSE_S = 10
"""Seconds the door gets to close."""


async def _open(settings: WorkerSettings, app: WorkerApp, worker: str) -> WorkerDoor:
    """Open, on the agents' loop, all that subagents work with, and take up the one task."""
    keys = Keys(settings.env)
    redis = connect(settings.redis_url, max_connections=settings.slots + 64)
    metrics = WorkerMetrics()
    metrics.slots.set(settings.slots)
    metrics.in_flight.set_function(lambda: app.agent_loop.in_flight)
    key = settings.model_api_key.get_secret_value() if settings.model_api_key else None
    engines = Engines(
        model_http(settings.model_url, api_key=key),
        on_violation=metrics.violations.inc,
        context_tokens=settings.model_context_tokens,
    )
    retrieval = retrieval_http(settings.retrieval_url)
    desk = SubagentDesk(
        log=RunLog(redis, keys, retention_s=int(settings.retention_days * 86_400)),
        engines=engines,
        retrieval=partial(RetrievalClient.of_run, retrieval),
        metrics=metrics,
        worker=worker,
        max_attempts=settings.max_attempts,
        max_turns=settings.max_turns,
        max_items=settings.max_items,
        patience_s=settings.patience_s,
    )
    register(app, desk.work_on)
    return WorkerDoor(app, redis, keys, metrics, worker)


async def _serve(http: Server, door: WorkerDoor) -> None:
    """The door, with the heartbeat and the watcher beside it, until `http` is told to exit."""
    beside = [
        asyncio.ensure_future(door.beat()),
        asyncio.ensure_future(watch_cancellations(door.app, door.redis, door.keys)),
    ]
    try:
        await http.serve()
    finally:
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
        await door.leave()


def main() -> int:
    """Work until told to stop; the exit code comes back."""
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        sys.stderr.write(f"worker: {error}\n")
        return 2
    configure_logs("worker", settings.log_level)
    worker = f"{socket.gethostname()}.{os.getpid()}"
    app = create_celery(
        settings.redis_url,
        env=settings.env,
        slots=settings.slots,
        visibility_timeout_s=settings.visibility_timeout_s,
        lease_interval_s=settings.lease_interval_s,
        soft_shutdown_timeout_s=settings.soft_shutdown_timeout_s,
    )
    door = app.agent_loop.call(_open(settings, app, worker)).result()
    http = server(door.http(), host=settings.host, port=settings.port)
    serving = app.agent_loop.call(_serve(http, door))
    log.info("worker_starting", worker=worker, slots=settings.slots)
    return run_worker(app, log_level=settings.log_level, closing=partial(_close, http, serving))


def _close(http: Server, serving: "Future[None]") -> None:
    """Close the door and take the heartbeat back, while the loop still runs."""
    http.should_exit = True
    wait([serving], _CLOSE_S)


if __name__ == "__main__":
    sys.exit(main())
