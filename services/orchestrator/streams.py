"""A run's log as server-sent events (WHATWG HTML, "Server-sent events")."""

import json
from collections.abc import AsyncIterator
from typing import Any

from prometheus_client import Gauge

from services.kit.logs import get_logger
from services.kit.runlog import RunLog
from services.orchestrator.fold import RunFold
from wideseek.errors import QueueUnavailable, UpstreamError
from wideseek.events import Logged, RunCancelled, RunCompleted, RunFailed, RunIncomplete

_log = get_logger(__name__)

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Proxies must neither keep nor hold back a stream."""

RETRY_MS = 3_000
"""How long a client waits before it connects again."""


def frame(event: str, data: dict[str, Any], seq: int | None = None) -> str:
    """One event on the wire; without `seq` it leaves the client's cursor where it was."""
    number = f"id: {seq}\n" if seq is not None else ""
    return f"{number}event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


def logged_frame(logged: Logged) -> str:
    """A fact of the run on the wire."""
    return frame(logged.event.type, logged.public(), logged.seq)


def broken_frame(outage: UpstreamError) -> str:
    """The last event of a stream that broke."""
    said = {"type": "error", "code": "upstream-unavailable", "service": outage.service, "message": str(outage)}
    return frame("error", {**said, "retryable": True})


async def event_stream(
    log: RunLog, run_id: str, fold: RunFold, after: int, *, ping_s: float, clients: Gauge
) -> AsyncIterator[str]:
    """The run's events numbered above `after`, live, to the event that ends the run.

    A cursor beyond the log (Redis lost its last moments) is moved back to the newest event.
    """
    with clients.track_inprogress():
        latest, terminal_seq = fold.last_seq, fold.terminal_seq
        after = min(after, latest)
        opened = {"type": "stream.opened", "after": after, "latest": latest}
        yield f"retry: {RETRY_MS}\n" + frame("stream.opened", opened)
        if terminal_seq is not None and after >= terminal_seq:
            return
        try:
            async for batch in log.follow(run_id, after, poll_s=ping_s):
                if not batch:
                    yield ": ping\n\n"
                for logged in batch:
                    yield logged_frame(logged)
                    if isinstance(logged.event, RunCompleted | RunIncomplete | RunFailed | RunCancelled):
                        return
        except QueueUnavailable as outage:
            _log.warning("stream_broken", run_id=run_id, error=str(outage))
            yield broken_frame(outage)
