"""The robust table score: WideSearch's seven numbers, none of which a policy can push above 1 or win by form alone.

    TP_item = right cells of matched rows, key cells among them      TP_row = matched rows with every cell right
    precision = TP / answered, recall = TP / gold, F1 = 2PR / (P + R); answered and gold count rows, or rows x columns

Source of the numbers: WideSearch (arXiv:2508.07999), section 4. The departures from its scorer:

1. The last fenced table after the last `</think>` is the answer; cells are text (`wideseek.scoring.answer_tables`).
2. Keys are aligned, then preprocessed, then duplicates are dropped on both sides (the first row stays), then matched
   one to one. A row named by an alias of a row above it is a duplicate: it costs nothing and earns nothing.
3. An alignment is used only from a value of the response to a value of the gold, and never for a value that is a
   gold key already. Two headings that claim one column both lose it.
4. Cells are compared by `wideseek.scoring.cells`; a spelling that the task itself states for a text cell is right
   too. Judges' scores count as 1 from 0.5 on, else as 0.
5. Columns must be those required, whatever their order; a heading twice is a column too many. With
   `extra_columns="ignore"` others are left out, and of a heading given twice the first column counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from wideseek.concurrency import run_all
from wideseek.errors import ContractViolation
from wideseek.instances import ColumnRule, Evaluation, InvalidInstance, Scores, WideTask
from wideseek.ports import Alignment, ColumnPairs, Judge
from wideseek.scoring.answer_tables import read_answer
from wideseek.scoring.cells import key_form, same_cell
from wideseek.scoring.folding import is_missing, norm_str
from wideseek.tables import Table
from wideseek.values import Frozen

Row = Mapping[str, str]
"""Column id -> cell."""
Key = tuple[str, ...]


class ScoreOptions(Frozen):
    """What may be chosen about scoring."""

    extra_columns: Literal["refuse", "ignore"] = "refuse"
    """`refuse`: a column that was not asked for makes the whole table score 0, as officially."""


AS_OFFICIAL = ScoreOptions()
"""The official rule: the columns asked for, and no other."""


class TableScore(Frozen):
    """A table's scores, and what they were made of; rows are counted without duplicates."""

    scores: Scores = Scores()
    columns: Mapping[str, float] = Field(default_factory=dict)
    """Column id -> right cells / gold rows."""
    rows_answered: int = 0
    rows_gold: int = 0
    rows_matched: int = 0
    rows_right: int = 0
    """Matched rows with every cell right."""
    problem: str = ""
    """Why the table scored 0 as a whole, if it did for its form."""


class _Unscorable(Exception):
    """The response holds nothing to compare; the message says why."""


@dataclass(frozen=True)
class _Scoring:
    """One response against one task."""

    task: WideTask
    required: tuple[str, ...]
    keys: tuple[str, ...]
    rules: Mapping[str, ColumnRule]
    judge: Judge
    options: ScoreOptions


async def score_robust(
    response_text: str | None, task: WideTask, judge: Judge, options: ScoreOptions = AS_OFFICIAL
) -> TableScore:
    """Score the table in a response.

    Raises `InvalidInstance` for a task that cannot be scored, `JudgeUnavailable` when the judge is down. A response
    that holds no table, or one of other columns, scores 0 with the reason in `problem`; a bad cell costs that cell.
    """
    scoring = _scoring(task, judge, options)
    gold = _gold_rows(scoring)
    try:
        answered = await _answered_rows(response_text, scoring)
    except _Unscorable as problem:
        distinct = len(_distinct([(_key(row, scoring), row) for row in gold]))
        return TableScore(columns=dict.fromkeys(scoring.required, 0.0), rows_gold=distinct, problem=str(problem))
    names = await run_all(_aligned_values(column, answered, gold, scoring) for column in scoring.keys)
    renamed = dict(zip(scoring.keys, names, strict=True))
    theirs = _distinct([(_key(row, scoring), row) for row in gold])
    mine = _distinct([(_key(row, scoring, renamed), row) for row in answered])
    pairs = [(mine[key], row) for key, row in theirs.items() if key in mine]
    values = [column for column in scoring.required if column not in scoring.keys]
    right = dict(zip(values, await run_all(_judged(column, pairs, scoring) for column in values), strict=True))
    right |= {column: [True] * len(pairs) for column in scoring.keys}
    return _totalled(right, [right[column] for column in scoring.required], len(pairs), len(mine), len(theirs))


def _scoring(task: WideTask, judge: Judge, options: ScoreOptions) -> _Scoring:
    evaluation: Evaluation = task.evaluation.checked()
    rules = {norm_str(name): rule for name, rule in evaluation.eval_pipeline.items()}
    required = tuple(map(norm_str, evaluation.required))
    return _Scoring(task, required, tuple(map(norm_str, evaluation.unique_columns)), rules, judge, options)


def _gold_rows(scoring: _Scoring) -> list[Row]:
    table = read_answer(scoring.task.answer)
    if table is None:
        raise InvalidInstance("answer: holds no table")
    place = _places([norm_str(name) for name in table.columns])
    missing = [column for column in scoring.required if column not in place]
    if missing:
        raise InvalidInstance(f"answer: lacks the required column {missing[0]!r}")
    return _rows(table, {column: place[column] for column in scoring.required})


async def _answered_rows(response_text: str | None, scoring: _Scoring) -> list[Row]:
    table = read_answer(response_text)
    if table is None:
        raise _Unscorable("no table in the answer")
    headings = await _named_columns([name for name in table.columns if norm_str(name)], scoring)
    named = [headings.get(name, norm_str(name)) for name in table.columns]
    place = _places(named)
    missing = [column for column in scoring.required if column not in place]
    if missing:
        raise _Unscorable(f"no column for: {', '.join(missing)}")
    extra = [name for number, name in enumerate(named) if name and place.get(name) != number]
    extra += [name for name in place if name not in scoring.required]
    if extra and scoring.options.extra_columns == "refuse":
        raise _Unscorable(f"columns not asked for, or given twice: {', '.join(extra)}")
    return _rows(table, {column: place[column] for column in scoring.required})


