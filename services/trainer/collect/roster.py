"""Which groups there are: opened under a number and a task, dropped for a reason, asked again in a group of their own.

Everything is in the journal before it has an effect, so the roster of a process that was killed is rebuilt from it.
"""

from collections import Counter, deque
from collections.abc import Collection
from pathlib import Path

from services.trainer.collect.groups import OpenGroup
from services.trainer.collect.journal import GroupJournal
from services.trainer.collect.source import Kind, TaskSource
from wideseek.instances import Task

ZERO_VARIANCE = "zero_variance"
"""The reason that brings another task instead of the same again."""


class Roster:
    """The groups of one lineage."""

    def __init__(self, journal: Path, source: TaskSource, *, lineage: int, retries: int) -> None:
        """Raises `InvalidRequest` when the journal cannot be read."""
        self._journal = GroupJournal(journal)
        self._source = source
        self._lineage = lineage
        self._retries = retries
        self._mine = [group for group in self._journal.opened.values() if group.lineage == lineage]
        self._fresh = max((group.draw for group in self._journal.opened.values()), default=-1) + 1
        self._again: deque[OpenGroup] = deque()
        reopened = {(group.draw, group.retry) for group in self._mine}
        for group in self._mine:
            if (group.draw, group.retry + 1) not in reopened:
                self._ask_again(group, self._journal.closed.get(group.group_id, ""))

    def left(self, consumed: Collection[str]) -> list[OpenGroup]:
        """Groups that were opened and neither dropped nor, as `consumed` says, trained on."""
        known = self._journal.closed
        return [one for one in self._mine if one.group_id not in known and one.group_id not in consumed]

    def kinds(self, consumed: Collection[str]) -> Counter[Kind]:
        """Of the groups that were trained on."""
        return Counter(group.kind for group in self._mine if group.group_id in consumed)

    def task(self, group: OpenGroup) -> Task:
        """The group's task. Raises `InvalidRequest` when the job's files hold it no longer."""
        return self._source.task(group.task_id)

    def open(self, *, version: int, made_at: int) -> OpenGroup:
        """The next group, to be sampled by this version."""
        again = self._again.popleft() if self._again else None
        draw = self._source.draw(self._fresh if again is None else again.draw)
        group = OpenGroup(
            lineage=self._lineage,
            number=self._mine[-1].number + 1 if self._mine else 0,
            task_id=draw.task.instance_id,
            kind=draw.kind,
            draw=draw.number,
            retry=0 if again is None else again.retry + 1,
            version=version,
            made_at=made_at,
        )
        self._journal.open_group(group)
        self._mine.append(group)
        self._fresh += again is None
        return group

    def drop(self, group: OpenGroup, reason: str) -> None:
        """The group is not trained on; its task comes back a bounded number of times, unless it taught nothing."""
        self._journal.close_group(group.group_id, reason)
        self._ask_again(group, reason)

    def why(self, group_id: str) -> str:
        """Why rollouts of a group are not used: it was dropped, they came too late, or it is of another lineage."""
        known = group_id in {group.group_id for group in self._mine}
        return self._journal.closed.get(group_id, "late" if known else "abandoned")

    def _ask_again(self, group: OpenGroup, reason: str) -> None:
        if reason not in {"", ZERO_VARIANCE} and group.retry + 1 < self._retries:
            self._again.append(group)
