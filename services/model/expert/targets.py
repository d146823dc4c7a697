"""Which rows there are, as far as reports tell by now."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.model.expert.board import Board
from services.model.expert.names import canonical, same
from services.model.expert.request import Request
from services.model.expert.scope import Scope
from services.model.expert.tasks import BorderList, Holding, Listing, PageList, Row, Task
from wideseek.quantities import quantities


@dataclass(frozen=True)
class Target:
    """A row to be looked up."""

    name: str
    url: str = ""
    lengths: tuple[tuple[str, str], ...] = ()
    """Border lengths by anchor, where rows are what borders something."""


def finding_tasks(scope: Scope, board: Board) -> list[Task]:
    """What must be found before the rows are known."""
    found: list[Task] = []
    if scope.page:
        found.append(page_list(scope))
    if scope.holder:
        found.append(Holding(scope.holder.fact, scope.holder.value, scope.noun.lower()))
    if scope.borders:
        found.extend(BorderList(name) for name in reading(scope.borders.anchors, board, BorderList))
    return [*found, *(Listing(group, f"{scope.statehood} countries".strip()) for group in scope.groups)]


def page_list(scope: Scope) -> PageList:
    """The list to be read, as a task."""
    assert scope.page is not None
    return PageList(scope.page.title, scope.page.section, scope.noun.lower())


def targets(request: Request, board: Board) -> list[Target]:
    """The rows; where a list of them was not found, the pages that the caller named besides."""
    found = _found(request, board)
    return [*found, *(Target(url, url) for url in request.pages)] if _unlisted(request.scope, board) else found


def told_apart(request: Request, board: Board) -> list[tuple[str, str]]:
    """Every name that a list of borders gave, in its order, and whether it is a row: `yes`, `no` or `again`.

    One list, all of which counts, is told too: whether to tell is one more thing to get wrong.
    """
    scope = request.scope
    anchors = reading(scope.borders.anchors, board, BorderList) if scope.borders else ()
    rows = {canonical(target.name) for target in targets(request, board)}
    found: dict[str, str] = {}
    told: list[tuple[str, str]] = []
    for name in (row[0] for anchor in anchors for table in board.of(BorderList(anchor)).tables for row in table.rows):
        key = canonical(name)
        told.append((name, "again" if found.get(key) == "yes" else "yes" if key in rows else "no"))
        found.setdefault(key, told[-1][1])
    return told


def _unlisted(scope: Scope, board: Board) -> bool:
    """Whether a list of rows was looked for in vain, and the query does not name them itself."""
    unnamed = [task for task in finding_tasks(scope, board) if not scope.members(task.name)]
    return any(board.in_vain(task) for task in unnamed)


def _found(request: Request, board: Board) -> list[Target]:
    scope = request.scope
    if scope.page:
        return _listed(board, page_list(scope))
    if scope.holder:
        return _listed(board, Holding(scope.holder.fact, scope.holder.value, scope.noun.lower()))
    if scope.borders:
        return _bordering(scope, board)
    if scope.groups:
        return _members(scope, board)
    return [Target(name) for name in reading(scope.readings, board, Row)]


def reading(readings: Sequence[Sequence[str]], board: Board, kind: type[Row] | type[BorderList]) -> Sequence[str]:
    """The reading of a list to go by: the first of which no name has been looked for in vain, else the best found."""

    def found(name: str) -> bool:
        return bool(board.of(kind(name)).tables)

    hopeful = (items for items in readings if not any(board.in_vain(kind(name)) for name in items))
    best = max(readings, key=lambda items: sum(map(found, items)) / max(1, len(items)), default=())
    return next(hopeful, best)


def _listed(board: Board, task: Task) -> list[Target]:
    rows = [row for table in board.of(task).tables for row in table.rows]
    return [Target(row[0], row[1] if len(row) > 1 else "") for row in rows]


def _members(scope: Scope, board: Board) -> list[Target]:
    found: dict[str, Target] = {}
    for group in scope.groups:
        listed = _listed(board, Listing(group)) or [Target(name) for name in scope.members(group)]
        found.update({canonical(target.name): target for target in listed})
    return list(found.values())


def _bordering(scope: Scope, board: Board) -> list[Target]:
    borders = scope.borders
    assert borders is not None
    anchors = reading(borders.anchors, board, BorderList)
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
    found = [Target(spelt[key], "", tuple(lengths[key].items())) for key in kept]
    if borders.extreme:
        found = _extreme(found, borders.extreme)
    if borders.with_anchors:
        found = [*(Target(anchor) for anchor in anchors), *found]
    if not scope.groups:
        return found
    members = _members(scope, board)
    return [
        Target(target.name, member.url, target.lengths)
        for target in found
        if (member := next((one for one in members if same(one.name, target.name)), None)) is not None
    ] or found


def _extreme(found: Sequence[Target], extreme: str) -> list[Target]:
    """The one whose border is the longest or the shortest."""
    measured = [
        (numbers[0].value, -place, target)
        for place, target in enumerate(found)
        for _, length in target.lengths[:1]
        if (numbers := quantities(length))
    ]
    choose = max if extreme == "longest" else min
    return [choose(measured, key=lambda item: item[0])[2]] if measured else []
