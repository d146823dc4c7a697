"""A question's answer from the rows that were reported, in a box."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.model.expert.board import Board
from services.model.expert.request import Request
from services.model.expert.rows import found_cells
from services.model.expert.targets import Target, finding_tasks, targets
from services.model.expert.tasks import Open, Task
from wideseek.quantities import quantities
from wideseek.words import fold

NOTHING = "No page answers this."
_REMARK = re.compile(r"\s*\([^()]*\)\s*$")


@dataclass(frozen=True)
class Found:
    """A row that fulfils the question's conditions."""

    target: Target
    title: str
    value: str


def open_task(request: Request, board: Board) -> list[Task]:
    """The question itself, once nothing that was looked up answers it."""
    return [Open(request.text)] if request.goal and request.text and not _answer(request, board) else []


def boxed_answer(request: Request, board: Board) -> str:
    """The answer in a box, or a sentence that there is none."""
    found = _answer(request, board) or _opened(request, board)
    return f"\\boxed{{{found}}}" if found else NOTHING


def _opened(request: Request, board: Board) -> str:
    cells = (row[0] for table in board.of(Open(request.text)).tables for row in table.rows)
    return next(cells, "")


def _answer(request: Request, board: Board) -> str:
    if request.goal == "open":
        return ""
    rows = [found for target in targets(request, board) if (found := _kept(request, board, target)) is not None]
    if request.goal == "count":
        known = any(board.of(task).tables for task in finding_tasks(request.scope, board))
        return str(len(rows)) if known else ""
    if request.goal in {"highest", "lowest"}:
        return _extreme(rows, highest=request.goal == "highest", named=request.scope.kind == "named")
    if request.goal == "names":
        return ", ".join(dict.fromkeys(_shown(row) for row in rows))
    return next((row.value for row in rows if row.value), "")


def _kept(request: Request, board: Board, target: Target) -> Found | None:
    """The row, where its conditions hold."""
    cells = found_cells(board, target)
    if cells is None:
        return None
    title, values = cells
    if not all(condition.decide(values.get(fold(condition.text), "")) for condition in request.conditions):
        return None
    return Found(target, title, next((values.get(fold(heading.name), "") for heading in request.asked), ""))


def _extreme(rows: Sequence[Found], *, highest: bool, named: bool) -> str:
    """The name of the row whose value is the largest or the smallest; nothing while a named row has none."""
    measured = [(numbers[0].value, row) for row in rows if (numbers := quantities(row.value))]
    if not measured or (named and len(measured) < len(rows)):
        return ""
    choose = max if highest else min
    best = choose(measured, key=lambda item: item[0])[1]
    return best.target.name if named else _shown(best)


def _shown(row: Found) -> str:
    return _REMARK.sub("", row.title)
