"""An evaluation's numbers as a table for the terminal."""

from collections.abc import Iterator

from rich.table import Table

from services.evaluation.results import Group, Metric, Summary

_METRICS = {
    "item_f1": "item F1",
    "row_f1": "row F1",
    "success": "success",
    "em": "EM",
    "f1": "F1",
    "judged": "judged right",
}
_COSTS = {
    "tokens": "tokens",
    "seconds": "seconds",
    "critical_path_s": "critical path s",
    "critical_path_calls": "path calls",
    "subagents": "subagents",
}


def measured_table(summary: Summary) -> Table:
    """A line for each setting of a sweep, or for the whole and each group; metrics that nothing has are left out."""
    lines = list(_lines(summary))
    metrics = {name: title for name, title in _METRICS.items() if any(getattr(group, name) for _, group in lines)}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("setting" if summary.sweep else "", no_wrap=True)
    for title in ("tasks", *metrics.values(), *_COSTS.values()):
        table.add_column(title, justify="right", no_wrap=True)
    for name, group in lines:
        costs = (_amount(group.cost.get(cost)) for cost in _COSTS)
        table.add_row(name, str(group.tasks), *(_metric(getattr(group, each)) for each in metrics), *costs)
    return table


def _lines(summary: Summary) -> Iterator[tuple[str, Group]]:
    if summary.sweep:
        yield from summary.sweep.items()
        return
    if summary.official is None:
        yield "all", summary
    else:
        yield from (("all (robust)", summary), ("all (official)", summary.official))
    yield from summary.by.items()


def _metric(metric: Metric | None) -> str:
    return "–" if metric is None else f"{metric.avg:.3f} [{metric.ci95[0]:.3f}, {metric.ci95[1]:.3f}]"


def _amount(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
