"""The orphan scan: what is stored and not indexed is indexed again.

A writer that dies between object and index leaves an orphan; a Redis that loses its data orphans everything. Both
are mended by the same scan, run at the start and from time to time. Entries it adds beside a writer that was only
slow are duplicates, which readers pass over anyway.
"""

import asyncio
from collections.abc import Callable, Collection

from services.kit.logs import get_logger
from services.kit.rollouts.index import FIRST, RolloutIndex
from services.kit.rollouts.store import RolloutStore
from wideseek.errors import UpstreamError
from wideseek.values import Frozen

log = get_logger(__name__)


class Scanned(Frozen):
    """What a scan of one job has found."""

    job_id: str
    verified: int
    """Objects that were read and found sound; 0 where only the index was compared."""
    added: int
    """Rollouts that were stored and not indexed."""
    corrupt: int
    """Objects that this scan has put into quarantine."""
    quarantined: int
    """Objects that lie there by now."""


def verify(store: RolloutStore, job_id: str, each: Callable[[], None] = lambda: None) -> tuple[int, int]:
    """Read every object of a job; how many are sound, and how many were put into quarantine just now."""
    before = set(store.quarantined(job_id))
    sound = 0
    for _ in store.scan(job_id, verify=True):
        sound += 1
        each()
    return sound, len(set(store.quarantined(job_id)) - before)


async def scan_job(
    store: RolloutStore,
    index: RolloutIndex | None,
    job_id: str,
    *,
    resolved: Collection[str] = (),
    after: str = FIRST,
    verified: bool = False,
    each: Callable[[], None] = lambda: None,
) -> Scanned:
    """Index a job's orphans that are not `resolved`, behind the cursor `after`; `verified` reads every object first.

    Without an index objects are verified only. Raises `StoreUnavailable`, `QueueUnavailable`.
    """
    sound, corrupt = await asyncio.to_thread(verify, store, job_id, each) if verified else (0, 0)
    added = await index.rebuild(job_id, store, resolved=resolved, after=after) if index is not None else 0
    there = await asyncio.to_thread(store.quarantined, job_id)
    return Scanned(job_id=job_id, verified=sound, added=added, corrupt=corrupt, quarantined=len(there))


async def keep_scanning(
    store: RolloutStore,
    index: RolloutIndex,
    job_id: str,
    *,
    every_s: float = 60.0,
    resolved: Callable[[], Collection[str]] = tuple,
    after: Callable[[], str] = lambda: FIRST,
) -> None:
    """Scan at once and then every `every_s` seconds, until cancelled; an outage is logged and tried again."""
    while True:
        try:
            scanned = await scan_job(store, index, job_id, resolved=resolved(), after=after())
        except UpstreamError as error:
            log.warning("orphan_scan_failed", job_id=job_id, service=error.service, error=str(error))
        else:
            if scanned.added:
                log.info("orphans_indexed", **scanned.model_dump())
        await asyncio.sleep(every_s)
