"""What a step of supervised training is made of: demonstrations, shuffled anew every epoch.

n = min(sft_rows_per_step, all)        an epoch has floor(all / n) steps; what is left over is drawn in another one
weights by the job's scheme with B = n (minibatches: their own share of it), every advantage 1
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.kit.rollouts.store import RolloutStore
from services.trainer.collect.demonstrations import Demonstration, Demonstrations
from services.trainer.collect.tally import Measured
from services.trainer.conduct.measure import NOTHING
from services.trainer.conduct.ports import Served
from services.trainer.folder import JobRecord
from services.trainer.ledger.build import Place, agent_shares, manifest_of
from services.trainer.ledger.manifest import Entry, Manifest
from services.trainer.objective.advantages import Advantages
from services.trainer.objective.weights import token_weights


@dataclass
class DemonstrationSource:
    """The demonstrations of one job."""

    record: JobRecord
    store: RolloutStore
    _all: list[Demonstration] = field(default_factory=list)

    async def run(self) -> None:
        """There is nothing to do in the background."""

    async def next(self, place: Place) -> tuple[Manifest, Measured]:
        """The manifest of the next step.

        Raises `InvalidRequest` naming a file that holds no rollouts, or when nothing of all can be learned from.
        """
        if not self._all:
            data = self.record.config.data
            demonstrations = Demonstrations(self.store, self.record.job_id, data.subagents, data.max_context)
            self._all = await asyncio.to_thread(demonstrations.read, data.demonstrations)
        return self._manifest(place), NOTHING

    def advance(self, *, step: int, served: Served) -> None:
        """Demonstrations do not depend on the policy."""

    async def close(self) -> None:
        """Nothing is under way."""

    def _manifest(self, place: Place) -> Manifest:
        config = self.record.config
        drawn = draw(self._all, min(config.sft_rows_per_step, len(self._all)), step=place.step, seed=config.seed)
        minibatches = min(config.optim.minibatches, len(drawn))
        shares = [index * minibatches // len(drawn) for index in range(len(drawn))]
        entries: list[Entry] = []
        for minibatch in range(minibatches):
            mine = [one for one, own in zip(drawn, shares, strict=True) if own == minibatch]
            weights = token_weights([one.shape for one in mine], config.objective.weights, len(mine))
            advantages: Advantages = {(one.shape.rollout_id, None): 1.0 for one in mine}
            entries += [
                Entry(
                    rollout_id=one.stored.rollout_id,
                    uri=one.stored.uri,
                    sha256=one.stored.sha256,
                    group_id=one.shape.group_id,
                    task_id=one.stored.task_id,
                    masked=one.masks,
                    agents=agent_shares(one.shape, weights, advantages),
                    minibatch=minibatch,
                )
                for one in mine
            ]
        return manifest_of(place, config, entries, planned=len(drawn))


def draw(all_: Sequence[Demonstration], rows: int, *, step: int, seed: int) -> list[Demonstration]:
    """The demonstrations of a step, counted from 1; none twice within an epoch."""
    epoch, place = divmod(step - 1, len(all_) // rows)
    order = list(range(len(all_)))
    random.Random(f"{seed}:sft:{epoch}").shuffle(order)
    return [all_[index] for index in order[place * rows : (place + 1) * rows]]
