"""`report.html`: one self-contained page of an evaluation, or of a sweep, for people to look at."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from services.evaluation.charts import Chart, sweep_charts, trial_charts
from services.evaluation.journal import ABOUT, read_trials
from services.evaluation.results import Group, Metric, Summary, Trial

NAME = "report.html"
_MOST_FAILURES = 50
"""Trials listed one by one; the others are counted."""


@dataclass(frozen=True)
class Evaluated:
    """One evaluation as its directory holds it."""

    summary: Summary
    trials: Sequence[Trial]
    url: str = ""
    """The orchestrator that was asked; runs are linked there."""
    sweep: Mapping[str, "Evaluated"] = field(default_factory=dict)
    """With a sweep: setting -> evaluation."""


def read_evaluated(directory: Path) -> Evaluated:
    """What `directory` holds; of a sweep, the results are in the folders below.

    Raises `OSError`, `ValidationError` or `InvalidRequest` when its files are not those of an evaluation.
    """
    summary = Summary.model_validate_json((directory / "summary.json").read_bytes())
    about = directory / ABOUT
    url = str(json.loads(about.read_bytes()).get("url", "")) if about.exists() else ""
    sweep = {name: read_evaluated(directory / name) for name in summary.sweep if (directory / name).is_dir()}
    return Evaluated(summary, [] if sweep else read_trials(directory), url, sweep)


def write_report(directory: Path) -> Path:
    """Write the report beside the results it shows; its path. A reader never sees half of it."""
    path = directory / NAME
    unfinished = path.with_suffix(".html.part")
    unfinished.write_text(render(read_evaluated(directory)), encoding="utf-8")
    return unfinished.replace(path)


def render(evaluated: Evaluated, *, now: datetime | None = None) -> str:
    """The page."""
    environment = Environment(
        loader=PackageLoader("services.evaluation"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"score": score, "interval": interval, "amount": amount}
    charts: list[Chart] = [*sweep_charts(evaluated.summary.sweep), *trial_charts(evaluated.trials)]
    failures = sorted(_failures(evaluated), key=lambda failure: failure.value)
    return environment.get_template("report.html.jinja").render(
        summary=evaluated.summary,
        groups=[(name, group) for name, group in _groups(evaluated.summary)],
        metrics=_measured(evaluated.summary),
        costs=_costs(evaluated.summary),
        charts=charts,
        num_trials=len(evaluated.trials) or sum(len(each.trials) for each in evaluated.sweep.values()),
        failures=failures[:_MOST_FAILURES],
        more_failures=max(0, len(failures) - _MOST_FAILURES),
        reasons=_reasons(evaluated),
        written=(now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
    )


METRICS = {
    "item_f1": "Item F1",
    "row_f1": "Row F1",
    "success": "Success",
    "em": "Exact match",
    "f1": "Token F1",
    "judged": "Judged right",
}
"""Metrics in the order they are shown."""

COSTS = {
    "wall_s": "wall, s",
    "work_s": "all work, s",
    "critical_path_s": "critical path, s",
    "critical_path_calls": "critical path, calls",
    "tokens_lead": "tokens of the lead",
    "tokens_subagent": "tokens of subagents",
    "tokens_single": "tokens of the single agent",
    "usd": "USD",
    "energy_wh": "energy, Wh",
    "seconds": "seen by client, s",
    "usd_per_row": "USD a right row",
    "tokens_per_row": "tokens a right row",
}
"""Costs whose names say too little."""


def _groups(summary: Summary) -> Iterable[tuple[str, Group]]:
    yield "all (robust)", summary
    if summary.official is not None:
        yield "all (official)", summary.official
    yield from summary.by.items()


def _all_groups(summary: Summary) -> list[Group]:
    return [summary, *summary.by.values(), *summary.sweep.values()]


def _measured(summary: Summary) -> dict[str, str]:
    """The metrics that some group has, with their names."""
    groups = _all_groups(summary)
    return {key: name for key, name in METRICS.items() if any(getattr(group, key) is not None for group in groups)}


def _costs(summary: Summary) -> dict[str, str]:
    """The costs that some group has, with their names."""
    keys = dict.fromkeys(key for group in _all_groups(summary) for key in group.cost)
    return {key: COSTS.get(key, key.replace("_", " ")) for key in keys}


@dataclass(frozen=True)
class Failure:
    """A trial that was not right in full."""

    trial: Trial
    value: float
    """Item F1, or token F1 of a question."""
    why: str
    link: str
    setting: str = ""


def _failures(evaluated: Evaluated, setting: str = "") -> list[Failure]:
    found = [
        Failure(trial, value_of(trial), _why(trial), _link(evaluated.url, trial), setting)
        for trial in evaluated.trials
        if value_of(trial) < 1
    ]
    for name, each in evaluated.sweep.items():
        found += _failures(each, name)
    return found


def value_of(trial: Trial) -> float:
    """The number a trial is judged by first: robust item F1, or a question's token F1."""
    if trial.answer is not None:
        return trial.answer.f1
    return trial.scores["robust"].f1_by_item if "robust" in trial.scores else 0.0


def _why(trial: Trial) -> str:
    parts = [trial.problem, trial.incomplete_reason or ""]
    if trial.answer is not None:
        parts.append(f"answered: {trial.answer.given}" if trial.answer.given else "no answer")
    wrong = [f"{name} {share:.0%}" for name, share in trial.columns.items() if share < 1]
    if wrong and not trial.problem:
        parts.append("columns not right: " + ", ".join(wrong))
    return "; ".join(part for part in parts if part) or "rows that are not in the gold table"


def _link(url: str, trial: Trial) -> str:
    return f"{url.rstrip('/')}/v1/widesearch/{trial.run_id}" if url.startswith(("http://", "https://")) else ""


def _reasons(evaluated: Evaluated) -> list[tuple[str, int]]:
    """How runs ended, most frequent first."""
    trials = [*evaluated.trials, *(trial for each in evaluated.sweep.values() for trial in each.trials)]
    ends = Counter(
        f"{trial.status}: {trial.incomplete_reason}" if trial.incomplete_reason else str(trial.status)
        for trial in trials
    )
    return ends.most_common()


def score(value: float | None) -> str:
    """A score as text, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def interval(metric: Metric | None) -> str:
    """A metric with its interval and its best trial."""
    if metric is None:
        return "–"
    low, high = metric.ci95
    return f"{metric.avg:.3f} [{low:.3f}, {high:.3f}]"


def amount(value: float | None) -> str:
    """A quantity with three significant digits, thousands apart."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
