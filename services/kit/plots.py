"""Plots as inline SVG for self-contained pages: one look, no script, nothing fetched.

Each function returns an `<svg>` element as text. The same data gives the same bytes.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_INK = "#3d4450"
_GRID = "#e4e7ec"
_COLOURS = ("#2f6f9f", "#d98032", "#4f9d69", "#a65a9c", "#8a8f98", "#c2514e")
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "wideseek",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_PROLOGUE = re.compile(r"\A.*?(?=<svg )", re.DOTALL)

Point = tuple[float, float, float, float]
"""x, y, and the low and high end of y's interval."""


def histogram(
    groups: Mapping[str, Sequence[float]], *, x: str, y: str, bins: Sequence[float], whole: bool = False
) -> str:
    """Stacked counts of values by group; `bins` are the edges. Values beyond them count in the outer bins.

    `whole`: the values are whole numbers, and so are the ticks.
    """
    figure, axes = _figure(x, y)
    low, high = bins[0], bins[-1]
    clipped = [[min(max(value, low), high) for value in values] for values in groups.values()]
    colours = [_COLOURS[place % len(_COLOURS)] for place in range(len(clipped))]
    axes.hist(clipped, bins=list(bins), stacked=True, label=list(groups), color=colours, edgecolor="white")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if whole:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _finish(figure, axes, legend=len(groups) > 1)


def counts(groups: Mapping[str, Sequence[int]], *, x: str, y: str) -> str:
    """Stacked counts of whole numbers by group, a bar a number."""
    largest = max((value for values in groups.values() for value in values), default=0)
    step = max(1, -(-(largest + 1) // 40))
    edges = [number - 0.5 for number in range(0, largest + step + 1, step)]
    return histogram(groups, x=x, y=y, bins=edges, whole=True)


def bars(values: Mapping[str, float], *, x: str, errors: Mapping[str, tuple[float, float]] | None = None) -> str:
    """Horizontal bars in the order given, from the top; `errors` are low and high ends."""
    figure, axes = _figure(x, "", height=0.9 + 0.27 * len(values))
    names = list(values)
    drawn = [values[name] for name in names]
    spans = None
    if errors:
        ends = [errors.get(name, (values[name], values[name])) for name in names]
        below = [max(0.0, value - low) for value, (low, _) in zip(drawn, ends, strict=True)]
        above = [max(0.0, high - value) for value, (_, high) in zip(drawn, ends, strict=True)]
        spans = [below, above]
    axes.barh(range(len(names)), drawn, xerr=spans, color=_COLOURS[0], height=0.66, ecolor=_INK, capsize=3)
    axes.set_yticks(range(len(names)), labels=[_plain(name) for name in names])
    axes.margins(y=0.5 / max(1, len(names)))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    return _finish(figure, axes)


def curves(lines: Mapping[str, Sequence[Point]], *, x: str, y: str) -> str:
    """A line a name through its points, each with its interval."""
    figure, axes = _figure(x, y)
    for place, (name, points) in enumerate(lines.items()):
        ordered = sorted(points)
        xs, ys = [point[0] for point in ordered], [point[1] for point in ordered]
        below = [max(0.0, point[1] - point[2]) for point in ordered]
        above = [max(0.0, point[3] - point[1]) for point in ordered]
        colour = _COLOURS[place % len(_COLOURS)]
        axes.errorbar(xs, ys, yerr=[below, above], label=_plain(name), color=colour, marker="o", capsize=3)
    axes.set_ylim(bottom=0)
    return _finish(figure, axes, legend=len(lines) > 1)


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x: str,
    y: str,
    bands: Mapping[str, Sequence[tuple[float, float, float]]] | None = None,
) -> str:
    """A line a name through its points; `bands` shade x, low and high around the line of the same name."""
    figure, axes = _figure(x, y)
    for place, (name, points) in enumerate(series.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        marker = "o" if len(points) < 20 else None
        axes.plot(*zip(*sorted(points), strict=True), label=_plain(name), color=colour, marker=marker, markersize=3)
        for around, low, high in [tuple(zip(*sorted(bands[name]), strict=True))] if bands and name in bands else ():
            axes.fill_between(around, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _finish(figure, axes, legend=len(series) > 1)


def scatter(groups: Mapping[str, Sequence[tuple[float, float]]], *, x: str, y: str) -> str:
    """Points by group."""
    figure, axes = _figure(x, y)
    for place, (name, points) in enumerate(groups.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        axes.scatter([a for a, _ in points], [b for _, b in points], label=_plain(name), color=colour, alpha=0.6, s=18)
    axes.set_ylim(bottom=0)
    return _finish(figure, axes, legend=len(groups) > 1)


def _figure(x: str, y: str, *, height: float = 2.7) -> tuple[Figure, Axes]:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.6, height), layout="constrained")
        axes = figure.subplots()
        axes.set_xlabel(x)
        axes.set_ylabel(y)
    return figure, axes


def _finish(figure: Figure, axes: Axes, *, legend: bool = False) -> str:
    with mpl.rc_context(_STYLE):
        if legend:
            axes.legend(frameon=False)
        written = io.StringIO()
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _PROLOGUE.sub("", written.getvalue())


def _plain(name: str) -> str:
    """A name as it stands: a dollar sign would begin a formula."""
    return name.replace("$", r"\$")
