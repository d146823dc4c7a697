"""The datasheet as one self-contained page: tables, and plots as inline SVG."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from services.kit import plots
from services.suites.stats import Datasheet, Spread

_MOST_BARS = 30
_BINS = 20
_LABEL = 40
"""Characters of a bar's label; of a longer one the end is shown, where fields differ."""


@dataclass(frozen=True)
class Chart:
    """A plot with what it shows, in words."""

    title: str
    svg: str


def render(sheet: Datasheet) -> str:
    """The page; the same datasheet gives the same page."""
    environment = Environment(
        loader=PackageLoader("services.suites"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["amount"] = amount
    return environment.get_template("datasheet.html.jinja").render(
        sheet=sheet,
        charts=list(_charts(sheet)),
        found=sum(finding.count for check in sheet.checks.values() for finding in check.values()),
    )


def amount(value: float) -> str:
    """A quantity with thousands apart, and one decimal where it is no whole number."""
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def _charts(sheet: Datasheet) -> Iterable[Chart]:
    if sheet.rows.values:
        yield Chart("Rows", plots.counts({"tasks": sheet.rows.values}, x="gold rows", y="wide tasks"))
        yield Chart("Columns", plots.counts({"tasks": sheet.columns.values}, x="gold columns", y="wide tasks"))
    yield from _lengths("Length of queries", sheet.query_words, "words", "wide tasks")
    yield from _lengths("Length of questions", sheet.question_words, "words", "questions")
    yield from _lengths("Length of gold tables", sheet.gold_chars, "characters", "wide tasks")
    yield from _lengths("Length of answers", sheet.answer_chars, "characters", "questions")
    for title, values in (
        ("Difficulty", sheet.counts.get("difficulty", {})),
        ("Type of question", sheet.counts.get("type", {})),
        ("Regions", sheet.counts.get("region", {})),
        ("Columns asked for", sheet.column_usage),
        ("Fields asked for", sheet.field_usage),
    ):
        if values:
            yield Chart(title, plots.bars(_head(values), x="instances"))


def _lengths(title: str, found: Spread, unit: str, counted: str) -> Iterable[Chart]:
    if found.values:
        least, beyond = int(found.least), int(found.most) + 1
        step = -(-(beyond - least) // _BINS)
        edges = list(range(least, beyond + step, step))
        yield Chart(title, plots.histogram({unit: found.values}, x=unit, y=counted, bins=edges, whole=True))


def _head(values: Mapping[str, int]) -> dict[str, float]:
    """The most frequent values under labels that fit, the rest counted together."""
    head: dict[str, float] = {}
    for name, count in itertools.islice(values.items(), _MOST_BARS):
        label = name if len(name) <= _LABEL else f"…{name[1 - _LABEL :]}"
        while label in head:
            label += "′"
        head[label] = count
    rest = sum(values.values()) - sum(head.values())
    return {**head, f"{len(values) - len(head)} others": rest} if rest else head
