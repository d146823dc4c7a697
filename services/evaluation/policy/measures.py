"""What an arm measured, as numbers with 95 % intervals.

mean      = mean over tasks of the mean over seeds (a trial samples with its own seed)
interval  = percentile bootstrap, tasks resampled with all their seeds (`wideseek.aggregates`)
valid calls = sum of (calls - badly written ones) / sum of calls, interval by resampling tasks (ratio estimate:
              Efron and Tibshirani 1993, section 10.3)
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from services.evaluation.policy.arms import Arm
from services.evaluation.results import Trial
from wideseek.aggregates import RESAMPLES, Trials, aggregate
from wideseek.values import Frozen

DIFFICULTIES = ("named", "neighbours", "filter")
"""Of broad tasks, easiest first."""

Reading = Callable[[Trial], float | None]

READINGS: Mapping[str, Reading] = {
    "item_f1": lambda trial: trial.scores["robust"].f1_by_item if "robust" in trial.scores else None,
    "row_f1": lambda trial: trial.scores["robust"].f1_by_row if "robust" in trial.scores else None,
    "success": lambda trial: trial.scores["robust"].score if "robust" in trial.scores else None,
    "em": lambda trial: trial.answer.em if trial.answer else None,
    "f1": lambda trial: trial.answer.f1 if trial.answer else None,
}
"""Metric -> its value of one run; None of a run that has none."""

LABELS = {
    "item_f1": "item F1",
    "row_f1": "row F1",
    "success": "success",
    "valid_calls": "valid tool calls",
    "em": "exact match",
    "f1": "token F1",
}


class Estimate(Frozen):
    """A mean with its interval."""

    mean: float
    low: float
    high: float
    tasks: int
    seeds: tuple[float, ...] = ()
    """The mean over tasks of each seed, in the order of trials."""


def by_task(trials: Sequence[Trial], reading: Reading) -> dict[str, list[float]]:
    """Task -> the metric of its trials, in their order; tasks that lack it are left out."""
    found: dict[str, list[float | None]] = {}
    for trial in trials:
        found.setdefault(trial.instance_id, []).append(reading(trial))
    whole = {task: [one for one in values if one is not None] for task, values in found.items()}
    return {task: values for task, values in whole.items() if len(values) == len(found[task])}


def of_difficulty(arm: Arm, difficulty: str | None) -> list[Trial]:
    """The arm's trials of one difficulty; None: all."""
    return [trial for trial in arm.trials if difficulty in {None, trial.group}]


def measured(arm: Arm, metric: str, difficulty: str | None = None) -> Estimate | None:
    """A metric of an arm; None when it was not measured."""
    trials = of_difficulty(arm, difficulty)
    if metric == "valid_calls":
        return valid_calls(trials)
    return estimated(by_task(trials, READINGS[metric]))


def estimated(values: Trials) -> Estimate | None:
    """Mean and interval of these tasks; None when there is none."""
    return _estimated(tuple((task, tuple(values[task])) for task in sorted(values))) if values else None


@lru_cache(maxsize=1_024)
def _estimated(values: tuple[tuple[str, tuple[float, ...]], ...]) -> Estimate:
    """Cached: a report shows some numbers in several places, and each is 10,000 resamples."""
    found = aggregate(dict(values))
    seeds = tuple(_mean([trials[number] for _, trials in values]) for number in range(len(values[0][1])))
    return Estimate(mean=found.avg, low=found.ci95[0], high=found.ci95[1], tasks=len(values), seeds=seeds)


def valid_calls(trials: Sequence[Trial]) -> Estimate | None:
    """Share of tool calls that could be read and served; None when no agent has called a tool."""
    counts: dict[str, tuple[int, int]] = {}
    for trial in trials:
        valid, calls = counts.get(trial.instance_id, (0, 0))
        made = trial.cost.tool_calls
        counts[trial.instance_id] = (valid + made - trial.format_failures, calls + made)
    pairs = tuple(counts[task] for task in sorted(counts))
    if not sum(calls for _, calls in pairs):
        return None
    low, high = _ratio_interval(pairs)
    return Estimate(mean=_ratio(pairs), low=low, high=high, tasks=len(pairs))


@lru_cache(maxsize=1_024)
def _ratio_interval(pairs: tuple[tuple[int, int], ...]) -> tuple[float, float]:
    draw = random.Random(0).choices
    drawn = sorted(_ratio(draw(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    # The nearest rank on each side: of so many resamples, interpolating would change nothing that is shown.
    return drawn[math.floor(0.025 * (RESAMPLES - 1))], drawn[math.ceil(0.975 * (RESAMPLES - 1))]


def _ratio(pairs: Sequence[tuple[int, int]]) -> float:
    """A resample in which nobody called anything is a perfect one: nothing was written badly."""
    calls = sum(each for _, each in pairs)
    return sum(valid for valid, _ in pairs) / calls if calls else 1.0


def costs(arm: Arm) -> dict[str, float]:
    """What a task took, means over trials; empty when the arm was not measured."""
    if not arm.trials:
        return {}
    read: Mapping[str, Callable[[Trial], float]] = {
        "tokens": lambda trial: trial.cost.tokens,
        "seconds": lambda trial: trial.seconds,
        "critical_path_s": lambda trial: trial.cost.critical_path_s,
        "critical_path_calls": lambda trial: trial.cost.critical_path_calls,
        "model_calls": lambda trial: trial.cost.model_calls,
        "tool_calls": lambda trial: trial.cost.tool_calls,
        "subagents": lambda trial: trial.cost.subagents,
    }
    return {name: _mean([reading(trial) for trial in arm.trials]) for name, reading in read.items()}


def _mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers)
