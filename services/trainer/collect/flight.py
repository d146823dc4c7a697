"""A group on its way: its rollouts side by side, each asked again when an outage took it, until the group closes.

It closes when G rollouts are there (the rest, with `over_provision`, is cancelled), when every rollout has come to an
end, or after `timeout_s` with what it has. Below `min_group` it is dropped as a whole.
"""

import asyncio
from dataclasses import dataclass, field

from services.trainer.collect.asker import Pace
from services.trainer.collect.attempts import Attempts, Missed
from services.trainer.collect.groups import CollectedRollout, OpenGroup
from services.trainer.config import RolloutsConfig
from wideseek.instances import Task

TOO_SMALL = "group_too_small"
TIMEOUT = "timeout"


@dataclass
class Flown:
    """What became of a group."""

    rollouts: tuple[CollectedRollout, ...]
    """By index, G at most."""
    missed: list[Missed] = field(default_factory=list)
    """Attempts that gave none, and rollouts cut off."""
    dropped: str = ""
    """Why the group is not trained on, when it is not."""


class Flight:
    """One open group."""

    def __init__(self, group: OpenGroup, task: Task, config: RolloutsConfig, attempts: Attempts, pace: Pace) -> None:
        self.group = group
        self._task = task
        self._config = config
        self._attempts = attempts
        self._pace = pace
        self._got: dict[int, CollectedRollout] = {}
        self._missed: list[Missed] = []
        self._closing = asyncio.Event()
        self._dropped = ""
        self.pending = config.group_size + config.over_provision
        """Rollouts that have not come to their end."""

    def drop(self, reason: str) -> None:
        """Close the group; nothing of it is trained on."""
        self._dropped = self._dropped or reason
        self._closing.set()

    async def flown(self) -> Flown:
        """The group once it has closed. Raises `InvalidRequest` as `Attempts.one` does."""
        try:
            async with asyncio.timeout(self._config.timeout_s) as time_left, asyncio.TaskGroup() as owner:
                slots = [owner.create_task(self._slot(index)) for index in range(self.pending)]
                await self._closing.wait()
                for slot in slots:
                    slot.cancel()
        except TimeoutError:
            if not time_left.expired():
                raise
        return self._ended(TIMEOUT if time_left.expired() else "over_provisioned")

    def _ended(self, cut_off: str) -> Flown:
        self._missed += [Missed(self._dropped or cut_off) for _ in range(self.pending)]
        rollouts = tuple(self._got[index] for index in sorted(self._got))
        if not self._dropped and len(rollouts) < self._config.min_group:
            self._dropped = TOO_SMALL
        return Flown(rollouts, self._missed, self._dropped)

    async def _slot(self, index: int) -> None:
        for attempt in range(self._config.max_attempts):
            try:
                rollout = await self._attempts.one(self.group, self._task, index, attempt)
            except Missed as miss:
                self._missed.append(miss)
            else:
                if len(self._got) < self._config.group_size:
                    self._got[index] = rollout
                else:
                    self._missed.append(Missed("over_provisioned", rollout.stored.rollout_id))
                break
            if attempt + 1 < self._config.max_attempts:
                await asyncio.sleep(self._pace.pause(attempt + 1))
        self.pending -= 1
        if self.pending == 0 or len(self._got) >= self._config.group_size:
            self._closing.set()
