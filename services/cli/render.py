"""A run's outcome on paper: the table in the format asked for, its sources, and what it took."""

import json
from enum import StrEnum

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from services.cli.console import duration, harmless
from wideseek.contracts import Run, RunStatus
from wideseek.tables import Table, render_csv, render_markdown
from wideseek.trajectory import Usage

_SHOWN_SOURCES = 20


class Format(StrEnum):
    """How a table is written."""

    MD = "md"
    CSV = "csv"
    JSON = "json"


def render(run: Run, form: Format) -> str:
    """The outcome in this format, with the line end it closes with; JSON carries the sources and the status too."""
    if form is Format.JSON:
        return json.dumps(_document(run), ensure_ascii=False, indent=2) + "\n"
    if run.table is None:
        return f"{run.answer_text.strip()}\n" if run.answer_text else ""
    return render_csv(run.table) if form is Format.CSV else render_markdown(run.table) + "\n"


def _document(run: Run) -> dict[str, object]:
    fields = {"id", "status", "query", "model", "answer_text", "incomplete_reason", "error", "sources", "usage"}
    document = run.model_dump(mode="json", include=fields)
    table = run.table
    columns = list(table.columns) if table else []
    rows = [list(row) for row in table.rows] if table else []
    return {**document, "columns": columns, "rows": rows}


def pretty(table: Table) -> RichTable:
    """The table for a terminal; empty cells show a dash."""
    shown = RichTable(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for number, column in enumerate(table.columns):
        numeric = bool(table.rows) and all(_numeric(row[number]) for row in table.rows)
        shown.add_column(Text(harmless(column)), justify="right" if numeric else "left", overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(harmless(cell)) if cell else Text("–", "dim") for cell in row))
    return shown


def _numeric(cell: str) -> bool:
    return not cell or cell.replace(",", "").replace(".", "").replace("%", "").strip().lstrip("-−+").isdigit()


def summarise(run: Run, console: Console) -> None:
    """Sources, then status, time and tokens."""
    if run.sources:
        console.print(Text(f"Sources ({len(run.sources)} pages read)", "bold"))
        for source in run.sources[:_SHOWN_SOURCES]:
            console.print(
                Text.assemble("  ", (harmless(source.url), "cyan"), f"  {harmless(source.title)}"), soft_wrap=True
            )
        if len(run.sources) > _SHOWN_SOURCES:
            console.print(Text(f"  and {len(run.sources) - _SHOWN_SOURCES} more (--format json lists all)", "dim"))
    console.print(Text.assemble(_verdict(run), _spent(run)), soft_wrap=True)


def _verdict(run: Run) -> Text:
    if run.status is RunStatus.COMPLETED:
        return Text("✓ completed", "green")
    if run.status is RunStatus.INCOMPLETE:
        return Text(f"◐ incomplete: {run.incomplete_reason}", "yellow")
    if run.status is RunStatus.CANCELLED:
        return Text("■ cancelled", "yellow")
    error = run.error
    service = f"{error.service}: " if error and error.service else ""
    return Text(f"✗ {run.status}: {service}{error.message if error else 'no reason given'}", "red")


def _spent(run: Run) -> str:
    filled, total = run.progress.cells_filled, run.progress.cells_total
    agents = run.progress.subagents
    subagents = agents.queued + agents.running + agents.completed + agents.failed + agents.cancelled
    tokens = run.usage.get("total", Usage())
    took = duration(run.completed_at - run.created_at) if run.completed_at else "unfinished"
    spent = f"{tokens.prompt_tokens + tokens.completion_tokens:,} tokens"
    return f" · {took} · {filled} of {total} cells · {subagents} subagents · {spent} · {run.model} · {run.id}"
