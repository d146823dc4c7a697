"""The datasheet as one self-contained page, with plots as inline SVG."""

from collections.abc import Iterator
from itertools import islice

from jinja2 import Environment, PackageLoader, StrictUndefined

from services.kit import plots
from services.pipeline.sheet import Histogram, PipelineSheet
from services.pipeline.sheet_md import checked_sentence, tenths
from services.suites.stats_html import Chart, amount

_MOST_BARS = 20
_PLOTTED = ("difficulty", "kind", "type", "region", "column")


def render_html(sheet: PipelineSheet) -> str:
    """The page; the same datasheet gives the same page."""
    environment = Environment(
        loader=PackageLoader("services.pipeline"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["amount"] = amount
    template = environment.get_template("pipeline.html.jinja")
    return template.render(sheet=sheet, checked=checked_sentence(sheet), charts=list(_charts(sheet)))


def _charts(sheet: PipelineSheet) -> Iterator[Chart]:
    for one in sheet.histograms:
        drawn = plots.histogram({one.unit: _values(one)}, x=one.unit, y="instances", bins=list(one.edges), whole=True)
        yield Chart(one.name, drawn)
    for name in _PLOTTED:
        if name in sheet.counts:
            values = dict(islice(sheet.counts[name].items(), _MOST_BARS))
            yield Chart(name, plots.bars(values, x="instances"))
    for look in sheet.looks:
        yield Chart(f"F1 of answers: {look.name}", plots.bars(tenths(look.scores), x="answers"))


def _values(one: Histogram) -> list[int]:
    """A value for each instance: the low end of its bin."""
    return [low for low, count in zip(one.edges, one.counts, strict=False) for _ in range(count)]
