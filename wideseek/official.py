"""Tables as the official WideSearch scorer scores them, faults included, so that numbers can be set beside others'.

The order of operations is the scorer's, and it matters: the first `markdown` fence is read as CSV with inferred
types, headings are aligned, cells become text, duplicate keys go, keys are aligned, cells are normalised, rows are
joined on equal keys, cells are compared. Where the official code asks its language model, the `Judge` is asked.

    TP_row = sum over joined rows of the least cell score; TP_item = sum of all; a key cell counts 1
    precision = TP_row / P, TP_item / (P * C); recall = TP_row / G, TP_item / (G * C)

with P and G rows answered and wanted after duplicates are gone, and C required columns. F1 may pass 1, as it does
officially: `wideseek.metrics` is the scorer to train on. Source: WideSearch (arXiv:2508.07999), commit 0e664c3 of
its scorer, with pandas 2.3.1 and dateparser 1.2.2; other versions read other types and dates. This is the one module
of the core that imports pandas: import it only where the official numbers are asked for.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import pandas as pd

from wideseek.instances import ColumnRule, Evaluation, InvalidInstance, Scores, WideTask
from wideseek.official_cells import METRICS, STEPS
from wideseek.ports import Alignment, ColumnPairs, Judge
from wideseek.tables import parse_markdown_table

_FENCE = re.compile(r"```markdown(.*?)```", re.DOTALL)
_UNFENCED = re.compile(r"(?:\|.*\n?)+")
_LEAST_PIPES = 4
_RULING = frozenset("|- :")
_EPSILON = 1e-9
_JUDGED = "llm_judge"
_ALIGNED_KEYS = frozenset({"exact_match", _JUDGED})

_FAULTS: Final = (
    ValueError,  # pandas: a row too many cells long, no header, keys that cannot be joined; a URL in broken brackets
    TypeError,  # number_near without a tolerance; a date with a time zone less one without
    LookupError,  # a step, metric or column that the specification names and nobody knows
    AttributeError,  # a heading twice: its column is then a table
    ArithmeticError,  # dates beyond what a calendar holds
    AssertionError,  # pandas' own checks
    RuntimeError,  # recursion in a date's grammar
    re.error,
    pd.errors.InvalidIndexError,
)
"""What the official scorer, which catches everything, can meet in one task; each gives seven zeros."""

_Column = tuple[str, str]
"""A column and the metric it is compared by."""


class _Unscored(Exception):
    """A fault of a table or of its specification, which officially scores zero. Never an outage."""


@contextmanager
def _official_faults() -> Iterator[None]:
    """Tell faults of the data from everything else: the judge is asked outside of this."""
    try:
        yield
    except _FAULTS as fault:
        raise _Unscored(f"{type(fault).__name__}: {fault}") from fault


async def score_official(response_text: str | None, task: WideTask, judge: Judge) -> Scores:
    """What the official scorer gives this response.

    Raises InvalidInstance when the gold holds no table or lacks a required column (officially such a task is left
    out), and JudgeUnavailable when the judge is down (officially that scores 0).
    """
    gold = gold_frame(task)
    try:
        answer = _read_response(response_text or "")
        if answer is None:
            return Scores()
        return await _score(answer, gold, task, judge)
    except _Unscored:
        return Scores()


async def _score(answer: pd.DataFrame, gold: pd.DataFrame, task: WideTask, judge: Judge) -> Scores:
    evaluation = task.evaluation
    if set(answer.columns) != set(evaluation.required):
        names = Alignment(column="", found=_each_once(answer.columns), wanted=_each_once(evaluation.required))
        answer = answer.rename(columns=dict(await judge.align(names)))
        if set(answer.columns) != set(evaluation.required):
            return Scores()
    answer, gold = _comparable(answer, evaluation), _comparable(gold, evaluation)
    for key in evaluation.unique_columns:
        if _ALIGNED_KEYS & set(evaluation.eval_pipeline.get(key, ColumnRule()).metric):
            answer = await _aligned(answer, gold, key, task, judge)
    answer, gold = _normalised(answer, evaluation), _normalised(gold, evaluation)
    joined = _joined(answer, gold, evaluation)
    compared, same = _compared(joined, evaluation), _same(answer, gold, evaluation)
    columns = {
        column: await _judged(joined, column[0], task, judge) if scores is None else scores
        for column, scores in compared.items()
    }
    return _totals(columns, (len(answer), len(gold)), len(evaluation.required), same=same)


async def _aligned(answer: pd.DataFrame, gold: pd.DataFrame, key: str, task: WideTask, judge: Judge) -> pd.DataFrame:
    """The answer with the keys that the judge knows under other names in the gold's."""
    found, wanted = _each_once(_texts(answer, key)), _each_once(_texts(gold, key))
    aliases = task.aliases.get(key, {})
    return _renamed(answer, key, await judge.align(Alignment(column=key, found=found, wanted=wanted, aliases=aliases)))


