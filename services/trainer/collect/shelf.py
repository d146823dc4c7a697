"""The job's stored rollouts as the collector sees them: what the index has said so far, and what became of each.

Every indexed rollout is resolved once: it is handed out in a group, or it is dropped for a reason. The cursor moves
over resolved entries only, so a collector that starts again behind it misses nothing.
"""

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

from services.kit.rollouts.entry import StoredRollout
from services.kit.rollouts.store import RolloutStore
from services.trainer.ledger.manifest import Dropped


class Index(Protocol):
    """What is needed of `services.kit.rollouts.index.RolloutIndex`. Raises `QueueUnavailable`."""

    async def add(self, entry: StoredRollout) -> str:
        """Append an entry; returns its cursor."""
        ...

    async def read(self, job_id: str, *, after: str = "0-0") -> list[tuple[str, StoredRollout]]:
        """Entries behind a cursor, oldest first; empty when there are no more."""
        ...

    async def rebuild(
        self, job_id: str, store: RolloutStore, *, resolved: Collection[str] = (), after: str = "0-0"
    ) -> int:
        """Add what is stored and neither indexed nor resolved."""
        ...


class Shelf:
    """The rollouts of one job. Methods raise `StoreUnavailable` and `QueueUnavailable`."""

    def __init__(
        self, job_id: str, store: RolloutStore, index: Index, *, resolved: Collection[str], after: str
    ) -> None:
        self.job_id = job_id
        self.store = store
        self._index = index
        self._read_to = self._cursor = after
        self._resolved = set(resolved)
        self._entries: dict[str, tuple[str, StoredRollout]] = {}
        """Rollout id -> cursor and entry, of what the cursor has not passed yet."""
        self._places: dict[tuple[str, int, int], StoredRollout] = {}
        self._reasons: dict[str, str] = {}

    async def restock(self) -> None:
        """Index what is stored and was not indexed, then read the index."""
        await self._index.rebuild(self.job_id, self.store, resolved=self._resolved, after=self._cursor)
        await self.refresh()

    async def refresh(self) -> None:
        """Read what the index has got since."""
        while news := await self._index.read(self.job_id, after=self._read_to):
            for cursor, entry in news:
                self._read_to = cursor
                if entry.rollout_id not in self._entries:
                    self._entries[entry.rollout_id] = (cursor, entry)
                    self._places.setdefault((entry.group_id, entry.index_in_group, entry.attempt), entry)

    def held(self, group_id: str, index: int, attempt: int) -> StoredRollout | None:
        """The rollout at a place in its group, if it is known to be stored."""
        return self._places.get((group_id, index, attempt))

    async def find(self, rollout_id: str) -> StoredRollout | None:
        """The entry of a stored rollout, whether or not the index has it."""
        if rollout_id not in self._entries:
            await self.refresh()
        if rollout_id not in self._entries:
            entry = await asyncio.to_thread(self.store.entry, self.job_id, rollout_id)
            if entry is None:
                return None
            await self._index.add(entry)
            await self.refresh()
        return self._entries[rollout_id][1] if rollout_id in self._entries else None

    def note(self, rollout_id: str, reason: str) -> None:
        """Remember why a rollout is not trained on; the first reason counts."""
        self._reasons.setdefault(rollout_id, reason)

    def use(self, rollout_ids: Collection[str]) -> None:
        """These have been handed out."""
        self._resolved.update(rollout_ids)

    def drops(self, is_open: Callable[[str], bool], why: Callable[[str], str]) -> list[Dropped]:
        """Rollouts of groups that are not open, and were not handed out, each once.

        `why` says of a group id why its rollouts are not used, where nothing else is known.
        """
        found = [
            Dropped(rollout_id=name, reason=self._reasons.pop(name, "") or why(entry.group_id))
            for name, (_, entry) in self._entries.items()
            if name not in self._resolved and not is_open(entry.group_id)
        ]
        self._resolved.update(drop.rollout_id for drop in found)
        return found

    def cursor(self) -> str:
        """The index up to here is resolved."""
        for name, (cursor, entry) in list(self._entries.items()):
            if name not in self._resolved:
                break
            self._cursor = cursor
            del self._entries[name]
            self._places.pop((entry.group_id, entry.index_in_group, entry.attempt), None)
        return self._cursor
