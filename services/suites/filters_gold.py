"""Is the gold such that a score by it means something? Schema, table, cells, keys, numbers; then the size."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.suites.filters import Reason
from services.suites.filters_keys import MISSING, gold_table, listed, norm_str, number, preprocessed
from wideseek.instances import ColumnRule, InvalidInstance, Question, Task, WideTask
from wideseek.tables import Table, fold, parse_markdown_table, parse_markdown_tables

_PIPE = re.compile(r"(?<!\\)\|")


class GoldFilter:
    """Rejects instances whose evaluation or gold could not be trusted."""

    stage = "gold"

    def check(self, instance: Task) -> Reason | None:
        """The first fault, or None."""
        found = _answer_faults(instance) if isinstance(instance, Question) else _table_faults(instance)
        return next(found, None)

    def keep(self, instance: Task) -> None:
        """Nothing to remember."""


def _answer_faults(question: Question) -> Iterator[Reason]:
    if not question.question.strip():
        yield Reason(code="schema", why="question: blank")
    blank = [str(place) for place, answer in enumerate(question.answers) if norm_str(answer) == ""]
    if blank:
        yield Reason(code="empty_answer", why=f"answers: blank at place {listed(blank)}")


def _table_faults(task: WideTask) -> Iterator[Reason]:
    try:
        task.evaluation.checked()
    except InvalidInstance as error:
        yield Reason(code="schema", why=str(error))
    if not task.query.strip():
        yield Reason(code="schema", why="query: missing or blank")
    written = parse_markdown_table(task.answer)
    if written is None:
        yield Reason(code="no_gold_table", why="answer: holds no table")
        return
    yield from _shape_faults(task, written)
    table = gold_table(task)
    if table is not None:
        yield from _cell_faults(task, table)


def _shape_faults(task: WideTask, written: Table) -> Iterator[Reason]:
    if len(parse_markdown_tables(task.answer)) > 1:
        yield Reason(code="several_gold_tables", why="answer: holds more than one table")
    headings = [fold(name) for name in written.columns]
    repeated = sorted({name for name in headings if headings.count(name) > 1})
    if repeated:
        yield Reason(code="repeated_column", why=f"answer: the gold table repeats {listed(repeated)}")
    missing = [name for name in task.evaluation.required if fold(name) not in headings]
    if missing:
        yield Reason(code="missing_column", why=f"answer: the gold table lacks required {listed(missing)}")
    if not written.rows:
        yield Reason(code="no_gold_rows", why="answer: the gold table has no row")
    ragged = _ragged_line(task.answer)
    if ragged:
        yield Reason(code="ragged_row", why=f"answer: line {ragged} has more or fewer cells than the header")


def _ragged_line(markdown: str) -> int:
    """Number of the first table line whose cells do not fit the header, or 0.

    The reader of tables pads and cuts such rows, as it must for a policy's; in gold they are a fault.
    """
    lines = [(number, line.strip()) for number, line in enumerate(markdown.splitlines(), 1) if _PIPE.search(line)]
    sizes = [
        (number, len(_PIPE.split(line.strip("|") if line.endswith("|") else line.lstrip("|"))))
        for number, line in lines
    ]
    return next((number for number, size in sizes if size != sizes[0][1]), 0)


def _cell_faults(task: WideTask, table: Table) -> Iterator[Reason]:
    pipeline = {fold(name): rule for name, rule in task.evaluation.eval_pipeline.items()}
    rules = [pipeline.get(fold(name), ColumnRule()) for name in table.columns]
    for number_of_row, row in enumerate(table.rows, 1):
        for name, cell, rule in zip(table.columns, row, rules, strict=True):
            place = f"answer: row {number_of_row}, column {name}"
            if norm_str(cell) in MISSING:
                yield Reason(code="empty_cell", why=f"{place}: empty")
            elif "number_near" in rule.metric and number(cell) is None:
                yield Reason(code="not_a_number", why=f"{place}: {cell!r} holds no number, the metric is number_near")
    keys = [place for place, name in enumerate(table.columns) if name in task.evaluation.unique_columns]
    seen: dict[tuple[str, ...], int] = {}
    for number_of_row, row in enumerate(table.rows, 1):
        key = tuple(preprocessed(row[place], rules[place]) for place in keys)
        if key in seen:
            shown = " | ".join(row[place] for place in keys)
            yield Reason(
                code="repeated_key", why=f"answer: row {number_of_row} repeats the key of row {seen[key]}: {shown!r}"
            )
        seen.setdefault(key, number_of_row)


@dataclass(frozen=True)
class SizeFilter:
    """Rejects wide tasks with too few or too many gold rows or columns, the key counted. Questions pass."""

    min_rows: int = 4
    max_rows: int | None = None
    min_columns: int = 2
    max_columns: int | None = None

    @property
    def stage(self) -> str:
        """Name of the stage."""
        return "size"

    def check(self, instance: Task) -> Reason | None:
        """The first bound that is broken, or None."""
        if isinstance(instance, Question):
            return None
        table = gold_table(instance)
        rows, columns = (len(table.rows), len(table.columns)) if table else (0, 0)
        for what, size, least, most in (
            ("rows", rows, self.min_rows, self.max_rows),
            ("columns", columns, self.min_columns, self.max_columns),
        ):
            if size < least:
                return Reason(code=f"too_few_{what}", why=f"{size} {what}, at least {least} are asked for")
            if most is not None and size > most:
                return Reason(code=f"too_many_{what}", why=f"{size} {what}, at most {most} are asked for")
        return None

    def keep(self, instance: Task) -> None:
        """Nothing to remember."""
