"""What `wideseek train --dry-run` shows: what was looked at, what was not, and what the job would cost."""

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from services.cli.console import results
from services.trainer.config import JobConfig
from services.trainer.jobs.assumptions import NAME, Assumptions, read_assumptions
from services.trainer.jobs.fleet import Fleet, fleet
from services.trainer.jobs.views import DryRun

_WIDE = 160
"""Columns of tables that go to no terminal."""
UNSEEN = "not checked: "
"""How a remark begins on something that a start will look at and a dry run could not."""


def assumptions_of(job: Path, named: Path | None) -> Assumptions | None:
    """The assumptions that a job's estimate is made with: those named, else those beside its file, else none.

    Raises `InvalidRequest` naming file and key.
    """
    beside = job.parent / NAME
    path = named or (beside if beside.is_file() else None)
    return read_assumptions(path) if path else None


def show_dry_run(config: JobConfig, dry: DryRun, assumed: Assumptions | None, form: str) -> None:
    """Print a dry run, with the hours of all GPUs where assumptions say what they are like."""
    costs = fleet(config, dry.estimate, assumed) if assumed else None
    if form == "json":
        results().print_json(json.dumps(_as_json(dry, costs, assumed)))
        return
    output = results()
    if not output.is_terminal:
        output.width = _WIDE
    output.print(_findings(dry))
    if costs is not None and assumed is not None:
        output.print(_hours(costs), _sources(assumed))
    unseen = [name for name, found in dry.checks.items() if found.startswith(UNSEEN)]
    if unseen:
        output.print(f"not checked here: {', '.join(unseen)}", soft_wrap=True, markup=False)


def _as_json(dry: DryRun, costs: Fleet | None, assumed: Assumptions | None) -> dict[str, Any]:
    more = {"fleet": costs, "assumptions": assumed}
    return dry.model_dump(mode="json") | {
        name: part.model_dump(mode="json") for name, part in more.items() if part is not None
    }


def _findings(dry: DryRun) -> Table:
    table = Table("what", "found", title=f"dry run, config {dry.config_sha256[:12]}")
    for name, found in dry.checks.items():
        table.add_row(name, found)
    for name, value in dry.estimate.model_dump().items():
        table.add_row(name.replace("_", " "), written(value))
    return table


def _hours(costs: Fleet) -> Table:
    table = Table("GPUs", "estimate", title="with rollouts")
    for name, value in costs.model_dump().items():
        table.add_row(name.replace("_", " "), written(value))
    return table


def _sources(assumed: Assumptions) -> Table:
    table = Table("assumption", "value", "source", title="what the estimate stands on")
    table.add_row("architecture", "", assumed.architecture.source)
    for name, figure in assumed.figures().items():
        table.add_row(name.replace("_", " "), written(figure.value), figure.source)
    return table


def written(value: Any) -> str:
    """A value as a person reads it."""
    if value is None:
        return "unknown"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1_000 <= abs(value) < 1e7 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
