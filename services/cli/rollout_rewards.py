"""Which of a rollout's rewards a command speaks of."""

import re
from collections.abc import Sequence

from services.kit.rollouts.store import RolloutCorrupt, RolloutStore
from wideseek.rollout import Reward


class Rewards:
    """The rewards of one job's rollouts, read when they are asked for."""

    def __init__(self, store: RolloutStore, job_id: str) -> None:
        self._store = store
        self._uris = store.reward_uris(job_id)

    def of(self, rollout_id: str) -> list[Reward]:
        """All rewards of a rollout, lowest version first; a corrupt one goes to quarantine and is left out."""
        found: list[Reward] = []
        for uri in self._uris.get(rollout_id, ()):
            try:
                found.append(self._store.get_reward(uri))
            except RolloutCorrupt:
                continue
        return sorted(found, key=lambda reward: _natural(reward.reward_version))

    def one(self, rollout_id: str, version: str | None = None) -> Reward | None:
        """The reward of a version, or of the highest there is; None when there is none."""
        return pick(self.of(rollout_id), version)

    def all(self, version: str | None = None) -> dict[str, Reward]:
        """One reward a rollout, by rollout id."""
        found = {rollout_id: self.one(rollout_id, version) for rollout_id in self._uris}
        return {rollout_id: reward for rollout_id, reward in found.items() if reward is not None}


def pick(rewards: Sequence[Reward], version: str | None) -> Reward | None:
    """The reward of a version, or the last."""
    fitting = [reward for reward in rewards if version in {None, reward.reward_version}]
    return fitting[-1] if fitting else None


def _natural(version: str) -> list[tuple[int, str]]:
    """A key by which `v9` comes before `v10`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", version)]
