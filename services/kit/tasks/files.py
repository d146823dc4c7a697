"""Task files, validated as a whole before anything is asked or scored.

A record with `question` is a Question, one with `evaluation` a WideTask, in WideSearch's format or ours: `evaluation`
may be a JSON string, the gold may lie beside the tasks. Every mistake is one line naming file, line and field.

| what is wrong | official | robust | evaluation |
| --- | --- | --- | --- |
| not JSON, a field missing or twice, an id twice, no gold table, a required column not in it | error | error | error |
| two gold rows with the same key, or a gold without rows | scored as officially | error | error |
| two gold rows whose keys differ in form only | scored as officially | noted, the first counts | noted |
| a specification that robust mode cannot trust | scores 0 as officially | its responses are rejected | error |
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from services.kit.tasks.gold import check_columns, key_clashes, with_gold
from services.kit.tasks.lines import Place, read_objects, validated
from wideseek.instances import InvalidInstance, Question, Task, WideTask
from wideseek.scoring.answer_tables import read_answer


class Checks(StrEnum):
    """How much of a task file has to be right; a column of the table above."""

    OFFICIAL = "official"
    ROBUST = "robust"
    EVALUATION = "evaluation"


@dataclass(frozen=True)
class Loaded:
    """A task, where it stands, and what a person should know of it."""

    place: Place
    task: Task
    rejected: str = ""
    """Why robust mode refuses to score by it: place, field, reason; empty when it does not."""
    notes: tuple[str, ...] = ()


def read_tasks(path: Path, *, gold: Path | None = None) -> list[Task]:
    """The tasks and questions of a file, all fit to be scored in both modes.

    `gold` is a folder of gold tables `<instance_id>.csv` or `.md`. Raises InvalidInstance naming file, line, field.
    """
    return [loaded.task for loaded in load_tasks(path, gold=gold)]


def load_tasks(path: Path, *, gold: Path | None = None, checks: Checks = Checks.EVALUATION) -> list[Loaded]:
    """As `read_tasks`, with places and notes, as strict as `checks` says."""
    if gold is not None and not gold.is_dir():
        raise InvalidInstance(f"--gold {gold}: no such folder")
    loaded: dict[str, Loaded] = {}
    for place, record in read_objects(path):
        one = _wide(record, place, gold, checks) if "question" not in record else _question(record, place)
        name = one.task.instance_id
        if name in loaded:
            raise place.fault(f"instance_id: {name!r} stands in line {loaded[name].place.number} already")
        loaded[name] = one
    if not loaded:
        raise InvalidInstance(f"{path}: holds no task")
    return list(loaded.values())


def _question(record: Mapping[str, object], place: Place) -> Loaded:
    return Loaded(place, validated(Question, record, place))


def _wide(record: Mapping[str, object], place: Place, gold: Path | None, checks: Checks) -> Loaded:
    if "evaluation" not in record:
        raise place.fault("evaluation: missing, and so is question, so this is no task")
    if not record.get("instance_id"):
        raise place.fault("instance_id: missing or empty")
    task = validated(WideTask, with_gold(record, place, gold), place)
    try:
        check_columns(task)
        if checks is Checks.OFFICIAL:
            return Loaded(place, task)
        _check_rows(task)
    except InvalidInstance as error:
        raise place.fault(str(error)) from error
    try:
        task.evaluation.checked()
    except InvalidInstance as error:
        if checks is Checks.EVALUATION:
            raise place.fault(str(error)) from error
        return Loaded(place, task, rejected=f"{place}: {error}")
    return Loaded(place, task, notes=_late_clashes(task, place))


def _check_rows(task: WideTask) -> None:
    table = read_answer(task.answer)
    if table is not None and not table.rows:
        raise InvalidInstance("answer: the table has no rows")
    for clash in key_clashes(task, folded=False):
        raise InvalidInstance(f"answer: a duplicate key, {clash.key!r}, in rows {clash.rows[0]} and {clash.rows[1]}")


def _late_clashes(task: WideTask, place: Place) -> tuple[str, ...]:
    return tuple(
        f"{place}: answer: row {clash.rows[1]} ({clash.key!r}) has the key of row {clash.rows[0]} and is left out"
        for clash in key_clashes(task, folded=True)
    )
