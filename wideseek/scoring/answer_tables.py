"""The table of an answer, read the way the robust scorer reads it: tolerant of form, faithful to text.

Looked for after the last `</think>`: in the last ```` ```markdown ```` (or `md`) fence that holds a table, else in
the last other fence that does, else in the text itself. Every cell is text. A row that is too short is padded, one
that is too long is cut; neither costs another row anything. A rule of dashes is never a row, wherever it stands.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import dropwhile, pairwise

from wideseek.scoring.folding import shown
from wideseek.tables import Table
from wideseek.toolcalls import after_thinking

_FENCE = re.compile(r"(`{3,}|~{3,})[ \t]*([\w+-]*)")
_MARKDOWN = frozenset({"markdown", "md"})
_PLAIN = frozenset({"", "text", "txt", "table", "gfm"})
_PIPE = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"[-–—―=_:|\s]*")
_QUOTE = re.compile(r"(?:\s*>)+\s?")


@dataclass(frozen=True)
class _Line:
    cells: tuple[str, ...]
    """As displayed; empty for a line without a pipe."""
    rule: bool
    """Whether it holds nothing but dashes and the like: never a row."""
    outer: bool
    """Whether it begins with a pipe."""

    @property
    def drawn(self) -> bool:
        """Whether it is a rule that one can see; a line of empty cells is none."""
        return self.rule and any(self.cells)


def read_answer(text: str | None) -> Table | None:
    """The table a response answers with, or None when it holds none."""
    said = after_thinking(text or "")
    fences = list(_fences(said))
    for tags in (_MARKDOWN, _PLAIN):
        tables = [table for tag, block in fences if tag in tags and (table := fenced_table(block)) is not None]
        if tables:
            return tables[-1]
    return bare_table(said)


def fenced_table(block: str) -> Table | None:
    """The last table of a fenced block: every line with a pipe belongs to one."""
    lines = _lines(block)
    starts = [0, *(number for number in range(2, len(lines) - 1) if _begins(lines, number)), len(lines)]
    found = [_table(lines[first:last], strict=False) for first, last in pairwise(starts)]
    return next((table for table in reversed(found) if table is not None), None)


def bare_table(text: str) -> Table | None:
    """The last table of a text outside fences: pipes at both line starts, or a rule under the header."""
    found: list[list[_Line]] = [[]]
    for line in _lines(text):
        if line.cells:
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    tables = [_table(block, strict=True) for block in _rejoined([block for block in found if block])]
    return next((table for table in reversed(tables) if table is not None), None)


def _fences(text: str) -> Iterator[tuple[str, str]]:
    """Tag and content of every fenced block; one that is never closed runs to the next tagged one, or to the end."""
    opened: re.Match[str] | None = None
    for mark in _FENCE.finditer(text):
        tag = mark.group(2).lower()
        if opened is not None:
            if mark.group(1)[0] != opened.group(1)[0]:
                continue
            yield opened.group(2).lower(), text[opened.end() : mark.start()]
        opened = mark if opened is None or tag in _MARKDOWN else None
    if opened is not None:
        yield opened.group(2).lower(), text[opened.end() :]


def _lines(text: str) -> list[_Line]:
    return [_line(line) for line in re.split(r"\r\n|\r|\n", text)]


def _line(line: str) -> _Line:
    stripped = _QUOTE.sub("", line).strip() if line.lstrip().startswith(">") else line.strip()
    if not _PIPE.search(stripped):
        return _Line((), rule=False, outer=False)
    cells = [cell.strip() for cell in _PIPE.split(stripped)]
    outer = not cells[0]
    cells = cells[1:] if outer else cells
    if cells and not cells[-1]:
        cells = cells[:-1]
    rule = _RULE.fullmatch(stripped) is not None
    return _Line(tuple(shown(cell.replace("\\|", "|")) for cell in cells), rule=rule, outer=outer)


def _begins(lines: Sequence[_Line], number: int) -> bool:
    """Whether another table begins here: a header over a rule, with a gap before it."""
    header, rule = lines[number], lines[number + 1]
    return bool(header.cells) and not header.rule and rule.drawn and not lines[number - 1].cells


def _rejoined(blocks: Sequence[Sequence[_Line]]) -> list[Sequence[_Line]]:
    """Blocks of lines; one with neither header nor rule of its own continues the table a blank line cut."""
    joined: list[Sequence[_Line]] = []
    for block in blocks:
        width = len(joined[-1][0].cells) if joined else 0
        goes_on = all(line.outer and not line.rule and len(line.cells) == width for line in block)
        if joined and goes_on and any(line.drawn for line in joined[-1]):
            joined[-1] = [*joined[-1], *block]
        else:
            joined.append(block)
    return joined


def _table(lines: Sequence[_Line], *, strict: bool) -> Table | None:
    """The header is the row over the first rule, or the first row where there is no rule.

    Words before a header on its line (`Result: | Country | …`) are no column; outside fences, a line under a table of
    closed rows that begins without a pipe is a note.
    """
    rows = list(dropwhile(lambda line: line.rule, (line for line in lines if line.cells)))
    ruled = next((number for number, line in enumerate(rows) if line.drawn), None)
    if ruled is None and (len(rows) < 2 or (strict and not all(line.outer for line in rows))):
        return None
    header = 0 if ruled is None else ruled - 1
    names = rows[header].cells
    if ruled is not None and rows[ruled].outer and not rows[header].outer and len(names) == len(rows[ruled].cells) + 1:
        names = names[1:]
    notes = strict and ruled is not None and rows[ruled].outer
    body = [line.cells for line in rows[header + 1 :] if not line.rule and (line.outer or not notes)]
    return Table(columns=names, rows=tuple((*row[: len(names)], *[""] * (len(names) - len(row))) for row in body))
