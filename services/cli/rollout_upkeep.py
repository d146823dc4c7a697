"""`wideseek rollouts scan` and `wideseek rollouts prune`."""

import asyncio
import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.table import Table

from services.cli.console import CommandError, notes, results
from services.cli.doctor import addresses
from services.cli.rollout_place import bar, home_of, jobs_of, tables
from services.cli.state import read_state
from services.kit.keys import Keys
from services.kit.redis import connect
from services.kit.rollouts.entry import UNASSIGNED
from services.kit.rollouts.index import FIRST, RolloutIndex
from services.kit.rollouts.retention import Pruned, prune
from services.kit.rollouts.scan import Scanned, scan_job
from services.kit.rollouts.store import RolloutStore
from services.trainer.folder import JobFolder
from services.trainer.ledger.manifest import Manifest


@dataclass(frozen=True)
class Ledger:
    """What a job's manifests say of rollouts."""

    covered: frozenset[str]
    """Trained on or dropped by steps up to the last committed one."""
    needed: frozenset[str]
    """Named by later manifests, which a resumed job trains."""
    cursor: str
    """Of the last manifest."""


def read_ledger(folder: JobFolder) -> Ledger:
    """Read all manifests of a job; nothing is covered where there are none. Raises `CommandError`."""
    committed = max(folder.committed(), default=0)
    covered: set[str] = set()
    needed: set[str] = set()
    cursor = FIRST
    steps = folder.path / "steps"
    numbers = sorted(int(entry.name) for entry in steps.iterdir() if entry.name.isdigit()) if steps.is_dir() else []
    for step in numbers:
        file = folder.manifest_file(step)
        if not file.exists():
            continue
        try:
            manifest = Manifest.model_validate_json(file.read_bytes())
        except ValueError as error:
            raise CommandError(f"{file} is no manifest; nothing was changed") from error
        ids = {entry.rollout_id for entry in manifest.entries} | {one.rollout_id for one in manifest.dropped}
        (covered if step <= committed else needed).update(ids)
        cursor = manifest.cursor
    return Ledger(frozenset(covered), frozenset(needed), cursor)


def scan(store: RolloutStore, job: str | None, redis_url: str | None, env: str | None, home: Path | None) -> None:
    """Verify and index again; the table says what was found. Raises `CommandError`, `UpstreamError`."""
    jobs = jobs_of(store, job)
    where = addresses(home_of(home), read_state(home_of(home)), None)
    scanned = asyncio.run(_scan_all(store, jobs, redis_url or where.redis, env or where.env, home_of(home)))
    table = Table("job", "sound objects", "indexed again", "corrupt now", "in quarantine")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in scanned:
        table.add_row(one.job_id, *(f"{count:,}" for count in (one.verified, one.added, one.corrupt, one.quarantined)))
    tables().print(table)


async def _scan_all(store: RolloutStore, jobs: list[str], address: str, env: str, home: Path) -> list[Scanned]:
    redis = connect(address)
    index = RolloutIndex(redis, Keys(env))
    scanned: list[Scanned] = []
    try:
        with bar() as progress:
            for job in jobs:
                ledger = read_ledger(JobFolder(home / "jobs" / job))
                task = progress.add_task(f"verifying {job}", total=None)
                each = partial(progress.advance, task)
                scanned.append(
                    await scan_job(
                        store,
                        index,
                        job,
                        resolved=ledger.covered | ledger.needed,
                        after=ledger.cursor,
                        verified=True,
                        each=each,
                    )
                )
                progress.remove_task(task)
    finally:
        await redis.aclose()
    return scanned


def prune_jobs(store: RolloutStore, job: str | None, days: float, home: Path | None, *, dry_run: bool) -> None:
    """Delete what no checkpoint needs, or list it."""
    pruned = [_prune(store, one, days, home_of(home), asked=job, dry_run=dry_run) for one in jobs_of(store, job)]
    if dry_run:
        for one in pruned:
            for entry in one.deleted:
                results().print(json.dumps({"job": one.job_id, "uri": entry.uri}), soft_wrap=True)
    table = Table("job", "would be deleted" if dry_run else "deleted", "not covered", "still needed", "too recent")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in pruned:
        counts = (len(one.deleted), one.uncovered, one.needed, one.recent)
        table.add_row(one.job_id, *(f"{count:,}" for count in counts))
    notes().print(table)


def _prune(store: RolloutStore, job: str, days: float, home: Path, *, asked: str | None, dry_run: bool) -> Pruned:
    ledger = read_ledger(JobFolder(home / "jobs" / job))
    free = job == UNASSIGNED and asked == UNASSIGNED
    return prune(
        store,
        job,
        covered=None if free else ledger.covered,
        needed=ledger.needed,
        older_than_days=days,
        now=time.time(),
        dry_run=dry_run,
    )
