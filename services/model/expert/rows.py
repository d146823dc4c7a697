"""What was reported of a row."""

from services.model.expert.board import Board
from services.model.expert.targets import Target
from services.model.expert.tasks import Row
from wideseek.words import fold


def found_cells(board: Board, target: Target) -> tuple[str, dict[str, str]] | None:
    """The title and the values by heading that a row's subagent reported, or None."""
    for table in board.of(Row(target.name)).tables:
        for row in table.rows:
            return row[0], {fold(column): cell for column, cell in zip(table.columns[1:], row[1:], strict=True)}
    return None
