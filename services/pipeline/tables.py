"""Tables of pages, as HybridQA has them: which of their columns can be asked for, and what their cells say.

A file of tables has one JSON object a line, `{"url", "title", "text"}`, plain or gzipped; the text holds one markdown
table whose cells may be links. A cell is used only when it is one plain text or one link and nothing else: what
would have to be guessed apart is not asked for.
"""

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.suites.filters import Reason
from services.suites.filters_keys import MISSING, norm_str
from wideseek.errors import InvalidRequest
from wideseek.tables import Table, fold, parse_markdown_tables

MIN_ROWS, MAX_ROWS = 4, 20
_MAX_COLUMNS = 4
"""Columns asked for beside the key."""
_LONGEST = 60
"""Characters of a cell that is a value and not prose."""
_LINK = re.compile(r"\[(?P<name>[^\[\]]+)\]\((?P<url>(?:[^()\s]|\([^()]*\))+)\)")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_HEADING = re.compile(r"[^\W_][\w .'/&-]{1,39}")
_DULL = re.compile(r"(?:rank|no|nr|pos|position|place|notes?|ref(?:erence)?s?|#)\.?", re.IGNORECASE)
"""Headings of columns that tell nothing about a row by itself."""


@dataclass(frozen=True, slots=True)
class Page:
    """A line of a file of tables."""

    url: str
    title: str
    text: str

    @property
    def page(self) -> str:
        """The title without the section's."""
        return self.title.split(" – ", maxsplit=1)[0]

    @property
    def section(self) -> str:
        """The section's title, empty where there is none."""
        return self.title.partition(" – ")[2]


@dataclass(frozen=True)
class Sheet:
    """A table that can be asked for."""

    page: Page
    key: str
    """Heading of the column that names the rows."""
    headings: tuple[str, ...]
    """Columns beside the key, in the table's order."""
    rows: tuple[tuple[str, ...], ...]
    """Cells of key and columns."""
    links: tuple[str, ...]
    """Address behind each row's key, empty where there is none."""

    def column(self, heading: str) -> list[str]:
        """The cells of a column."""
        place = (self.key, *self.headings).index(heading)
        return [row[place] for row in self.rows]

    def is_number(self, heading: str) -> bool:
        """Whether all cells of the column are numbers and nothing else."""
        return all(_NUMBER.fullmatch(cell) for cell in self.column(heading))


def read_pages(path: Path) -> list[Page]:
    """The tables of a file in order. Raises `InvalidRequest` naming the line that is none."""
    found = []
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    found.append(_page(line, f"{path}:{number}"))
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, EOFError, zlib.error) as error:
        raise InvalidRequest(f"{path}: cannot be read: {error}") from error
    return found


def _page(line: str, place: str) -> Page:
    try:
        record: Any = json.loads(line)
    except ValueError as error:
        raise InvalidRequest(f"{place}: not JSON: {error}") from error
    values = [record.get(name) for name in ("url", "title", "text")] if isinstance(record, dict) else [None]
    for name, value in zip(("url", "title", "text"), values, strict=False):
        if not isinstance(value, str) or not value:
            raise InvalidRequest(f"{place}: {name}: missing or empty")
    return Page(*map(str, values))


def file_sha256(path: Path) -> str:
    """SHA-256 of a file. Raises `InvalidRequest` when it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror or error}") from error


def sheet_of(page: Page) -> Sheet | Reason:
    """The table of a page with the columns that can be asked for, or why there is none."""
    tables = parse_markdown_tables(page.text)
    if len(tables) != 1:
        return Reason(code="no_single_table", why=f"the text holds {len(tables)} tables")
    table = tables[0]
    if not MIN_ROWS <= len(table.rows) <= MAX_ROWS:
        return Reason(code="size", why=f"{len(table.rows)} rows, {MIN_ROWS} to {MAX_ROWS} are asked for")
    usable = [place for place in _distinct(table.columns) if _is_clean([row[place] for row in table.rows])]
    key = next((place for place in usable if _is_key([row[place] for row in table.rows])), None)
    if key is None:
        return Reason(code="no_key", why="no column names every row differently by a text of its own")
    asked = [place for place in usable if place != key and not _DULL.fullmatch(table.columns[place].strip())]
    if len(asked) < 2:
        return Reason(code="too_few_columns", why=f"{len(asked)} columns beside the key have plain values everywhere")
    return _sheet(page, table, [key, *asked[:_MAX_COLUMNS]])


def _sheet(page: Page, table: Table, places: Sequence[int]) -> Sheet:
    rows = tuple(tuple(_plain(row[place]) or "" for place in places) for row in table.rows)
    links = tuple(match["url"] if (match := _LINK.fullmatch(row[places[0]].strip())) else "" for row in table.rows)
    key, *headings = (table.columns[place].strip() for place in places)
    return Sheet(page, key, tuple(headings), rows, links)


def _distinct(columns: Sequence[str]) -> Iterator[int]:
    """Places of headings that can be named in a query and mean one column."""
    folded = [fold(name) for name in columns]
    for place, name in enumerate(columns):
        if _HEADING.fullmatch(name.strip()) and folded.count(folded[place]) == 1:
            yield place


def _is_clean(cells: Sequence[str]) -> bool:
    found = [_plain(cell) for cell in cells]
    return all(cell and norm_str(cell) not in MISSING and len(cell) <= _LONGEST for cell in found)


def _is_key(cells: Sequence[str]) -> bool:
    """Whether the cells are names: no numbers, mostly links, all different."""
    names = [norm_str(_plain(cell) or "") for cell in cells]
    linked = sum(1 for cell in cells if _LINK.fullmatch(cell.strip()))
    return len(set(names)) == len(names) and 2 * linked > len(cells) and not any(map(_NUMBER.fullmatch, names))


def _plain(cell: str) -> str | None:
    """The text of a cell that is one text or one link; None of anything else."""
    text = cell.strip()
    match = _LINK.fullmatch(text)
    if match:
        return match["name"].strip()
    return None if "](" in text or "http" in text else text
