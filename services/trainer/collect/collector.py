"""Keeps groups of rollouts on their way, as many as the staleness bound admits, and hands them out step by step.

The bound and the choice of a step's groups stand in `services.trainer.collect.pacing`. What a process that was killed
had asked for is in the journal, the index and the store, so the next one pays for nothing twice.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.kit.asking import Runs
from services.kit.logs import get_logger
from services.kit.rollouts.store import RolloutStore
from services.trainer.collect.asker import Asker, Pace
from services.trainer.collect.attempts import Attempts, Pupil
from services.trainer.collect.bell import Bell
from services.trainer.collect.flight import Flight, Flown
from services.trainer.collect.groups import CollectedGroup, OpenGroup
from services.trainer.collect.pacing import Standing, choose, last_step, quota, room
from services.trainer.collect.roster import ZERO_VARIANCE, Roster
from services.trainer.collect.scoring import Scoring
from services.trainer.collect.shelf import Index, Shelf
from services.trainer.collect.source import TaskSource
from services.trainer.collect.start import Start
from services.trainer.collect.tally import Measured, Tally
from services.trainer.ledger.manifest import Dropped
from wideseek.errors import Conflict

STALE = "stale"

log = get_logger(__name__)


@dataclass(frozen=True)
class Means:
    """What a collector works with."""

    runs: Runs
    store: RolloutStore
    index: Index
    source: TaskSource
    journal: Path
    """`groups.jsonl` in the job's folder."""
    scoring: Scoring
    pace: Pace = field(default_factory=Pace)


