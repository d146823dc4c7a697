"""Cancelling: said once in the log, flagged for whoever works on the run, heard by every replica."""

import asyncio
import time
from collections.abc import Callable

from redis.asyncio import Redis

from services.kit.keys import Keys
from services.kit.logs import get_logger
from services.kit.redis import redis_errors
from services.kit.runlog import LEAD, Fence, RunLog
from services.orchestrator.views import RunViews
from wideseek.contracts import Run
from wideseek.errors import LeaseLost, QueueUnavailable
from wideseek.events import RunCancelled, RunCancelling

_log = get_logger(__name__)

_CANCEL = "cancel"
"""Owner of the one `run.cancelling` of a log."""
_LISTEN_S = 5
_BACKOFF_S = 0.5


async def request_cancel(log: RunLog, views: RunViews, run_id: str) -> Run:
    """Ask for a run to be cancelled; asking again, or of a run that has ended, changes nothing.

    A run that no replica has claimed is cancelled here and now. Raises `RunNotFound` and
    `QueueUnavailable`.
    """
    fold = await views.get(run_id)
    if fold.status.terminal:
        return fold.run()
    token = await log.claim(run_id, _CANCEL)
    if token:
        await _unless_lost(log, run_id, RunCancelling(), Fence(_CANCEL, token))
    requested_at = await log.request_cancel(run_id)
    fold = await views.get(run_id)
    if not fold.claimed and not fold.status.terminal and (token := await log.claim(run_id, LEAD)):
        await _unless_lost(log, run_id, cancelled_unstarted(requested_at), Fence(LEAD, token))
    return await views.run(run_id)


async def _unless_lost(log: RunLog, run_id: str, event: RunCancelling | RunCancelled, fence: Fence) -> None:
    """Write the last event of an owner, unless somebody else does so at this moment."""
    try:
        await log.append(run_id, [event], fence, end=True)
    except LeaseLost as lost:
        _log.info("cancel_left_to_another", run_id=run_id, reason=str(lost))


def cancelled_unstarted(requested_at: float) -> RunCancelled:
    """The end of a run that nobody had begun to work on."""
    return RunCancelled(requested_at=requested_at, stopped_at=time.time(), workers_stopped=0, tokens_after_cancel=0)


async def listen(redis: Redis, keys: Keys, heard: Callable[[str], None]) -> None:
    """Tell `heard` of every cancellation from now on, for ever; an outage of Redis is waited out.

    What is asked for during an outage is missed: whoever works on a run looks at its flag too.
    """
    while True:
        try:
            await _listen(redis, keys, heard)
        except QueueUnavailable as outage:
            _log.warning("cancellations_wait_for_redis", error=str(outage))
            await asyncio.sleep(_BACKOFF_S)


async def _listen(redis: Redis, keys: Keys, heard: Callable[[str], None]) -> None:
    async with redis_errors(), redis.pubsub() as channel:
        await channel.subscribe(keys.cancellations)
        while True:
            message = await channel.get_message(ignore_subscribe_messages=True, timeout=_LISTEN_S)
            if message is not None:
                heard(str(message["data"]))
