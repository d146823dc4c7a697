"""What the conductor asks of others; tests put honest parts in their places."""

from collections.abc import Sequence
from typing import Protocol

from pydantic import Field

from services.kit.rollouts.entry import StoredRollout
from services.trainer.collect.groups import CollectedGroup
from services.trainer.collect.tally import Measured
from services.trainer.folder import LearnerReport, ScoreRow
from services.trainer.ledger.build import Place
from services.trainer.ledger.manifest import Dropped, Manifest
from services.trainer.metrics.record import Interval
from wideseek.values import Frozen


class Learning(Protocol):
    """The learner. Raises `TrainerUnavailable` when it is gone."""

    async def trained(self, step: int) -> LearnerReport:
        """What the learner says of a step, once it is trained and, where a checkpoint is due, committed."""
        ...

    async def score(self, rows: Sequence[ScoreRow], *, step: int) -> list[tuple[float, ...]]:
        """Natural-log probabilities of the rows under the weights of a step."""
        ...


class Collecting(Protocol):
    """The collector (`services.trainer.collect.collector.Collector`)."""

    @property
    def measured(self) -> Measured:
        """What collecting the last step taken measured."""
        ...

    async def run(self) -> None:
        """Keep groups in flight until cancelled. Raises what `take` raises."""
        ...

    def advance(self, *, step: int, version: int, made_at: int | None = None) -> None:
        """Step `step` is trained, and `version` is what new groups are sampled with."""
        ...

    async def take(self, groups: int) -> list[CollectedGroup]:
        """The groups of the next step, once there are enough."""
        ...

    def drops(self) -> list[Dropped]:
        """Rollouts resolved without being trained on since the last call."""
        ...

    def cursor(self) -> str:
        """The index is resolved up to here."""
        ...

    async def cancel_runs(self) -> int:
        """Have all runs stopped, once `run` has ended; returns how many were."""
        ...


class Index(Protocol):
    """The part of the rollout index that is given back. Raises `QueueUnavailable`."""

    async def read(self, job_id: str, *, after: str = "0-0") -> list[tuple[str, StoredRollout]]:
        """Entries behind a cursor, oldest first; empty when there are no more."""
        ...

    async def ack(self, job_id: str, cursors: Sequence[str]) -> int:
        """Acknowledge entries."""
        ...

    async def trim(self, job_id: str, cursor: str) -> int:
        """Forget all entries up to a cursor, it included."""
        ...


class Served(Frozen):
    """A policy that new rollouts are sampled with."""

    version: int
    step: int
    """The step that made it; 0 for what the job started from."""
    scalars: dict[str, float] = Field(default_factory=dict)
    histograms: dict[str, tuple[float, ...]] = Field(default_factory=dict)


class Publishing(Protocol):
    """Puts the policy of a step in service. Raises `PolicyRefused`, and an outage as `UpstreamError`.

    Every call may be made again: what is in service already stays there.
    """

    async def begin(self, step: int) -> Served:
        """Have the newest version up to the committed `step` in service, before anything is sampled."""
        ...

    async def publish(self, step: int, manifest_sha256: str) -> Served:
        """Have the policy of a step in service."""
        ...


class Source(Protocol):
    """What steps are made of: rollouts as they come in, or demonstrations."""

    async def run(self) -> None:
        """Work in the background until cancelled."""
        ...

    async def next(self, place: Place) -> tuple[Manifest, Measured]:
        """The manifest of the next step, and what gathering it measured."""
        ...

    def advance(self, *, step: int, served: Served) -> None:
        """Step `step` is trained, and `served` is in service."""
        ...

    async def close(self) -> None:
        """End what is under way: the job is not to go on."""
        ...


class Evaluating(Protocol):
    """Asks held-out tasks of a version. Raises an outage as `UpstreamError`."""

    async def evaluate(self, version: int) -> tuple[Interval, ...]:
        """Scores of a version with intervals."""
        ...