async def _named_columns(headings: Sequence[str], scoring: _Scoring) -> dict[str, str]:
    """Heading -> required column, where the judge sees one that the text does not show."""
    given = {norm_str(name) for name in headings}
    wanted = tuple(column for column in scoring.required if column not in given)
    found = tuple(dict.fromkeys(name for name in headings if norm_str(name) not in scoring.required))
    if not wanted or not found:
        return {}
    told = await scoring.judge.align(Alignment(column="", found=found, wanted=wanted))
    shown, folded = {norm_str(name): name for name in found}, {norm_str(name): norm_str(name) for name in wanted}
    named = {
        shown[norm_str(origin)]: folded[norm_str(target)]
        for origin, target in told.items()
        if norm_str(origin) in shown and norm_str(target) in folded
    }
    claims = list(named.values())
    return {name: column for name, column in named.items() if claims.count(column) == 1}


async def _aligned_values(
    column: str, answered: Sequence[Row], gold: Sequence[Row], scoring: _Scoring
) -> Mapping[str, str]:
    """Response value -> gold value of one key column, for those whose text does not match already."""
    rule = scoring.rules.get(column)
    if rule is None or rule.metric[0] not in {"exact_match", "llm_judge"}:
        return {}
    wanted = tuple(dict.fromkeys(row[column] for row in gold if not is_missing(row[column])))
    known = {key_form(value, rule) for value in wanted}
    values = dict.fromkeys(row[column] for row in answered)
    found = tuple(value for value in values if not is_missing(value) and key_form(value, rule) not in known)
    if not found or not wanted:
        return {}
    aliases = scoring.task.aliases.get(column, {})
    told = await scoring.judge.align(Alignment(column=column, found=found, wanted=wanted, aliases=aliases))
    return {origin: target for origin, target in told.items() if origin in found and target in wanted}


async def _judged(column: str, pairs: Sequence[tuple[Row, Row]], scoring: _Scoring) -> list[bool]:
    """Whether each matched row's cell of a column is right, in the order of the gold."""
    rule = scoring.rules[column]
    texts = tuple((given[column], gold[column]) for given, gold in pairs)
    aliases = scoring.task.aliases.get(column, {})
    if rule.metric[0] != "llm_judge" or not texts:
        spelt = aliases if rule.metric[0] == "exact_match" else {}
        return [any(same_cell(given, one, rule) for one in (gold, *spelt.get(gold, ()))) for given, gold in texts]
    criterion = "" if rule.criterion is None else str(rule.criterion)
    said = await scoring.judge.judge_column(
        ColumnPairs(column=column, criterion=criterion, pairs=texts, aliases=aliases)
    )
    if len(said) != len(texts):
        raise ContractViolation(f"the judge gave {len(said)} scores for {len(texts)} cells of {column!r}")
    return [
        same_cell(given, gold, rule) if is_missing(given) or is_missing(gold) else score >= 0.5
        for score, (given, gold) in zip(said, texts, strict=True)
    ]


def _places(names: Sequence[str]) -> dict[str, int]:
    """Where each heading stands first; columns without a heading are none."""
    return {name: number for number, name in reversed(list(enumerate(names))) if name}


def _rows(table: Table, place: Mapping[str, int]) -> list[Row]:
    return [{column: row[number] for column, number in place.items()} for row in table.rows]


def _key(row: Row, scoring: _Scoring, renamed: Mapping[str, Mapping[str, str]] | None = None) -> Key:
    values = {column: row[column] for column in scoring.keys}
    if renamed is not None:
        values = {column: renamed[column].get(value, value) for column, value in values.items()}
    return tuple(key_form(value, scoring.rules.get(column)) for column, value in values.items())


def _distinct(keyed: Sequence[tuple[Key, Row]]) -> dict[Key, Row]:
    """The first row of each key, in order."""
    first: dict[Key, Row] = {}
    for key, row in keyed:
        first.setdefault(key, row)
    return first


def _totalled(
    right: Mapping[str, Sequence[bool]], cells: Sequence[Sequence[bool]], matched: int, answered: int, gold: int
) -> TableScore:
    width = len(cells)
    items = sum(sum(column) for column in cells)
    rows = sum(all(row) for row in zip(*cells, strict=True))
    by_row, by_item = _prf(rows, answered, gold), _prf(items, answered * width, gold * width)
    assert all(0 <= value <= 1 for value in (*by_row, *by_item)), "matching is one to one"
    scores = Scores(
        score=float(all(value == 1 for value in (*by_row, *by_item))),
        precision_by_row=by_row[0],
        recall_by_row=by_row[1],
        f1_by_row=by_row[2],
        precision_by_item=by_item[0],
        recall_by_item=by_item[1],
        f1_by_item=by_item[2],
    )
    accuracy = {column: sum(cells) / gold if gold else 0.0 for column, cells in right.items()}
    return TableScore(
        scores=scores,
        columns=accuracy,
        rows_answered=answered,
        rows_gold=gold,
        rows_matched=matched,
        rows_right=rows,
    )


def _prf(right: int, answered: int, gold: int) -> tuple[float, float, float]:
    """Precision, recall and F1 from counts; what has nothing to divide by is 0."""
    precision = right / answered if answered else 0.0
    recall = right / gold if gold else 0.0
    total = answered + gold
    return precision, recall, 2 * right / total if total else 0.0
