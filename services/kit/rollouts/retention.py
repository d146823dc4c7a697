"""Deleting rollouts: only those that a durable checkpoint covers, that are old, and that nobody named still needs.

Manifests and policies lie elsewhere and are never touched; what stands in quarantine stays for whoever looks into it.
"""

from collections.abc import Collection

from services.kit.rollouts.entry import StoredRollout
from services.kit.rollouts.store import RolloutStore
from wideseek.values import Frozen

DAYS = 14.0
"""How long covered rollouts are kept for audits and replays, unless the caller says otherwise."""
_DAY_S = 86_400.0


class Pruned(Frozen):
    """What was deleted, or would be."""

    job_id: str
    deleted: tuple[StoredRollout, ...]
    uncovered: int
    """Kept, because no durable checkpoint covers them."""
    needed: int
    """Kept, because the caller named them."""
    recent: int
    """Kept, because they are not old enough."""
    dry_run: bool


def prune(
    store: RolloutStore,
    job_id: str,
    *,
    covered: Collection[str] | None,
    needed: Collection[str] = (),
    older_than_days: float = DAYS,
    now: float,
    dry_run: bool = False,
) -> Pruned:
    """Delete a job's rollouts, with their rewards, whose ids are `covered`, not `needed`, and that ended long ago.

    `covered` None stands for rollouts that no job trains on: all of them are. `now` is in Unix seconds.
    Raises `StoreUnavailable`; what was deleted by then stays deleted, and the next call goes on.
    """
    latest = now - older_than_days * _DAY_S
    kept = {"uncovered": 0, "needed": 0, "recent": 0}
    chosen: list[StoredRollout] = []
    for entry in store.scan(job_id):
        if covered is not None and entry.rollout_id not in covered:
            kept["uncovered"] += 1
        elif entry.rollout_id in needed:
            kept["needed"] += 1
        elif entry.finished_at > latest:
            kept["recent"] += 1
        else:
            chosen.append(entry)
    if not dry_run:
        rewards = store.reward_uris(job_id)
        for entry in chosen:
            store.delete(entry, rewards.get(entry.rollout_id, ()))
        store.sweep(now - _DAY_S)
    return Pruned(job_id=job_id, deleted=tuple(chosen), dry_run=dry_run, **kept)
