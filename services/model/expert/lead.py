"""The lead: find the rows, hand out one subtask each, put the reports together."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.model.expert import compact
from services.model.expert.answers import boxed_answer, open_task
from services.model.expert.board import Board
from services.model.expert.calls import call_text
from services.model.expert.conversation import Conversation
from services.model.expert.headings import Heading
from services.model.expert.names import canonical, variants
from services.model.expert.request import Request
from services.model.expert.rows import found_cells
from services.model.expert.targets import Target, finding_tasks, targets, told_apart
from services.model.expert.tasks import Row, Task
from wideseek.tables import Table, render_markdown
from wideseek.words import fold

DEFAULT_WIDTH = 20


def next_turn(conversation: Conversation, request: Request) -> str:
    """The lead's next turn."""
    board = compact.read_board(conversation, request) if conversation.compact else Board(conversation)
    for step in STEPS:
        waiting = board.open(step.find(request, board))
        if waiting and not conversation.final:
            thought = step.consider(request, board) if conversation.compact and step.consider else ""
            return thought + _delegate(conversation, waiting)
    return conclude(compact.decided(request) if conversation.compact else request, board)


def _delegate(conversation: Conversation, tasks: Sequence[Task]) -> str:
    if conversation.compact:
        asked = [compact.prompt_of(task) for task in tasks[: conversation.limit(DEFAULT_WIDTH)]]
        return call_text("call_subagent", {"subtasks": "; ".join(asked)})
    rows = sum(1 for task in tasks if isinstance(task, Row))
    thought = f"{rows} rows to look up, one subtask each." if rows else "The rows are not known yet: find them first."
    prompts = [{"prompt": task.prompt()} for task in tasks[: conversation.limit(DEFAULT_WIDTH)]]
    return f"<think>\n{thought}\n</think>\n{call_text('call_subagent', {'subtasks': prompts})}"


def _chosen(request: Request, board: Board) -> str:
    """Which of the names on lists of borders are rows, one by one: at a glance is too much for a small model."""
    told = "; ".join(f"{name} {verdict}" for name, verdict in told_apart(request, board))
    return f"<think>\n{told}\n</think>\n" if told else ""


def first_tasks(request: Request, board: Board) -> list[Task]:
    """What must be found before the rows are known."""
    return finding_tasks(request.scope, board)


def row_tasks(request: Request, board: Board) -> list[Task]:
    """One task a row that is known by now."""
    return [_row(request, target) for target in targets(request, board)]


def _row(request: Request, target: Target) -> Row:
    key = request.columns.headings[request.columns.key or 0].name
    columns = (key, *(heading.name for heading in request.asked))
    return Row(target.name, target.url, columns, tuple(condition.text for condition in request.conditions))


@dataclass(frozen=True)
class Step:
    """What is handed out at once."""

    find: Callable[[Request, Board], list[Task]]
    consider: Callable[[Request, Board], str] | None = None
    """What a small model writes down before it hands that out."""


STEPS = (Step(first_tasks), Step(row_tasks, consider=_chosen), Step(open_task))
"""In order: what finds the rows, the rows, and a question that the rows did not answer."""


def conclude(request: Request, board: Board) -> str:
    """The final text: the table, or the answer in a box."""
    return boxed_answer(request, board) if request.goal else answer(request, board)


def answer(request: Request, board: Board) -> str:
    """The table of what was reported, in a fence."""
    headings = tuple(heading.name for heading in request.columns.headings)
    kept = request.scope.kind in {"named", "page"}
    rows: dict[str, tuple[str, ...]] = {}
    for target in targets(request, board):
        cells = found_cells(board, target)
        if cells is None:
            if kept:
                rows.setdefault(canonical(target.name), request.columns.row(target.name, ["" for _ in request.asked]))
            continue
        title, values = cells
        if all(condition.decide(values.get(fold(condition.text), "")) for condition in request.conditions):
            row = [values.get(fold(heading.name), "") or _length(heading, target) for heading in request.asked]
            name = _name(request, target, title)
            rows.setdefault(canonical(name) or name, request.columns.row(name, row))
    table = Table(columns=headings, rows=tuple(rows.values()))
    return f"```markdown\n{render_markdown(table)}\n```"


def _name(request: Request, target: Target, title: str) -> str:
    """A row's name: as the list prints it, as its page is titled where the query's name is no form of that."""
    if request.scope.kind == "page":
        return target.name
    same = request.scope.kind != "named" or variants(title) & variants(target.name)
    return title if same else target.name


def _length(heading: Heading, target: Target) -> str:
    """The border length that a heading asks for by the anchor's name."""
    if not re.search(r"\b(?:border|boundary|frontier)", fold(heading.text)):
        return ""
    named = [length for anchor, length in target.lengths if canonical(anchor) in canonical(heading.text)]
    return named[0] if named else ""
