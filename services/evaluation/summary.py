"""`summary.json`: trials as numbers, robust scores on top, the official scorer's beside them.

Only tasks whose trials have all ended are in a mean; those that have not are named. Costs are means a trial.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from services.evaluation.options import Plan
from services.evaluation.results import Cost, Group, Metric, Summary, Trial
from wideseek.aggregates import aggregate
from wideseek.instances import Task, WideTask
from wideseek.trajectory import Usage

_COSTS = tuple(
    name for name, field in Cost.model_fields.items() if field.annotation in {int, float} and not name.endswith("row")
)
"""What of a cost is a number a run."""

Reading = Callable[[Trial], float | None]


def group_of(task: Task) -> str:
    """Difficulty of a wide task, kind of a question, else the suite."""
    return (task.difficulty if isinstance(task, WideTask) else task.kind) or task.suite


def headline(trial: Trial) -> float:
    """The number a trial is judged by first: robust item F1, or a question's token F1."""
    if trial.answer is not None:
        return trial.answer.f1
    return trial.scores["robust"].f1_by_item if "robust" in trial.scores else 0.0


def summarise(
    plan: Plan,
    trials: Iterable[Trial],
    unfinished: Mapping[str, str],
    assumptions: Mapping[str, float | str],
) -> Summary:
    """The summary of the trials there are of this plan."""
    whole = _whole_tasks(plan, trials)
    every = [trial for ended in whole.values() for trial in ended]
    return Summary(
        **_fields(every, plan.trials, "robust"),
        official=summary_group(every, plan.trials, "official") if any(trial.scores for trial in every) else None,
        by={name: summary_group(some, plan.trials, "robust") for name, some in _groups(plan, every).items()},
        setting={"trials": plan.trials, **plan.setting.model_dump(mode="json"), "served": _served(every)},
        tasks_sha256=plan.tasks_sha256,
        unfinished=dict(unfinished),
        assumptions=dict(assumptions),
    )


def _whole_tasks(plan: Plan, trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """The trials of each task that has all of them, in the order of the tasks."""
    ended: dict[str, list[Trial]] = {task.instance_id: [] for task in plan.tasks}
    for trial in trials:
        ended[trial.instance_id].append(trial)
    return {name: some for name, some in ended.items() if len(some) == plan.trials}


def _served(trials: Sequence[Trial]) -> str | None:
    """The policies that answered; more than one when the cluster's default has changed meanwhile."""
    return ", ".join(sorted({trial.model for trial in trials if trial.model})) or None


def _groups(plan: Plan, trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    """By difficulty or kind; of several suites, by suite and by both; by family of columns; by language if several."""
    groups: dict[str, list[Trial]] = defaultdict(list)
    families = {task.instance_id: _families(task) for task in plan.tasks}
    languages = {task.instance_id: task.language for task in plan.tasks}
    bilingual = len(set(languages.values())) > 1
    several = len({trial.suite for trial in trials}) > 1
    for trial in trials:
        suite = trial.suite or "no suite"
        if several:
            groups[suite].append(trial)
        if trial.group and trial.group != trial.suite:
            groups[f"{suite}: {trial.group}" if several else trial.group].append(trial)
        for family in families[trial.instance_id]:
            groups[f"family {family}"].append(trial)
        if bilingual:
            groups[f"language {languages[trial.instance_id]}"].append(trial)
    return dict(sorted(groups.items()))


def _families(task: Task) -> list[str]:
    named = task.meta.get("families")
    return sorted({str(name) for name in named}) if isinstance(named, list | tuple) else []


def summary_group(trials: Sequence[Trial], num_trials: int, mode: str) -> Group:
    """The metrics of these trials, tables by the scorer of this mode; every task has all its trials."""
    return Group(**_fields(trials, num_trials, mode))


def _fields(trials: Sequence[Trial], num_trials: int, mode: str) -> dict[str, Any]:
    scores = {"item_f1": "f1_by_item", "row_f1": "f1_by_row", "success": "score"}
    tables = {name: _metric(trials, _score(mode, field)) for name, field in scores.items()}
    answers = {name: _metric(trials, _answer(name)) for name in ("em", "f1", "judged")}
    recalls = [trial.evidence_recall for trial in trials if trial.evidence_recall is not None]
    return {
        "tasks": len({trial.instance_id for trial in trials}),
        "trials": num_trials,
        **tables,
        **answers,
        "cost": _costs(trials),
        "format_failures": _mean([trial.format_failures for trial in trials]) if trials else 0.0,
        "evidence_recall": _mean(recalls) if recalls else None,
    }


def _score(mode: str, field: str) -> Reading:
    return lambda trial: float(getattr(trial.scores[mode], field)) if mode in trial.scores else None


def _answer(name: str) -> Reading:
    return lambda trial: None if trial.answer is None else getattr(trial.answer, name)


def _metric(trials: Sequence[Trial], read: Reading) -> Metric | None:
    """The metric over the tasks that have it in all their trials; None when no task has."""
    by_task: dict[str, list[float | None]] = defaultdict(list)
    for trial in trials:
        by_task[trial.instance_id].append(read(trial))
    values = {name: [one for one in some if one is not None] for name, some in by_task.items() if None not in some}
    if not values:
        return None
    found = aggregate(values)
    return Metric(avg=found.avg, max=found.max, ci95=found.ci95)


def _costs(trials: Sequence[Trial]) -> dict[str, float]:
    """Means a trial; what an accepted row cost is all that was spent over all rows accepted, failures included."""
    if not trials:
        return {}
    means = {name: _mean([float(getattr(trial.cost, name)) for trial in trials]) for name in _COSTS}
    means["seconds"] = _mean([trial.seconds for trial in trials])
    for role in sorted({role for trial in trials for role in trial.usage} - {"total"}):
        spent = [trial.usage.get(role, Usage()) for trial in trials]
        means[f"tokens_{role}"] = _mean([one.prompt_tokens + one.completion_tokens for one in spent])
    energy = [trial.cost.energy_wh for trial in trials if trial.cost.energy_wh is not None]
    if len(energy) == len(trials):
        means["energy_wh"] = _mean(energy)
    rows = sum(trial.rows_accepted or 0 for trial in trials)
    if rows:
        tables = [trial for trial in trials if trial.rows_accepted is not None]
        means["tokens_per_row"] = sum(trial.cost.tokens for trial in tables) / rows
        means["usd_per_row"] = math.fsum(trial.cost.usd for trial in tables) / rows
    return means


def _mean(numbers: Sequence[float]) -> float:
    return math.fsum(numbers) / len(numbers)