def _each_once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def gold_frame(task: WideTask) -> pd.DataFrame:
    """The required columns of the gold, typed as a CSV reader types them.

    Raises InvalidInstance naming the field when there is no table or a required column is missing.
    """
    try:
        frame = pd.read_csv(io.StringIO(task.answer_csv or _as_csv(task.answer)))
    except ValueError as fault:
        raise InvalidInstance(f"answer: cannot be read as CSV: {fault}") from fault
    frame.columns = [_heading(name) for name in frame.columns]
    for name in task.evaluation.required:
        if name not in frame.columns:
            raise InvalidInstance(f"answer: lacks the required column {name!r}")
    return frame[list(task.evaluation.required)].copy()


def _as_csv(markdown: str) -> str:
    table = parse_markdown_table(markdown)
    if table is None:
        raise InvalidInstance("answer: holds no table")
    text = io.StringIO()
    csv.writer(text).writerows([table.columns, *table.rows])
    return text.getvalue()


def _heading(name: str) -> str:
    return name.strip().lower().replace(" ", "")


def find_table(text: str) -> str | None:
    """What the official scorer takes for the table: the first `markdown` fence, else the first run of piped lines."""
    fenced = _FENCE.search(text)
    if fenced:
        return fenced.group(1)
    run = _UNFENCED.search(text) if text.count("|") >= _LEAST_PIPES else None
    return run.group() if run else None


def piped_rows(table: str) -> str:
    """The table's lines as pipe-separated values: rulings and lines without a pipe dropped, cells stripped.

    The first line, header or not, is lower-cased and loses its spaces.
    """
    lines = table.strip().split("\n")
    lines[0] = lines[0].replace(" ", "").lower()
    rows = [line.strip() for line in lines if "|" in line and not set(line.strip()) <= _RULING]
    return "\n".join("|".join(cell.strip() for cell in row.split("|")) for row in rows)


@_official_faults()
def _read_response(text: str) -> pd.DataFrame | None:
    table = find_table(text)
    if table is None:
        return None
    frame = pd.read_csv(io.StringIO(piped_rows(table)), sep="|")
    # Outer pipes make columns without a heading, which pandas names so.
    frame = frame.loc[:, ~frame.columns.str.startswith("Unnamed")].copy()
    frame.columns = [_heading(name) for name in frame.columns]
    return frame


@_official_faults()
def _comparable(frame: pd.DataFrame, evaluation: Evaluation) -> pd.DataFrame:
    """Required cells as text of their inferred values, rows of a key already seen dropped."""
    frame = frame.copy()
    for name in evaluation.required:
        frame[name] = frame[name].astype(str)
    return frame.drop_duplicates(subset=list(evaluation.unique_columns))


@_official_faults()
def _texts(frame: pd.DataFrame, column: str) -> list[str]:
    return [str(cell) for cell in frame[column].tolist()]


@_official_faults()
def _renamed(answer: pd.DataFrame, column: str, names: Mapping[str, str]) -> pd.DataFrame:
    """Keys under the gold's names. The column left beside them keeps such a table from equalling the gold."""
    given = answer[column]
    return answer.assign(**{f"{column}_before_map": given, column: given.apply(lambda key: names.get(key, key))})


@_official_faults()
def _normalised(frame: pd.DataFrame, evaluation: Evaluation) -> pd.DataFrame:
    frame = frame.copy()
    for name, rule in evaluation.eval_pipeline.items():
        for step in rule.preprocess:
            frame[name] = frame[name].apply(lambda cell, step=step: STEPS[step](cell))
    return frame


