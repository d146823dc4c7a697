"""What has been handed out so far, told from the conversation."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.model.expert.conversation import Conversation
from services.model.expert.names import canonical
from services.model.expert.tasks import Task, read_tasks
from wideseek.tables import Table, parse_markdown_tables

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

    def in_vain(self, task: Task) -> bool:
        """Whether a task was worked on and nothing came of it."""
        work = self.of(task)
        return not work.tables and (work.answered or work.attempts >= MAX_ATTEMPTS)

    def open(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks still to be handed out."""
        return [task for task in tasks if not self.of(task).answered and self.of(task).attempts < MAX_ATTEMPTS]


def _key(task: Task) -> tuple[type, str]:
    return type(task), canonical(task.name) or task.name
