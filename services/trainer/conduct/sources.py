"""What a step of policy-gradient training is made of: the collector's groups as a manifest."""

from dataclasses import dataclass

from services.trainer.collect.tally import Measured
from services.trainer.conduct.ports import Collecting, Served
from services.trainer.config import JobConfig
from services.trainer.ledger.build import Place, step_manifest
from services.trainer.ledger.manifest import Manifest


@dataclass(frozen=True)
class RolloutSource:
    """Groups of rollouts, in flight while the learner works."""

    config: JobConfig
    collector: Collecting

    async def run(self) -> None:
        """Keep groups in flight until cancelled."""
        await self.collector.run()

    async def next(self, place: Place) -> tuple[Manifest, Measured]:
        """The manifest of the next step. Raises what the collector ended with."""
        groups = await self.collector.take(self.config.rollouts.groups_per_step)
        dropped = self.collector.drops()
        manifest = step_manifest(place, self.config, groups, dropped=dropped, cursor=self.collector.cursor())
        return manifest, self.collector.measured

    def advance(self, *, step: int, served: Served) -> None:
        """Admit what the staleness bound has room for now."""
        self.collector.advance(step=step, version=served.version, made_at=served.step)

    async def close(self) -> None:
        """Have the runs stopped that nobody waits for."""
        await self.collector.cancel_runs()
