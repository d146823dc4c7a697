"""Tables: markdown both ways, CSV, alignment."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wideseek.tables import Table, aligned, parse_markdown_table, render_csv, render_markdown

CELL = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp", "Zs")) | st.just(" "), max_size=12)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    width = draw(st.integers(2, 5))
    columns = draw(st.lists(CELL.filter(lambda cell: cell.strip()), min_size=width, max_size=width))
    rows = draw(st.lists(st.lists(CELL, min_size=width, max_size=width), max_size=5))
    clean = [tuple(" ".join(cell.split()).strip("\\") for cell in row) for row in [columns, *rows]]
    return Table(columns=tuple(name or "x" for name in clean[0]), rows=tuple(clean[1:]))


@given(tables())
def test_what_is_rendered_is_read_back(table: Table) -> None:
    assert parse_markdown_table(render_markdown(table)) == table


def test_the_last_fenced_table_is_the_answer() -> None:
    first = "```markdown\n| A |\n| - |\n| 1 |\n```"
    better = "```markdown\n| A | B |\n|---|:-:|\n| 2 | x\\|y |\n```"
    text = f"{first}\nBetter:\n{better}\n| C | D |\n|--|--|"

    table = parse_markdown_table(text)

    assert table == Table(columns=("A", "B"), rows=(("2", "x|y"),))


def test_without_a_fence_the_text_itself_is_read() -> None:
    assert parse_markdown_table("So:\n\nA | B\n--- | ---\n1 | 2\n\nThat is all.") == Table(
        columns=("A", "B"), rows=(("1", "2"),)
    )


def test_ragged_rows_lose_cells_not_the_table() -> None:
    table = parse_markdown_table("| A | B |\n|---|---|\n| 1 |\n| 1 | 2 | 3 |")

    assert table == Table(columns=("A", "B"), rows=(("1", ""), ("1", "2")))


def test_empty_cells_at_the_ends_are_cells() -> None:
    assert parse_markdown_table("| A | B | C |\n|---|---|---|\n|  | 2 |  |") == Table(
        columns=("A", "B", "C"), rows=(("", "2", ""),)
    )


@pytest.mark.parametrize("text", ["", "no table", "| A |", "| A | B |\n| 1 | 2 |"])
def test_no_table_is_none(text: str) -> None:
    assert parse_markdown_table(text) is None


def test_a_ragged_table_cannot_be_made() -> None:
    with pytest.raises(ValidationError, match="row 0 has 1 cells"):
        Table(columns=("A", "B"), rows=(("1",),))


def test_csv_keeps_numbers_and_disarms_formulas() -> None:
    table = Table(columns=("A", "B"), rows=(("-1,200.5", "=cmd()"), ('say "hi"', "@x")))

    rows = list(csv.reader(io.StringIO(render_csv(table))))

    assert rows == [["A", "B"], ["-1,200.5", "'=cmd()"], ['say "hi"', "'@x"]]


def test_alignment_follows_the_columns_asked_for() -> None:
    table = Table(columns=("total AREA", "Country"), rows=(("1", "Mali"),))

    assert aligned(table, ["Country", "Capital", "Total area"]).rows == (("Mali", "", "1"),)
