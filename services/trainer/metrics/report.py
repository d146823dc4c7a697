"""`report.html`: one self-contained page of a training job, rebuilt from its files whenever somebody asks."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from services.trainer.folder import JobFolder, write_atomically
from services.trainer.jobs.book import shown_status
from services.trainer.metrics.charts import charts, dropped
from services.trainer.metrics.names import SCALARS
from services.trainer.metrics.read import read_metrics
from services.trainer.metrics.record import Interval, StepMetrics

_GOALS = {
    "tokens/repeat": ("trained tokens over unique tokens", 1.05),
    "tokens/padding": ("padding", 0.02),
    "time/idle_share": ("learner idle", 0.1),
    "forks/per_1000_turns": ("forks per 1,000 turns", 0.0),
}
"""Numbers that should stay at or below a bound, worst step so far."""


def write_report(folder: JobFolder) -> Path:
    """Write the page into the job's folder; its path comes back. A reader never sees half of it."""
    write_atomically(folder.report_file, render(folder).encode())
    return folder.report_file


def render(folder: JobFolder, *, now: datetime | None = None) -> str:
    """The page."""
    environment = Environment(
        loader=PackageLoader("services.trainer.metrics"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"amount": amount}
    record, state, steps = folder.record(), folder.state(), read_metrics(folder.metrics_file)
    return environment.get_template("report.html.jinja").render(
        record=record,
        state=state,
        status=shown_status(folder),
        num_steps=sum(1 for step in steps if step.scalars),
        cards=_cards(steps),
        charts=charts(steps),
        evaluations=_evaluations(steps),
        goals=_goals(steps),
        drops=dropped(steps),
        last=steps[-1] if steps else None,
        help=SCALARS,
        parity=_parity(steps),
        config=_settings(record.config.model_dump(mode="json")),
        written=(now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _cards(steps: Sequence[StepMetrics]) -> list[tuple[str, str, str]]:
    """Label, number and remark of what people look at first."""
    rewards = [step.scalars["reward/mean"] for step in steps if "reward/mean" in step.scalars]
    cards = []
    if rewards:
        cards.append(
            ("Reward, last step", amount(rewards[-1]), f"first {amount(rewards[0])}, best {amount(max(rewards))}")
        )
    newest = _evaluations(steps)
    if newest:
        last = newest[-1][1]
        cards.append(
            (f"Held out: {last.metric}", amount(last.mean), f"95 %: {amount(last.low)} to {amount(last.high)}")
        )
    stale = [step.scalars["staleness/max"] for step in steps if "staleness/max" in step.scalars]
    if stale:
        cards.append(("Staleness, largest", amount(max(stale)), "steps behind"))
    return cards


def _evaluations(steps: Sequence[StepMetrics]) -> list[tuple[int, Interval]]:
    return [(step.step, result) for step in steps for result in step.evaluation]


def _goals(steps: Sequence[StepMetrics]) -> list[tuple[str, float, float]]:
    """Label, worst value so far, and the bound it should keep."""
    found = []
    for name, (label, bound) in _GOALS.items():
        values = [step.scalars[name] for step in steps if name in step.scalars]
        if values:
            found.append((label, max(values), bound))
    return found


def _parity(steps: Sequence[StepMetrics]) -> list[tuple[int, str, float, float]]:
    """Step, replica, mean and largest difference of the last publications."""
    rows = []
    for step in steps[-20:]:
        for name, mean in step.scalars.items():
            if name.startswith("parity/mean/"):
                replica = name.removeprefix("parity/mean/")
                rows.append((step.step, replica, mean, step.scalars.get(f"parity/max/{replica}", mean)))
    return rows


def _settings(values: dict[str, object], above: str = "") -> list[tuple[str, object]]:
    """A configuration as dotted keys."""
    rows: list[tuple[str, object]] = []
    for key, value in values.items():
        name = f"{above}{key}"
        rows += _settings(value, f"{name}.") if isinstance(value, dict) else [(name, value)]
    return rows


def amount(value: float) -> str:
    """A number with four significant digits, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
