"""An evaluation's numbers as a table for the terminal."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
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
_UNBOUNDED = 10_000
_WITH_INTERVAL = {"item_f1", "em"}
"""What a line is judged by first; the intervals of the others stand in `summary.json`."""

_COSTS = {
    "tokens": "tokens",
    "seconds": "seconds",
    "critical_path_s": "critical path s",
    "critical_path_calls": "path calls",
    "subagents": "subagents",
}


def print_measured(summary: Summary, console: Console) -> None:
    """Print a line for each setting of a sweep, or the whole and each group; costs below scores where it is narrow."""
    lines = list(_lines(summary))
    # Metrics that nothing has are left out.
    metrics = {name: title for name, title in _METRICS.items() if any(getattr(group, name) for _, group in lines)}
    title = "setting" if summary.sweep else ""
    whole = _table(title, lines, metrics, _COSTS)
    if console.measure(whole, options=console.options.update(width=_UNBOUNDED)).maximum <= console.width:
        console.print(whole)
        return
    console.print(_table(title, lines, metrics, {}))
    console.print()
    console.print(_table(title, lines, {}, _COSTS))


def _table(
    title: str, lines: Sequence[tuple[str, Group]], metrics: Mapping[str, str], costs: Mapping[str, str]
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(title, no_wrap=True)
    for heading in ("tasks", *metrics.values(), *costs.values()):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, group in lines:
        scores = (_metric(getattr(group, each), interval=each in _WITH_INTERVAL) for each in metrics)
        table.add_row(name, str(group.tasks), *scores, *(_amount(group.cost.get(each)) for each in costs))
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


def _metric(metric: Metric | None, *, interval: bool) -> str:
    if metric is None:
        return "–"
    return f"{metric.avg:.3f}" + (f" [{metric.ci95[0]:.3f}, {metric.ci95[1]:.3f}]" if interval else "")


def _amount(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
