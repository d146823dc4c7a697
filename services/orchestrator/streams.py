"""A run's log as server-sent events (WHATWG HTML, "Server-sent events")."""

from collections.abc import AsyncIterator

from prometheus_client import Gauge

from services.kit.logs import get_logger
from services.kit.runlog import RunLog
from services.kit.sse import RETRY_MS, frame
from services.orchestrator.fold import RunFold
from wideseek.errors import QueueUnavailable, UpstreamError
from wideseek.events import Logged, RunCancelled, RunCompleted, RunFailed, RunIncomplete

_log = get_logger(__name__)


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