class Collector:
    """The groups of one job. `run` does the work; `advance`, `take` and `drops` are the conductor's side of it."""

    def __init__(self, pupil: Pupil, means: Means, start: Start | None = None) -> None:
        """Raises `InvalidRequest` when the journal cannot be read."""
        begun = start or Start()
        config = pupil.config.rollouts
        self._pupil, self._means, self._config, self._start = pupil, means, config, begun
        self._trained, self._taken = begun.trained, begun.taken
        self._version, self._made_at = begun.version, begun.made_at
        self._roster = Roster(means.journal, means.source, lineage=begun.lineage, retries=config.max_attempts)
        self._shelf = Shelf(pupil.job_id, means.store, means.index, resolved=begun.resolved, after=begun.cursor)
        self._tally = Tally()
        self._width = config.group_size + config.over_provision
        self.most = config.concurrency or self._width * config.groups_per_step * (config.max_staleness + 1)
        """Rollouts in flight at most."""
        self._asker = Asker(means.runs, means.pace, self._tally, concurrency=self.most)
        self._attempts = Attempts(pupil, self._asker, self._shelf, means.scoring, means.pace)
        self._bell = Bell()
        self._flights: dict[str, Flight] = {}
        self._ready: dict[str, tuple[OpenGroup, CollectedGroup]] = {}
        self._training: Counter[int] = Counter(
            dict.fromkeys(range(begun.trained + 1, begun.taken + 1), config.groups_per_step)
        )
        self._kinds = self._roster.kinds(begun.groups)
        self._replacements = 0
        self._failure: BaseException | None = None
        self._measured = Measured(scalars={}, histograms={}, drops={})

    @property
    def in_flight(self) -> int:
        """Runs under way."""
        return self._tally.in_flight

    @property
    def measured(self) -> Measured:
        """What collecting the last step taken measured."""
        return self._measured

    async def run(self) -> None:
        """Keep groups in flight until cancelled.

        Raises `InvalidRequest` when the cluster refuses a task for good, or serves no policy; `take` raises it too.
        """
        try:
            await self._means.pace.persist(self._shelf.restock, "index")
            async with asyncio.TaskGroup() as owner:
                for group in self._roster.left(self._start.groups):
                    owner.create_task(self._fly(self._boarded(group)))
                while True:
                    while self._may_open():
                        owner.create_task(self._fly(self._opened()))
                    await self._bell.wait()
        except BaseExceptionGroup as failures:
            self._failure = _first(failures)
            raise self._failure from None
        except BaseException as failure:
            self._failure = failure
            raise
        finally:
            self._bell.ring()

    def advance(self, *, step: int, version: int, made_at: int | None = None) -> None:
        """Step `step` is trained, and `version` is what new groups are sampled with.

        `made_at` is the step that made a version that is new; without it, `step`.
        """
        if version != self._version:
            self._version, self._made_at = version, step if made_at is None else made_at
        self._trained = max(self._trained, step)
        self._taken = max(self._taken, self._trained)
        for trained in [one for one in self._training if one <= step]:
            del self._training[trained]
        self._bell.ring()

    async def take(self, groups: int) -> list[CollectedGroup]:
        """The groups of the next step, in the order they were opened, once there are enough.

        Raises what `run` ended with.
        """
        step, began = self._taken + 1, time.monotonic()
        while True:
            if self._failure is not None:
                raise self._failure
            self._expire(step)
            wanted = quota(self._means.source.share, self._kinds, groups)
            chosen = choose(self._line(), step=step, groups=groups, wanted=wanted)
            if chosen is not None:
                break
            self._check_not_stuck()
            await self._bell.wait()
        picked = [self._ready.pop(f"g{self._start.lineage}-{number}") for number in chosen]
        taken = [group.model_copy(update={"staleness": step - 1 - opened.made_at}) for opened, group in picked]
        self._kinds.update(opened.kind for opened, _ in picked)
        self._shelf.use([rollout.stored.rollout_id for group in taken for rollout in group.rollouts])
        self._taken, self._training[step], self._replacements = step, groups, 0
        self._measured = self._tally.measured(taken, waited_s=time.monotonic() - began)
        await self._means.pace.persist(self._shelf.refresh, "index")
        self._bell.ring()
        return taken

    def drops(self) -> list[Dropped]:
        """Rollouts resolved without being trained on since the last call."""
        return self._shelf.drops(self._is_open, self._roster.why)

    def cursor(self) -> str:
        """The index is resolved up to here, by what was taken and what `drops` has told."""
        return self._shelf.cursor()

    async def cancel_runs(self) -> int:
        """Have all runs stopped, once `run` has ended and the job is not to go on; returns how many were."""
        return await self._asker.cancel()

    def _check_not_stuck(self) -> None:
        """Raise `Conflict` when nothing is on its way and nothing may be asked for."""
        if not self._flights and not self._training and not self._may_open():
            raise Conflict(
                f"step {self._taken + 1} cannot have its rollouts: version {self._version} was made by step "
                f"{self._made_at}, and rollouts.max_staleness is {self._config.max_staleness}; publish a newer version"
            )

    # ---- opening --------------------------------------------------------------------------

    def _may_open(self) -> bool:
        """Whether the bound, the steps left and the engine's room admit another group."""
        mine = len(self._flights) + len(self._ready)
        left = self._config.groups_per_step * (self._pupil.config.steps - self._taken) - mine
        due = last_step(self._made_at, self._config.max_staleness)
        free = room(mine + self._training.total(), groups=self._config.groups_per_step, due=due, trained=self._trained)
        asked = sum(flight.pending for flight in self._flights.values())
        return free > 0 and left > 0 and asked < self.most

    def _opened(self) -> OpenGroup:
        group = self._roster.open(version=self._version, made_at=self._made_at)
        log.info("group_opened", group=group.group_id, task=group.task_id, version=group.version, retry=group.retry)
        return self._boarded(group)

    def _boarded(self, group: OpenGroup) -> OpenGroup:
        task = self._roster.task(group)
        self._flights[group.group_id] = Flight(group, task, self._config, self._attempts, self._means.pace)
        return group

    # ---- coming to an end -----------------------------------------------------------------

    async def _fly(self, group: OpenGroup) -> None:
        flight = self._flights[group.group_id]
        flown = await flight.flown()
        del self._flights[group.group_id]
        self._settle(group, flown)
        self._bell.ring()
        await self._asker.cancel(group.group_id)

    def _settle(self, group: OpenGroup, flown: Flown) -> None:
        for miss in flown.missed:
            self._tally.drop(miss.reason)
            if miss.rollout_id is not None:
                self._shelf.note(miss.rollout_id, miss.reason)
        collected = CollectedGroup(
            group_id=group.group_id,
            task_id=group.task_id,
            kind=group.kind,
            version=group.version,
            rollouts=flown.rollouts,
        )
        if flown.dropped:
            self._drop(group, collected, flown.dropped)
            return
        replaced = (
            not collected.teaches(self._pupil.config.objective.advantage)
            and self._config.replace_zero_variance
            and self._replacements < self._config.max_replacements
        )
        self._tally.complete(collected, replaced=replaced)
        if replaced:
            self._replacements += 1
            self._drop(group, collected, ZERO_VARIANCE)
        else:
            self._ready[group.group_id] = (group, collected)

    def _drop(self, group: OpenGroup, collected: CollectedGroup, reason: str) -> None:
        """A whole group is not trained on; one that an outage or staleness took is asked again by the roster."""
        log.warning("group_dropped", group=group.group_id, reason=reason, rollouts=len(collected.rollouts))
        self._roster.drop(group, reason)
        self._tally.drop(reason, len(collected.rollouts))
        for rollout in collected.rollouts:
            self._shelf.note(rollout.stored.rollout_id, reason)

    def _expire(self, step: int) -> None:
        """Drop what `step` may no longer train on: the safety net below the pacing."""
        bound = self._config.max_staleness
        for group, collected in list(self._ready.values()):
            if last_step(group.made_at, bound) < step:
                del self._ready[group.group_id]
                self._drop(group, collected, STALE)
                self._bell.ring()
        for flight in self._flights.values():
            if last_step(flight.group.made_at, bound) < step:
                flight.drop(STALE)

    def _line(self) -> list[Standing]:
        standing: Mapping[str, tuple[OpenGroup, bool]] = {
            **{name: (flight.group, False) for name, flight in self._flights.items()},
            **{name: (group, True) for name, (group, _) in self._ready.items()},
        }
        bound = self._config.max_staleness
        return [
            Standing(group.number, group.kind, last_step(group.made_at, bound), ready)
            for group, ready in standing.values()
        ]

    def _is_open(self, group_id: str) -> bool:
        return group_id in self._flights or group_id in self._ready


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
