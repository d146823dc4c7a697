"""`wideseek data stats`: what a file of instances holds, as a table, as JSON, as a page."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from services.cli.console import CommandError, harmless, notes, results

if TYPE_CHECKING:
    from services.suites.stats import Datasheet

_MOST_VALUES = 12


def show_stats(
    *,
    tasks: Annotated[Path, typer.Option(help="Wide tasks and questions, JSON lines.", show_default=False)],
    rejected: Annotated[
        Path | None, typer.Option(help="Rejections that `filter` wrote, to be counted too.", show_default=False)
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a self-contained page with plots here.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Describe a file of instances: counts, sizes, columns, and what the checks of `filter` find in it."""
    from services.suites.filters_read import write_lines  # noqa: PLC0415
    from services.suites.stats import describe  # noqa: PLC0415

    if html is not None and html.resolve() in {path.resolve() for path in (tasks, rejected) if path}:
        raise CommandError(f"--html {html}: also an input; nothing was written", exit_code=2)
    sheet = describe(tasks, rejected)
    if html is not None:
        from services.suites.stats_html import render  # noqa: PLC0415

        write_lines([(html, [render(sheet)])])
        notes().print(f"datasheet in {html}", markup=False, soft_wrap=True)
    if as_json:
        sys.stdout.write(sheet.model_dump_json(indent=2) + "\n")
    else:
        _print(sheet)


def _print(sheet: "Datasheet") -> None:
    table = Table("", "", "instances", title=Text(sheet.file))
    table.columns[2].justify = "right"
    for name, count in (("all", sheet.instances), ("wide tasks", sheet.wide_tasks), ("questions", sheet.questions)):
        table.add_row(name, "", f"{count:,}")
    for name, values in (*sheet.counts.items(), ("column", sheet.column_usage), ("field", sheet.field_usage)):
        table.add_section()
        shown = list(values.items())[:_MOST_VALUES]
        for place, (value, count) in enumerate(shown):
            table.add_row("" if place else name, Text(harmless(value)), f"{count:,}")
        if len(values) > len(shown):
            table.add_row("", f"({len(values) - len(shown)} more)", "")
    output = results()
    output.print(table)
    output.print(f"SHA-256 {sheet.sha256}", soft_wrap=True)
    output.print(_sizes(sheet))
    output.print(_findings(sheet))


def _sizes(sheet: "Datasheet") -> Table:
    table = Table("", "least", "median", "mean", "most")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, spread in sheet.spreads.items():
        numbers = (spread.least, spread.median, spread.mean, spread.most)
        table.add_row(name, *(f"{number:,.1f}".removesuffix(".0") for number in numbers))
    return table


def _findings(sheet: "Datasheet") -> Table:
    table = Table("check", "code", "instances", "for example")
    table.columns[2].justify = "right"
    for check, codes in sheet.checks.items():
        for code, finding in codes.items():
            table.add_row(check, code, f"{finding.count:,}", Text(harmless(finding.examples[0])))
        if not codes:
            table.add_row(check, "nothing", "0", "")
    for stage, rejections in sheet.rejected.items():
        for code, count in rejections.items():
            table.add_row(f"rejected by {stage}", code, f"{count:,}", "")
    return table
