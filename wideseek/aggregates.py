"""Numbers over tasks and trials, with their uncertainty.

    Avg@N = mean over tasks of the mean over its N trials        Max@N = mean over tasks of the best trial
    Pass@N = Max@N of success                                    Min@N = mean over tasks of the worst trial

Source: WideSearch (arXiv:2508.07999), section 4, and its script: per task first, then the unweighted mean, and
no summary when a task lacks trials. Intervals are percentile bootstraps (Efron and Tibshirani 1993, chapter 13)
over tasks, because trials of one task are no independent tasks. They are seeded and tasks are put in the
order of their ids, so the same numbers give the same interval.
"""

import math
import random
from collections.abc import Mapping, Sequence

from wideseek.errors import InvalidRequest
from wideseek.values import Frozen

RESAMPLES = 10_000
"""Resamples an interval is read from."""

Trials = Mapping[str, Sequence[float]]
"""Task id -> a number a trial."""


class Aggregate(Frozen):
    """One metric over tasks and trials."""

    avg: float
    max: float
    min: float
    ci95: tuple[float, float]
    """95 % interval of `avg`, tasks resampled. Of one task it is the point itself: it says nothing of other tasks."""


class Difference(Frozen):
    """How much one setting is above another on the same tasks."""

    mean: float
    """Of the first minus the second, task by task."""
    ci95: tuple[float, float]
    """95 % interval, tasks resampled in pairs: a setting is better where 0 lies outside."""


def aggregate(trials_by_task: Trials, *, seed: int = 0, resamples: int = RESAMPLES) -> Aggregate:
    """Avg@N, Max@N and Min@N.

    Raises `InvalidRequest` naming the task that has fewer or more trials than the others, or a number that is none.
    """
    tasks = _checked(trials_by_task)
    means = [_mean(trials) for trials in tasks]
    return Aggregate(
        avg=_mean(means),
        max=_mean([max(trials) for trials in tasks]),
        min=_mean([min(trials) for trials in tasks]),
        ci95=_interval(means, seed, resamples),
    )


def paired_difference(first: Trials, second: Trials, *, seed: int = 0, resamples: int = RESAMPLES) -> Difference:
    """The mean difference of two settings that answered the same tasks, any number of trials each.

    Raises `InvalidRequest` naming a task that only one of them answered.
    """
    unpaired = sorted(first.keys() ^ second.keys())
    if unpaired:
        raise InvalidRequest(f"task {unpaired[0]}: answered in one of the two settings only")
    pairs = zip(_checked(first), _checked(second), strict=True)
    differences = [_mean(ours) - _mean(theirs) for ours, theirs in pairs]
    return Difference(mean=_mean(differences), ci95=_interval(differences, seed, resamples))


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that one of `k` trials succeeds, estimated from `c` successes in `n`.

        pass@k = 1 - C(n - c, k) / C(n, k)

    Unbiased for independent trials. Source: Chen et al. 2021 (arXiv:2107.03374), equation 1. Raises
    `InvalidRequest` unless 0 <= c <= n and 1 <= k <= n.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise InvalidRequest(f"pass@{k} of {c} successes in {n} trials: needs 0 <= c <= n and 1 <= k <= n")
    return 1 - math.comb(n - c, k) / math.comb(n, k)


def _checked(trials_by_task: Trials) -> list[Sequence[float]]:
    """The trials, a sequence a task, in the order of the ids."""
    if not trials_by_task:
        raise InvalidRequest("no task has ended: there is nothing to aggregate")
    ids = sorted(trials_by_task)
    num_trials = len(trials_by_task[ids[0]])
    for name in ids:
        trials = trials_by_task[name]
        if not trials:
            raise InvalidRequest(f"task {name}: has no trial")
        if len(trials) != num_trials:
            raise InvalidRequest(f"task {name}: has {len(trials)} trials where task {ids[0]} has {num_trials}")
        if not all(map(math.isfinite, trials)):
            raise InvalidRequest(f"task {name}: a trial's number is not finite")
    return [trials_by_task[name] for name in ids]


def _mean(numbers: Sequence[float]) -> float:
    """From the exactly rounded sum, so that the order of the numbers does not matter."""
    return math.fsum(numbers) / len(numbers)


def _interval(means: Sequence[float], seed: int, resamples: int) -> tuple[float, float]:
    draw = random.Random(seed).choices
    size = len(means)
    drawn = sorted(math.fsum(draw(means, k=size)) / size for _ in range(resamples))
    return _quantile(drawn, 0.025), _quantile(drawn, 0.975)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between the two nearest (Hyndman and Fan 1996, definition 7)."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
