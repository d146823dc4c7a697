"""Tables: JSON is the truth, markdown a rendering.

A markdown table here is GitHub's: a header row, a delimiter row, data rows; cells may escape a pipe as
`\\|`. Reading is forgiving (a policy wrote it), writing is exact: what `render_markdown` writes,
`parse_markdown_table` reads back, cell for cell, white space at the ends aside.
"""

import csv
import io
import re
from collections.abc import Sequence

from pydantic import model_validator

from wideseek.values import Frozen

_FENCE = re.compile(r"```[ \t]*(?:markdown|md)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_DELIMITER = re.compile(r"^:?-+:?$")
_UNESCAPED_PIPE = re.compile(r"(?<!\\)\|")
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r")


class Table(Frozen):
    """Columns and rows of text; every row is as wide as the header."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = ()

    @model_validator(mode="after")
    def _rectangular(self) -> "Table":
        ragged = [number for number, row in enumerate(self.rows) if len(row) != len(self.columns)]
        if ragged:
            cells = len(self.rows[ragged[0]])
            raise ValueError(f"row {ragged[0]} has {cells} cells, the table has {len(self.columns)} columns")
        return self

    @property
    def cells_filled(self) -> int:
        """Cells that hold something."""
        return sum(1 for row in self.rows for cell in row if cell)

    def head(self, num_rows: int) -> "Table":
        """The first rows."""
        return Table(columns=self.columns, rows=self.rows[:num_rows])


def fold(name: str) -> str:
    """A heading reduced to what identifies it: case and white space do not count."""
    return "".join(name.split()).casefold()


def parse_markdown_table(text: str) -> Table | None:
    """The last table in `text`, or None when there is none.

    Fenced blocks are looked at first, the text itself when no fence holds a table. Ragged rows are
    padded and cut to the header's width: a policy that drops one pipe loses that cell, not the table.
    """
    fenced = [table for block in _FENCE.findall(text) for table in _tables(block)]
    found = fenced or _tables(text)
    return found[-1] if found else None


def parse_markdown_tables(text: str) -> list[Table]:
    """Every table in `text`, in order."""
    return _tables(text)


def _tables(text: str) -> list[Table]:
    lines = text.splitlines()
    tables: list[Table] = []
    number = 0
    while number + 1 < len(lines):
        header, delimiter = _cells(lines[number]), _cells(lines[number + 1])
        if header and any(header) and delimiter and all(_DELIMITER.match(cell) for cell in delimiter):
            body = _body(lines, number + 2)
            tables.append(Table(columns=tuple(header), rows=tuple(_fit(row, len(header)) for row in body)))
            number += 2 + len(body)
        else:
            number += 1
    return tables


def _body(lines: Sequence[str], first: int) -> list[list[str]]:
    rows: list[list[str]] = []
    for line in lines[first:]:
        cells = _cells(line)
        if not cells:
            break
        rows.append(cells)
    return rows


def _cells(line: str) -> list[str]:
    """The cells of a row; empty when the line is none."""
    stripped = line.strip()
    if not _UNESCAPED_PIPE.search(stripped):
        return []
    cells = _UNESCAPED_PIPE.split(stripped)
    if cells and not cells[0].strip():
        cells = cells[1:]
    if cells and not cells[-1].strip() and _UNESCAPED_PIPE.search(stripped[-1:]):
        cells = cells[:-1]
    return [cell.strip().replace("\\|", "|") for cell in cells]


def _fit(row: Sequence[str], width: int) -> tuple[str, ...]:
    return (*row[:width], *[""] * (width - len(row)))


def render_markdown(table: Table) -> str:
    """The table as markdown, without a fence."""
    lines = [_row(table.columns), _row(["---"] * len(table.columns)), *(_row(row) for row in table.rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def render_csv(table: Table) -> str:
    """The table as CSV (RFC 4180 line ends).

    A cell that a spreadsheet would run as a formula gets a leading apostrophe, numbers aside
    (OWASP, CSV injection).
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([_inert(cell) for cell in table.columns])
    writer.writerows([_inert(cell) for cell in row] for row in table.rows)
    return buffer.getvalue()


def _inert(cell: str) -> str:
    if not cell.startswith(_FORMULA_START):
        return cell
    try:
        float(cell.replace(",", ""))
    except ValueError:
        return "'" + cell
    return cell


def aligned(table: Table, columns: Sequence[str]) -> Table:
    """The table with exactly `columns`, in that order, matched by `fold`; a missing one is empty."""
    place = {fold(name): number for number, name in reversed(list(enumerate(table.columns)))}
    order = [place.get(fold(name)) for name in columns]
    rows = tuple(tuple("" if number is None else row[number] for number in order) for row in table.rows)
    return Table(columns=tuple(columns), rows=rows)
