"""What collecting measured since the last step: by the names of `services.trainer.metrics.names`."""

import math
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from services.trainer.collect.groups import CollectedGroup, CollectedRollout
from wideseek.values import Frozen


class Measured(Frozen):
    """Numbers of one step's collection."""

    scalars: dict[str, float]
    histograms: dict[str, tuple[float, ...]]
    drops: dict[str, int]
    """Rollouts lost or dropped, by reason."""


class Tally:
    """Counts between steps."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._drops: Counter[str] = Counter()
        self._zero_variance: list[bool] = []
        self._replaced = 0
        self.in_flight = 0
        """Runs under way."""
        self._peak = 0
        self._busy = 0.0
        """Seconds of all runs, added up."""
        self._phase = 0.0
        """Seconds in which at least one was under way."""
        self._since = clock()

    @contextmanager
    def running(self) -> Iterator[None]:
        """A run is under way for as long as the block runs."""
        self._move(1)
        try:
            yield
        finally:
            self._move(-1)

    def drop(self, reason: str, count: int = 1) -> None:
        """Rollouts that are not trained on."""
        self._drops[reason] += count

    def complete(self, group: CollectedGroup, *, replaced: bool) -> None:
        """A group has come to its end."""
        self._zero_variance.append(group.zero_variance)
        self._replaced += replaced

    def measured(self, groups: Sequence[CollectedGroup], *, waited_s: float) -> Measured:
        """The numbers of a step made of `groups`, and of all that happened since the step before."""
        self._move(0)
        rollouts = [rollout for group in groups for rollout in group.rollouts]
        scalars = {
            **_rewards(rollouts),
            **_shapes(rollouts),
            "groups/zero_variance": _mean(map(float, self._zero_variance)),
            "groups/replaced": float(self._replaced),
            "rollouts/utilisation": self._busy / (self._phase * self._peak) if self._busy else 0.0,
            "staleness/mean": _mean(float(group.staleness) for group in groups for _ in group.rollouts),
            "staleness/max": float(max((group.staleness for group in groups), default=0)),
            "time/collect_s": waited_s,
        }
        histograms = {
            **_histograms(rollouts),
            "staleness": tuple(float(g.staleness) for g in groups for _ in g.rollouts),
        }
        found = Measured(scalars=scalars, histograms=histograms, drops=dict(self._drops))
        self._drops.clear()
        self._zero_variance.clear()
        self._replaced, self._busy, self._phase, self._peak = 0, 0.0, 0.0, self.in_flight
        return found

    def _move(self, change: int) -> None:
        now = self._clock()
        elapsed, self._since = now - self._since, now
        self._busy += elapsed * self.in_flight
        self._phase += elapsed if self.in_flight else 0.0
        self.in_flight += change
        self._peak = max(self._peak, self.in_flight)


def _rewards(rollouts: Sequence[CollectedRollout]) -> dict[str, float]:
    totals = [rollout.reward.total for rollout in rollouts]
    terms: dict[str, list[float]] = defaultdict(list)
    for rollout in rollouts:
        for name, value in rollout.reward.components.items():
            terms[name].append(value)
    return {
        "reward/mean": _mean(totals),
        "reward/std": statistics.stdev(totals) if len(totals) > 1 else 0.0,
        **{f"reward/{name}": _mean(values) for name, values in terms.items()},
    }


def _shapes(rollouts: Sequence[CollectedRollout]) -> dict[str, float]:
    agents = [agent for rollout in rollouts for agent in rollout.facts.agents]
    sampled = sum(agent.tokens for agent in agents)
    masked: Counter[str] = Counter()
    for rollout in rollouts:
        masked.update(rollout.facts.masked_tokens)
    shares = {f"tokens/masked/{reason}": count / sampled for reason, count in masked.items() if sampled}
    return {
        "rollouts/agents": len(agents) / len(rollouts) if rollouts else 0.0,
        "rollouts/turns": sum(agent.turns for agent in agents) / len(rollouts) if rollouts else 0.0,
        "rollouts/seconds": statistics.median([rollout.facts.seconds for rollout in rollouts]) if rollouts else 0.0,
        "agents/truncated": _mean(float(agent.truncated) for agent in agents),
        "tokens/masked": masked.total() / sampled if sampled else 0.0,
        **shares,
    }


def _histograms(rollouts: Sequence[CollectedRollout]) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[float]] = defaultdict(list)
    for rollout in rollouts:
        found["reward"].append(rollout.reward.total)
        found["agents"].append(len(rollout.facts.agents))
        for agent in rollout.facts.agents:
            found[f"tokens/{agent.role}"].append(agent.tokens)
            found[f"turns/{agent.role}"].append(agent.turns)
    return {name: tuple(map(float, values)) for name, values in found.items()}


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed) if listed else 0.0