@_official_faults()
def _joined(answer: pd.DataFrame, gold: pd.DataFrame, evaluation: Evaluation) -> pd.DataFrame:
    """A row for each pair of equal keys; keys that became equal late pair more than once."""
    keys = list(evaluation.unique_columns)
    return pd.merge(gold, answer, on=keys, how="inner", suffixes=("_query", "_response"))


@_official_faults()
def _compared(joined: pd.DataFrame, evaluation: Evaluation) -> dict[_Column, Sequence[float] | None]:
    """Scores of all columns; None where the judge is to say."""
    columns: dict[_Column, Sequence[float] | None] = {}
    for name in evaluation.required:
        if name in evaluation.unique_columns:
            columns[name, "exact_match"] = [1.0] * len(joined)
            continue
        rule = evaluation.eval_pipeline[name]
        for metric in rule.metric:
            columns[name, metric] = None if metric == _JUDGED else _cell_scores(joined, name, metric, rule.criterion)
    return columns


def _cell_scores(joined: pd.DataFrame, name: str, metric: str, criterion: Any) -> list[float]:
    pairs = _pairs(joined, name)
    if not pairs:
        raise ValueError("no key in common, over which the official scorer stumbles")
    return [METRICS[metric](response, gold, criterion) for response, gold in pairs]


def _pairs(joined: pd.DataFrame, name: str) -> list[tuple[str, str]]:
    return list(zip(joined[f"{name}_response"].tolist(), joined[f"{name}_query"].tolist(), strict=True))


async def _judged(joined: pd.DataFrame, name: str, task: WideTask, judge: Judge) -> Sequence[float]:
    """The judge's scores as it gave them; all 0 when it gave another number of them than it was asked for."""
    rule, pairs = task.evaluation.eval_pipeline[name], _pairs(joined, name)
    criterion = "" if rule.criterion is None else str(rule.criterion)
    aliases = _aliases(task.aliases.get(name, {}), rule)
    scores = await judge.judge_column(
        ColumnPairs(column=name, criterion=criterion, pairs=tuple(pairs), aliases=aliases)
    )
    return scores if len(scores) == len(pairs) else [0.0] * len(pairs)


def _aliases(aliases: Mapping[str, Sequence[str]], rule: ColumnRule) -> dict[str, tuple[str, ...]]:
    """Other spellings, normalised as the cells are that they are held against."""

    def normalised(text: str) -> str:
        for step in rule.preprocess:
            text = STEPS[step](text)
        return text

    return {normalised(gold): tuple(normalised(other) for other in others) for gold, others in aliases.items()}


@_official_faults()
def _same(answer: pd.DataFrame, gold: pd.DataFrame, evaluation: Evaluation) -> bool:
    """Whether the tables are one and the same, rows in any order: a success officially, whatever a judge said."""
    if answer.shape != gold.shape:
        return False
    answer, gold = (frame.sort_values(by=list(evaluation.required)).reset_index(drop=True) for frame in (answer, gold))
    return bool(gold.equals(answer))


def _totals(columns: Mapping[_Column, Sequence[float]], rows: tuple[int, int], required: int, *, same: bool) -> Scores:
    answered, wanted = rows
    by_row = sum(min(row) for row in zip(*columns.values(), strict=True))
    by_item = sum(sum(scores) for scores in columns.values())
    precision_by_row, recall_by_row = _ratio(by_row, answered), _ratio(by_row, wanted)
    precision_by_item, recall_by_item = _ratio(by_item, answered * required), _ratio(by_item, wanted * required)
    numbers = {
        "precision_by_row": precision_by_row,
        "recall_by_row": recall_by_row,
        "f1_by_row": _f1(precision_by_row, recall_by_row),
        "precision_by_item": precision_by_item,
        "recall_by_item": recall_by_item,
        "f1_by_item": _f1(precision_by_item, recall_by_item),
    }
    return Scores(score=float(same or all(number == 1.0 for number in numbers.values())), **numbers)


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else 0.0


def _f1(precision: float, recall: float) -> float:
    both = precision + recall
    return 2 * precision * recall / both if both > _EPSILON else 0.0
