"""The single agent: the lead's plan, worked on with the subagent's hands."""

from collections.abc import Sequence

from services.model.expert.board import Board
from services.model.expert.conversation import Conversation
from services.model.expert.evidence import Evidence
from services.model.expert.lead import STEPS, conclude
from services.model.expert.request import Request
from services.model.expert.research import Want
from services.model.expert.subagent import calls, evidence_of, work_on
from services.model.expert.tasks import Task

_PASSES = 4
"""Rounds in which one task's report can change which tasks there are: readings of a list, then its rows."""


def next_turn(conversation: Conversation, request: Request) -> str:
    """The single agent's next turn: calls while something can still be found, else the table or the answer."""
    board, evidence = Board(), evidence_of(conversation)
    for step in STEPS:
        for _ in range(_PASSES):
            tasks = board.open(step.find(request, board))
            wants = _settle(tasks, request, evidence, board)
            if wants and not conversation.final:
                return calls(conversation, wants)
            if not tasks:
                break
    return conclude(request, board)


def _settle(tasks: Sequence[Task], request: Request, evidence: Evidence, board: Board) -> list[Want]:
    """Note the tasks that are done on the board; what the others want next."""
    wants = []
    for task in tasks:
        want, found = work_on(task, request, evidence)
        if want is None:
            board.add(task, found, answered=True)
        else:
            wants.append(want)
    return wants
