"""Which task comes when: a pure function of the seed and the number of the draw, so a killed collector goes on.

    the n-th draw (from 0) is wide where floor((n + 1) * share) > floor(n * share), else a question

so any P draws in a row hold `P * share` wide tasks, rounded, and what rounding leaves is carried over. Within a kind
every epoch is a shuffle of its own.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import floor
from pathlib import Path
from typing import Literal

from services.kit.tasks import Loaded, load_tasks
from services.trainer.config import DataConfig
from wideseek.errors import InvalidRequest
from wideseek.instances import Question, Task

Kind = Literal["wide", "question"]


@dataclass(frozen=True)
class Draw:
    """A task to be asked."""

    number: int
    """From 0; every number has one task."""
    kind: Kind
    task: Task


class TaskSource:
    """The training tasks in their order."""

    def __init__(self, wide: Sequence[Task], questions: Sequence[Task], *, share: float, seed: int) -> None:
        if not wide and not questions:
            raise InvalidRequest("data.wide: there is no task; name JSONL files here or in data.questions")
        self._tasks: Mapping[Kind, Sequence[Task]] = {"wide": wide, "question": questions}
        self._seed = seed
        self.share = Fraction(str(share)) if wide and questions else Fraction(1 if wide else 0)
        """Share of draws that are wide; 0 or 1 where only one kind is given."""
        self._by_id = {task.instance_id: task for tasks in self._tasks.values() for task in tasks}
        self._order = lru_cache(maxsize=4)(self._shuffled)

    @classmethod
    def read(cls, data: DataConfig, *, seed: int) -> "TaskSource":
        """The tasks of a job's files.

        Raises `InvalidInstance` naming file, line and field of a task that cannot be scored, of an id that stands
        twice, or of a record in the wrong list; and the file that is empty.
        """
        seen: dict[str, Loaded] = {}
        wide = [task for path in data.wide for task in _file(path, "wide", seen)]
        questions = [task for path in data.questions for task in _file(path, "question", seen)]
        return cls(wide, questions, share=data.wide_share, seed=seed)

    @property
    def instance_ids(self) -> list[str]:
        """Ids of all tasks."""
        return list(self._by_id)

    def draw(self, number: int) -> Draw:
        """The draw of this number."""
        before = floor(number * self.share)
        kind: Kind = "wide" if floor((number + 1) * self.share) > before else "question"
        epoch, place = divmod(before if kind == "wide" else number - before, len(self._tasks[kind]))
        return Draw(number, kind, self._tasks[kind][self._order(kind, epoch)[place]])

    def task(self, instance_id: str) -> Task:
        """The task of this id. Raises `InvalidRequest` when it is no longer in the job's files."""
        if instance_id not in self._by_id:
            raise InvalidRequest(f"data: task {instance_id!r} was asked earlier and is in the files no longer")
        return self._by_id[instance_id]

    def _shuffled(self, kind: Kind, epoch: int) -> Sequence[int]:
        order = list(range(len(self._tasks[kind])))
        random.Random(f"{self._seed}:{kind}:{epoch}").shuffle(order)
        return order


def _file(path: Path, kind: Kind, seen: dict[str, Loaded]) -> list[Task]:
    loaded = load_tasks(path)
    for one in loaded:
        found = "question" if isinstance(one.task, Question) else "wide"
        if found != kind:
            lists = {"wide": "data.wide", "question": "data.questions"}
            raise one.place.fault(f"is a {found} task in {lists[kind]}; name the file in {lists[found]}")
        name = one.task.instance_id
        if name in seen:
            raise one.place.fault(f"instance_id: {name!r} stands at {seen[name].place} already")
        seen[name] = one
    return [one.task for one in loaded]
