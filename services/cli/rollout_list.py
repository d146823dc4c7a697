"""`wideseek rollouts list`."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rich import box
from rich.table import Table
from rich.text import Text

from services.cli.console import CommandError, harmless, notes
from services.cli.rollout_place import check_format, jobs_of, tables
from services.cli.rollout_rewards import Rewards
from services.kit.rollouts.entry import StoredRollout
from services.kit.rollouts.store import RolloutStore
from wideseek.rollout import Reward, RolloutStatus

_COLUMNS = ("rollout", "job", "group", "task", "status", "source", "versions", "agents", "trained tokens", "reward")
_RIGHT = {"versions", "agents", "trained tokens", "reward"}


@dataclass(frozen=True)
class Wanted:
    """Which rollouts are listed; None wants any."""

    job: str | None
    group: str | None
    task: str | None
    status: RolloutStatus | None

    @classmethod
    def read(cls, *, job: str | None, group: str | None, task: str | None, status: str | None) -> "Wanted":
        """The options as given. Raises `CommandError` for a status that there is not."""
        if status is not None and status not in set(RolloutStatus):
            raise CommandError(f"--status {status}: use {', '.join(RolloutStatus)}", exit_code=2)
        return cls(job, group, task, RolloutStatus(status) if status else None)

    def fits(self, entry: StoredRollout) -> bool:
        """Whether a rollout is listed."""
        pairs = ((self.group, entry.group_id), (self.task, entry.task_id), (self.status, entry.status))
        return all(wanted is None or wanted == is_ for wanted, is_ in pairs)


def show_list(store: RolloutStore, wanted: Wanted, form: str) -> None:
    """Print the rollouts that fit."""
    check_format(form)
    listed = _listed(store, wanted)
    if form == "json":
        for entry, reward in listed:
            sys.stdout.write(json.dumps(_line(entry, reward), ensure_ascii=False) + "\n")
        return
    table = Table(*_COLUMNS, box=box.SIMPLE_HEAD)
    for column in table.columns:
        column.justify = "right" if column.header in _RIGHT else "left"
        column.overflow = "fold"
    table.columns[0].no_wrap = True
    for entry, reward in listed:
        table.add_row(*map(Text, _cells(entry, reward)))
    tables().print(table)
    notes().print(f"{table.row_count:,} rollouts")


def _listed(store: RolloutStore, wanted: Wanted) -> Iterator[tuple[StoredRollout, Reward | None]]:
    for job in jobs_of(store, wanted.job):
        rewards = Rewards(store, job)
        for entry in store.scan(job):
            if wanted.fits(entry):
                yield entry, rewards.one(entry.rollout_id)


def _cells(entry: StoredRollout, reward: Reward | None) -> list[str]:
    first, last = entry.version_min, entry.version_max
    return [
        entry.rollout_id,
        entry.job_id,
        harmless(f"{entry.group_id} #{entry.index_in_group}") if entry.group_id else "",
        harmless(entry.task_id),
        entry.status,
        entry.source,
        str(first) if first == last else f"{first} to {last}",
        str(len(entry.tokens_by_agent)),
        f"{sum(entry.tokens_by_agent.values()):,}",
        "" if reward is None else f"{reward.total:.3f}",
    ]


def _line(entry: StoredRollout, reward: Reward | None) -> dict[str, object]:
    finished = datetime.fromtimestamp(entry.finished_at, UTC).isoformat()
    return {
        **entry.model_dump(mode="json"),
        "finished": finished,
        "reward": None if reward is None else reward.total,
        "reward_version": None if reward is None else reward.reward_version,
    }
