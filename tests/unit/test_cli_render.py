"""A run's outcome in every format."""

import csv
import io
import json

import pytest
from rich.console import Console

from services.cli.console import harmless
from services.cli.render import Format, pretty, render, summarise
from wideseek.contracts import Mode, Progress, Run, RunError, RunStatus, SourcePage, SubagentCounts
from wideseek.tables import Table, parse_markdown_table
from wideseek.trajectory import Usage

TABLE = Table(columns=("Country", "Area | km²"), rows=(("Peru", "1,285,216"), ("Chile", "")))


def ended(status: RunStatus = RunStatus.COMPLETED, **changes: object) -> Run:
    run = Run(
        id="ws_1",
        status=status,
        query="Which?",
        mode=Mode.MULTI_AGENT,
        model="expert",
        created_at=100.0,
        completed_at=104.2,
        progress=Progress(rows=2, cells_filled=3, cells_total=4, subagents=SubagentCounts(completed=2)),
        usage={"total": Usage(prompt_tokens=12_000, completion_tokens=345)},
        table=TABLE,
        answer_text="| Country |",
        sources=(SourcePage(url="atlas:peru", title="Peru", content_sha256="0" * 64),),
    )
    return run.model_copy(update=changes)


def summary(run: Run) -> str:
    console = Console(file=io.StringIO(), width=100)
    summarise(run, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_markdown_reads_back_as_the_same_table() -> None:
    assert parse_markdown_table(render(ended(), Format.MD)) == TABLE


def test_csv_reads_back_as_the_same_rows() -> None:
    assert list(csv.reader(io.StringIO(render(ended(), Format.CSV)))) == [list(TABLE.columns), *map(list, TABLE.rows)]


def test_json_carries_rows_sources_and_status() -> None:
    document = json.loads(render(ended(), Format.JSON))

    assert document["columns"] == ["Country", "Area | km²"]
    assert document["rows"] == [["Peru", "1,285,216"], ["Chile", ""]]
    assert document["sources"][0]["url"] == "atlas:peru"
    assert document["status"] == "completed"


def test_an_answer_without_a_table_is_written_as_text() -> None:
    assert render(ended(table=None, answer_text=" \\boxed{Lima} "), Format.MD) == "\\boxed{Lima}\n"


def test_a_run_without_any_outcome_writes_nothing() -> None:
    assert render(ended(RunStatus.FAILED, table=None, answer_text=None), Format.CSV) == ""


def test_a_drawn_table_shows_gaps_and_sets_numbers_right() -> None:
    console = Console(file=io.StringIO(), width=60)

    console.print(pretty(TABLE))

    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert any("Chile" in line and "–" in line for line in lines)
    assert pretty(TABLE).columns[1].justify == "right"


def test_the_summary_names_sources_time_and_tokens() -> None:
    said = summary(ended())

    assert "atlas:peru  Peru" in said
    assert "✓ completed · 4.2 s · 3 of 4 cells · 2 subagents · 12,345 tokens · expert · ws_1" in said


def test_many_sources_are_cut_short_and_counted() -> None:
    pages = tuple(SourcePage(url=f"atlas:{number}", content_sha256="0" * 64) for number in range(23))

    assert "and 3 more" in summary(ended(sources=pages))


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (ended(RunStatus.INCOMPLETE, incomplete_reason="deadline"), "incomplete: deadline"),
        (ended(RunStatus.CANCELLED), "cancelled"),
        (
            ended(RunStatus.FAILED, error=RunError(code="upstream", message="refused", service="model")),
            "failed: model: refused",
        ),
    ],
)
def test_an_end_that_is_no_success_says_why(run: Run, said: str) -> None:
    assert said in summary(run)


def test_text_from_outside_cannot_command_the_terminal() -> None:
    assert harmless("Bama\x1b[2Jko\x07\u202e\n") == "Bama[2Jko\n"
