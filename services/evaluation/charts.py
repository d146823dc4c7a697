"""The plots of a report: what the trials are distributed like, and the curve of a sweep."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.evaluation.results import Group, Metric, Trial
from services.kit import plots

_COSTS = {
    "tokens": "tokens",
    "wall_s": "seconds of wall clock",
    "critical_path_s": "seconds of critical path",
    "critical_path_calls": "model calls in a row",
}
_TENTHS = [tenth / 10 for tenth in range(11)]


@dataclass(frozen=True)
class Chart:
    """A plot with what it shows, in words."""

    title: str
    svg: str


def trial_charts(trials: Sequence[Trial]) -> Iterable[Chart]:
    """Plots of one setting's trials; those with nothing to show are left out."""
    if not trials:
        return
    tables = {group: [trial.scores["robust"] for trial in found] for group, found in _by_group(trials).items()}
    items = {group: [scores.f1_by_item for scores in found] for group, found in tables.items() if found}
    if items:
        rows = {group: [scores.f1_by_row for scores in found] for group, found in tables.items() if found}
        yield Chart("Item F1", plots.histogram(items, x="item F1, robust", y="trials", bins=_TENTHS))
        yield Chart("Row F1", plots.histogram(rows, x="row F1, robust", y="trials", bins=_TENTHS))
    answers: dict[str, list[float]] = {}
    for trial in trials:
        if trial.answer is not None:
            answers.setdefault(trial.group or "all", []).append(trial.answer.f1)
    if answers:
        yield Chart("Token F1 of answers", plots.histogram(answers, x="token F1", y="trials", bins=_TENTHS))
    yield from _work_charts(trials)
    columns = column_accuracy(trials)
    if columns:
        yield Chart("Right cells by column", plots.bars(columns, x="right cells / gold cells"))


def _work_charts(trials: Sequence[Trial]) -> Iterable[Chart]:
    widths = [width for trial in trials for width in trial.cost.waves]
    if widths:
        yield Chart("Width", plots.counts({"waves": widths}, x="subtasks in one call_subagent", y="waves"))
    turns: dict[str, list[int]] = {}
    for trial in trials:
        for role, taken in trial.cost.turns.items():
            turns.setdefault(role, []).extend(taken)
    if any(turns.values()):
        yield Chart("Turns", plots.counts(turns, x="turns of an agent", y="agents"))
    seconds = {
        "wall clock": [trial.cost.wall_s for trial in trials],
        "critical path": [trial.cost.critical_path_s for trial in trials],
        "all work": [trial.cost.work_s for trial in trials],
    }
    means = {name: sum(values) / len(values) for name, values in seconds.items()}
    if any(means.values()):
        yield Chart("Time", plots.bars(means, x="seconds a run, mean"))
    spent = {
        group: [(trial.cost.tokens / 1_000, _value(trial)) for trial in found]
        for group, found in _by_group(trials, questions=True).items()
    }
    yield Chart("Tokens and score", plots.scatter(spent, x="thousand tokens a run", y="item F1, or token F1"))


def column_accuracy(trials: Sequence[Trial]) -> dict[str, float]:
    """Mean share of right cells a column, over the trials that have it, best first."""
    shares: dict[str, list[float]] = {}
    for trial in trials:
        for name, share in trial.columns.items():
            shares.setdefault(name, []).append(share)
    means = {name: sum(found) / len(found) for name, found in shares.items()}
    return dict(sorted(means.items(), key=lambda item: (-item[1], item[0])))


def sweep_charts(sweep: Mapping[str, Group]) -> Iterable[Chart]:
    """Scores and times along a sweep: curves with intervals where its values are numbers, else bars."""
    if not sweep:
        return
    key = next(iter(sweep)).partition("=")[0]
    numbers = {name: _number(name.partition("=")[2]) for name in sweep}
    scored = {"item F1": "item_f1", "row F1": "row_f1", "success": "success", "exact match": "em"}
    times = ("wall_s", "critical_path_s")
    if all(number is not None for number in numbers.values()):
        lines = {
            label: [_point(numbers[name], getattr(group, metric)) for name, group in sweep.items()]
            for label, metric in scored.items()
            if all(getattr(group, metric) is not None for group in sweep.values())
        }
        yield Chart(f"Score by {key}", plots.curves(lines, x=key, y="score, 95 % interval"))
        timed = {
            name: [_at(numbers[setting], group.cost[name]) for setting, group in sweep.items()]
            for name in times
            if all(name in group.cost for group in sweep.values())
        }
        if timed:
            yield Chart(f"Seconds by {key}", plots.curves(timed, x=key, y="seconds a run, mean"))
        calls = "critical_path_calls"
        if all(calls in group.cost for group in sweep.values()):
            chain = {calls: [_at(numbers[setting], group.cost[calls]) for setting, group in sweep.items()]}
            yield Chart(f"Critical path by {key}", plots.curves(chain, x=key, y="model calls in a row, mean"))
        return
    for label, metric in scored.items():
        found = {name: getattr(group, metric) for name, group in sweep.items()}
        if all(value is not None for value in found.values()):
            means = {name: value.avg for name, value in found.items()}
            ends = {name: value.ci95 for name, value in found.items()}
            yield Chart(f"{label} by {key}", plots.bars(means, x=f"{label}, 95 % interval", errors=ends))
    for name, label in _COSTS.items():
        if all(name in group.cost for group in sweep.values()):
            taken = {setting: group.cost[name] for setting, group in sweep.items()}
            yield Chart(f"{label} by {key}", plots.bars(taken, x=f"{label} a run, mean"))


def _by_group(trials: Sequence[Trial], *, questions: bool = False) -> dict[str, list[Trial]]:
    grouped: dict[str, list[Trial]] = {}
    for trial in trials:
        if questions or "robust" in trial.scores:
            grouped.setdefault(trial.group or trial.suite or "all", []).append(trial)
    return grouped


def _value(trial: Trial) -> float:
    if trial.answer is not None:
        return trial.answer.f1
    return trial.scores["robust"].f1_by_item if "robust" in trial.scores else 0.0


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _point(x: float | None, metric: Metric) -> plots.Point:
    return (x or 0.0, metric.avg, *metric.ci95)


def _at(x: float | None, y: float) -> plots.Point:
    return (x or 0.0, y, y, y)
