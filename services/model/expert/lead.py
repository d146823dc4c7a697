"""The lead: find the rows, hand out one subtask each, put the reports together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.model.expert.calls import call_text
from services.model.expert.conversation import Conversation
from services.model.expert.headings import Heading
from services.model.expert.names import canonical, same, variants
from services.model.expert.request import Request
from services.model.expert.tasks import BorderList, Listing, Row, Task, read_tasks
from services.model.expert.words import fold
from wideseek.tables import Table, parse_markdown_tables, render_markdown

DEFAULT_WIDTH = 20
MAX_ATTEMPTS = 2
_RESULT = re.compile(
    r"^## Subtask \d+\n(?P<prompt>.*?)\n## Result \d+ \((?P<state>[\w ]+)\)\n(?P<report>.*?)(?=^## Subtask "
    r"\d+\n|^Did not run|\Z)",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Work:
    """One subtask so far."""

    attempts: int = 0
    answered: bool = False
    tables: list[Table] = field(default_factory=list)


class Board:
    """All subtasks handed out so far, by what they ask for, told from the conversation."""

    def __init__(self, conversation: Conversation | None = None) -> None:
        self._work: dict[tuple[type, str], Work] = {}
        for turn in conversation.turns if conversation else []:
            for result in turn.results:
                for match in _RESULT.finditer(result):
                    self._read(match["prompt"], match["state"], match["report"])

    def _read(self, prompt: str, state: str, report: str) -> None:
        for task in read_tasks(prompt):
            self.add(task, report, answered=state.strip() == "answered")

    def add(self, task: Task, report: str, *, answered: bool) -> None:
        """Note what a report says of a task."""
        work = self._work.setdefault(_key(task), Work())
        work.attempts += 1
        tables = parse_markdown_tables(report)
        if tables or answered:
            work.answered = True
            work.tables = tables or work.tables

    def of(self, task: Task) -> Work:
        """What is known of a task."""
        return self._work.get(_key(task), Work())

    def open(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks still to be handed out."""
        return [task for task in tasks if not self.of(task).answered and self.of(task).attempts < MAX_ATTEMPTS]


def _key(task: Task) -> tuple[type, str]:
    return type(task), canonical(task.name)


@dataclass(frozen=True)
class Target:
    """A row to be looked up."""

    name: str
    url: str = ""
    lengths: tuple[tuple[str, str], ...] = ()
    """Border lengths by anchor, where rows are what borders something."""


def next_turn(conversation: Conversation, request: Request) -> str:
    """The lead's next turn."""
    board = Board(conversation)
    waiting = board.open(first_tasks(request, board))
    if waiting and not conversation.final:
        return _delegate(conversation, waiting, "The rows are not known yet: find them first.")
    waiting = board.open(row_tasks(request, board))
    if waiting and not conversation.final:
        return _delegate(conversation, waiting, f"{len(waiting)} rows to look up, one subtask each.")
    return answer(request, board)


def first_tasks(request: Request, board: Board) -> list[Task]:
    """What must be found before the rows are known."""
    scope = request.scope
    borders: list[Task] = []
    if scope.borders:
        borders = [BorderList(name) for name in _reading(scope.borders.anchors, board, BorderList)]
    return [*borders, *(Listing(group, f"{scope.statehood} countries".strip()) for group in scope.groups)]


def _delegate(conversation: Conversation, tasks: Sequence[Task], thought: str) -> str:
    width = conversation.limit(DEFAULT_WIDTH)
    prompts = [{"prompt": task.prompt()} for task in tasks[:width]]
    return f"<think>\n{thought}\n</think>\n{call_text('call_subagent', {'subtasks': prompts})}"


def row_tasks(request: Request, board: Board) -> list[Task]:
    """One task a row that is known by now."""
    return [_row(request, target) for target in _targets(request, board)]


def _row(request: Request, target: Target) -> Row:
    key = request.columns.headings[request.columns.key or 0].name
    columns = (key, *(heading.name for heading in request.asked))
    return Row(target.name, target.url, columns, tuple(condition.text for condition in request.conditions))


# ---- which rows -------------------------------------------------------------------------


def _targets(request: Request, board: Board) -> list[Target]:
    scope = request.scope
    if scope.borders:
        return _bordering(request, board)
    if scope.groups:
        return _members(request, board)
    return [Target(name) for name in _reading(scope.readings, board, Row)]


def _reading(readings: Sequence[Sequence[str]], board: Board, kind: type[Row] | type[BorderList]) -> Sequence[str]:
    """The reading of a list to go by: the first of which no name has been looked for in vain, else the best found."""

    def found(name: str) -> bool:
        return bool(board.of(kind(name)).tables)

    def in_vain(name: str) -> bool:
        work = board.of(kind(name))
        return not work.tables and (work.answered or work.attempts >= MAX_ATTEMPTS)

    hopeful = (items for items in readings if not any(in_vain(name) for name in items))
    best = max(readings, key=lambda items: sum(map(found, items)) / max(1, len(items)), default=())
    return next(hopeful, best)


def _members(request: Request, board: Board) -> list[Target]:
    found: dict[str, Target] = {}
    for group in request.scope.groups:
        tables = board.of(Listing(group)).tables
        listed = [Target(row[0], row[1] if len(row) > 1 else "") for table in tables for row in table.rows]
        if not listed:
            listed = [Target(name) for name in request.scope.members(group)]
        found.update({canonical(target.name): target for target in listed})
    return list(found.values())


def _bordering(request: Request, board: Board) -> list[Target]:
    borders = request.scope.borders
    assert borders is not None
    anchors = _reading(borders.anchors, board, BorderList)
    lengths: dict[str, dict[str, str]] = {}
    spelt: dict[str, str] = {}
    for anchor in anchors:
        for table in board.of(BorderList(anchor)).tables:
            for row in table.rows:
                spelt.setdefault(canonical(row[0]), row[0])
                lengths.setdefault(canonical(row[0]), {})[anchor] = row[1] if len(row) > 1 else ""
    own = {canonical(anchor) for anchor in anchors}
    kept = [
        key for key, found in lengths.items() if key not in own and (len(found) == len(anchors) or not borders.every)
    ]
    targets = [Target(spelt[key], "", tuple(lengths[key].items())) for key in kept]
    if borders.with_anchors:
        targets = [*(Target(anchor) for anchor in anchors), *targets]
    if not request.scope.groups:
        return targets
    members = _members(request, board)
    return [
        Target(target.name, member.url, target.lengths)
        for target in targets
        if (member := _member(target, members)) is not None
    ] or targets


def _member(target: Target, members: Sequence[Target]) -> Target | None:
    return next((member for member in members if same(member.name, target.name)), None)


# ---- the answer ---------------------------------------------------------------------------


def answer(request: Request, board: Board) -> str:
    """The table of what was reported, in a fence."""
    targets = _targets(request, board)
    headings = tuple(heading.name for heading in request.columns.headings)
    named = request.scope.kind == "named"
    rows: dict[str, tuple[str, ...]] = {}
    for target in targets:
        cells = _found_cells(board, target)
        if cells is None:
            if named:
                rows.setdefault(canonical(target.name), request.columns.row(target.name, ["" for _ in request.asked]))
            continue
        title, values = cells
        if all(condition.decide(values.get(fold(condition.text), "")) for condition in request.conditions):
            name = title if not named or variants(title) & variants(target.name) else target.name
            row = [values.get(fold(heading.name), "") or _length(heading, target) for heading in request.asked]
            rows.setdefault(canonical(name), request.columns.row(name, row))
    table = Table(columns=headings, rows=tuple(rows.values()))
    return f"```markdown\n{render_markdown(table)}\n```"


def _found_cells(board: Board, target: Target) -> tuple[str, dict[str, str]] | None:
    for table in board.of(Row(target.name)).tables:
        for row in table.rows:
            values = {fold(column): cell for column, cell in zip(table.columns[1:], row[1:], strict=True)}
            return row[0], values
    return None


def _length(heading: Heading, target: Target) -> str:
    """The border length that a heading asks for by the anchor's name."""
    if not re.search(r"\b(?:border|boundary|frontier)", fold(heading.text)):
        return ""
    named = [length for anchor, length in target.lengths if canonical(anchor) in canonical(heading.text)]
    return named[0] if named else ""
