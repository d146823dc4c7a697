"""What no response can do to the robust score, for any table; and what the gold of every real task scores."""

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wideseek.instances import Scores, WideTask
from wideseek.judging import DeterministicJudge, NoJudge
from wideseek.metrics import ScoreOptions, score_robust
from wideseek.ports import Judge
from wideseek.scoring.answer_tables import read_answer
from wideseek.scoring.folding import norm_str
from wideseek.tables import Table, render_markdown

settings.register_profile("scorer", max_examples=40, deadline=None)
FEW = settings.get_profile("scorer")
COLUMNS = ("Name", "Place", "Size", "Day", "Site", "Motto")
KEYS = ("name", "place")
RULES: Mapping[str, Any] = {
    "name": {"preprocess": ["norm_str"], "metric": ["exact_match"]},
    "place": {"preprocess": ["norm_str"], "metric": ["in_match"]},
    "size": {"preprocess": ["extract_number"], "metric": ["number_near"], "criterion": 0.1},
    "day": {"preprocess": [], "metric": ["date_near"]},
    "site": {"preprocess": [], "metric": ["url_match"]},
    "motto": {"preprocess": [], "metric": ["llm_judge"], "criterion": "same sense"},
}
ALIASES = {"name": {"Peru": ("Republic of Peru", "Perú (Republic)"), "Mali": ("Soudan",), "1": ("one",)}}
JUDGES = [NoJudge(), DeterministicJudge()]

NAME = st.sampled_from(
    ["Peru", "PERU", "Perú", "Republic of Peru", "Mali", "Soudan", "Niger", "Nigeria", "1", "01", "-"]
)
PLACE = st.sampled_from(["", "north", "North ", "n/a", "south"])
VALUES = (
    st.sampled_from(["1,000", "1000", "1e3", "a lot", "", "5%", "-3"]) | st.text("0123456789,.-e% ", max_size=6),
    st.sampled_from(["2020", "2020-03-05", "5 March 2020", "soon", "1990s", ""]),
    st.sampled_from(["https://a.org", "[x](https://a.org/y)", "a.org", "-"]),
    st.text("ab |\\*", max_size=5),
)
ROW = st.tuples(NAME, PLACE, *VALUES)
TABLES = st.lists(ROW, max_size=7)
ENTITIES = st.lists(st.tuples(st.sampled_from(["Peru", "Mali", "Niger", "1"]), PLACE, *VALUES), max_size=7)
"""Rows of a gold table none of whose names is an alias of another."""


def task_of(rows: Sequence[Sequence[str]], keys: Sequence[str] = KEYS) -> WideTask:
    evaluation = {"required": list(RULES), "unique_columns": list(keys), "eval_pipeline": RULES}
    given = {"instance_id": "a", "evaluation": evaluation, "answer": written(rows), "aliases": ALIASES}
    return WideTask.model_validate(given)


def written(rows: Sequence[Sequence[str]], columns: Sequence[str] = COLUMNS) -> str:
    return render_markdown(Table(columns=tuple(columns), rows=tuple(map(tuple, rows))))


async def scores(answer: str, task: WideTask, judge: Judge, **options: Any) -> Scores:
    return (await score_robust(answer, task, judge, ScoreOptions(**options))).scores


def values(score: Scores) -> list[float]:
    return list(score.model_dump().values())


@pytest.mark.parametrize("judge", JUDGES)
@FEW
@given(gold=TABLES, answer=TABLES)
async def test_every_number_lies_between_zero_and_one(judge: Judge, gold: Any, answer: Any) -> None:
    assert all(0 <= value <= 1 for value in values(await scores(written(answer), task_of(gold), judge)))


@given(answer=st.text() | st.text(st.sampled_from("|-\n `~markdown:NamePlcSizDyoMt\\")))
async def test_no_text_breaks_the_scorer(answer: str) -> None:
    got = await scores(answer, task_of([("Peru", "", "1", "2020", "", "")]), DeterministicJudge())

    assert all(0 <= value <= 1 for value in values(got))


@pytest.mark.parametrize("judge", JUDGES)
@FEW
@given(gold=TABLES, answer=TABLES, dice=st.randoms(use_true_random=False))
async def test_copies_appended_change_nothing(judge: Judge, gold: Any, answer: Any, dice: random.Random) -> None:
    """Rows whose key is there already, in other spelling and with any values: none of the seven numbers moves."""
    copies = (
        [(spelled(row[0], dice), row[1], *dice.choice(answer)[2:]) for row in dice.choices(answer, k=3)]
        if answer
        else []
    )

    before, after = [await scores(written(rows), task_of(gold), judge) for rows in (answer, [*answer, *copies])]

    assert before == after


def spelled(name: str, dice: random.Random) -> str:
    return dice.choice([name, name.upper(), name.lower(), f"**{name}**", f" {name} "])


@pytest.mark.parametrize("judge", JUDGES)
@FEW
@given(gold=ENTITIES, answer=TABLES, dice=st.randoms(use_true_random=False))
async def test_copies_under_an_alias_never_raise_a_number(
    judge: Judge, gold: Any, answer: Any, dice: random.Random
) -> None:
    """Rows for entities already listed, named by one of their aliases, in full or with other values."""
    aliases = {name: others for column in ALIASES.values() for name, others in column.items()}
    listed = [row for row in answer if row[0] in aliases]
    copies = [(dice.choice(aliases[row[0]]), row[1], *dice.choice(answer)[2:]) for row in listed]

    before, after = [await scores(written(rows), task_of(gold), judge) for rows in (answer, [*answer, *copies])]

    assert all(new <= old for new, old in zip(values(after), values(before), strict=True))


@pytest.mark.parametrize("judge", JUDGES)
@FEW
@given(gold=TABLES, answer=TABLES, order=st.permutations(range(len(COLUMNS))))
async def test_the_order_of_columns_changes_nothing(judge: Judge, gold: Any, answer: Any, order: list[int]) -> None:
    turned = written([[row[place] for place in order] for row in answer], [COLUMNS[place] for place in order])

    assert await scores(turned, task_of(gold), judge) == await scores(written(answer), task_of(gold), judge)


@pytest.mark.parametrize("judge", JUDGES)
@FEW
@given(
    gold=TABLES,
    answer=st.lists(ROW, max_size=5, unique_by=lambda row: norm_str(row[0])[:1].replace("r", "p").replace("s", "m")),
    dice=st.randoms(use_true_random=False),
)
async def test_the_order_of_rows_with_distinct_keys_changes_nothing(
    judge: Judge, gold: Any, answer: Any, dice: random.Random
) -> None:
    turned = dice.sample(answer, len(answer))

    assert await scores(written(turned), task_of(gold), judge) == await scores(written(answer), task_of(gold), judge)


@pytest.mark.parametrize("judge", JUDGES)
@FEW
@given(gold=TABLES, answer=TABLES, other=TABLES)
async def test_a_row_that_was_not_asked_for_never_raises_a_number(
    judge: Judge, gold: Any, answer: Any, other: Any
) -> None:
    extra = [(f"Ruritania {number}", *row[1:]) for number, row in enumerate(other)]

    before, after = [await scores(written(rows), task_of(gold), judge) for rows in (answer, [*answer, *extra])]

    assert all(new <= old for new, old in zip(values(after), values(before), strict=True))


@FEW
@given(gold=st.lists(ROW, min_size=1, max_size=6))
async def test_the_gold_scores_one_and_less_when_a_row_is_gone(gold: Any) -> None:
    task = task_of(gold).model_copy(update={"evaluation": without_judged(task_of(gold))})
    distinct = (await score_robust(written(gold), task, NoJudge(), ScoreOptions(extra_columns="ignore"))).rows_gold

    whole = await scores(written(gold), task, NoJudge(), extra_columns="ignore")
    one = await scores(written(gold[:1]), task, NoJudge(), extra_columns="ignore")

    assert values(whole) == [1.0] * 7
    assert one.recall_by_item == pytest.approx(1 / distinct)


def without_judged(task: WideTask) -> Any:
    kept = tuple(name for name in task.evaluation.required if name != "motto")
    return task.evaluation.model_copy(update={"required": kept})


# ---- real tasks -----------------------------------------------------------------------------


def real_tasks(shared_data: Path) -> list[WideTask]:
    paths = sorted(shared_data.glob("*/tasks_dev.jsonl"))
    return [WideTask.model_validate_json(line) for path in paths for line in path.read_text("utf-8").splitlines()]


def with_separators(row: Sequence[str]) -> list[str]:
    return [f"{int(cell):,}" if cell.isascii() and cell.isdigit() and len(cell) > 4 else cell for cell in row]


def gold_of(task: WideTask) -> Table:
    table = read_answer(task.answer)
    assert table is not None
    return table


@pytest.mark.shared_data
@pytest.mark.parametrize("judge", JUDGES)
async def test_every_gold_table_is_a_success_reversed_and_with_separators_too(shared_data: Path, judge: Judge) -> None:
    tasks = real_tasks(shared_data)
    answers = [
        written([with_separators(row) for row in reversed(gold_of(task).rows)], gold_of(task).columns) for task in tasks
    ]

    plain = [await scores(task.answer, task, judge) for task in tasks]
    turned = [await scores(answer, task, judge) for answer, task in zip(answers, tasks, strict=True)]

    assert len(tasks) == 90
    assert {
        task.instance_id for task, one, two in zip(tasks, plain, turned, strict=True) if one.score * two.score < 1
    } == set()


@pytest.mark.shared_data
async def test_a_row_less_or_a_cell_wrong_costs_in_every_task(shared_data: Path) -> None:
    for task in real_tasks(shared_data):
        table = gold_of(task)
        wrong = [[*row[:-1], "wrong"] if number == 0 else row for number, row in enumerate(table.rows)]

        fewer = await scores(written(table.rows[1:], table.columns), task, DeterministicJudge())
        worse = await scores(written(wrong, table.columns), task, DeterministicJudge())

        size = len(table.rows)
        assert fewer.precision_by_row == 1
        assert fewer.recall_by_row == pytest.approx((size - 1) / size)
        assert worse.f1_by_item == pytest.approx(1 - 1 / (size * len(table.columns)))


@pytest.mark.shared_data
async def test_every_alias_in_the_real_tasks_names_its_row(shared_data: Path) -> None:
    tasks = [task for task in real_tasks(shared_data) if task.aliases]
    missed = []
    for task in tasks:
        (key,) = task.evaluation.unique_columns
        table = gold_of(task)
        place = [norm_str(name) for name in table.columns].index(key)
        named = [
            [*row[:place], task.aliases.get(key, {}).get(row[place], (row[place],))[-1], *row[place + 1 :]]
            for row in table.rows
        ]
        got = await scores(written(named, table.columns), task, DeterministicJudge())
        missed += [task.instance_id] if got.score < 1 else []

    assert missed == []
    assert len(tasks) >= 80


@pytest.mark.shared_data
async def test_real_keys_are_never_merged_with_one_another(shared_data: Path) -> None:
    """Each table is answered with the names of another one of its suite: what matches must be the same text."""
    tasks = real_tasks(shared_data)
    for task, other in pairwise(tasks):
        (key,), (others,) = task.evaluation.unique_columns, other.evaluation.unique_columns
        mine, theirs = (column_of(gold_of(one), name) for one, name in ((task, key), (other, others)))
        width = len(gold_of(task).columns)
        rows = [[name, *["x"] * (width - 1)] for name in theirs]

        got = await score_robust(written(rows, columns_from(task, key)), task, DeterministicJudge())

        assert got.rows_matched == len({norm_str(name) for name in mine} & {norm_str(name) for name in theirs})


def column_of(table: Table, name: str) -> list[str]:
    place = [norm_str(heading) for heading in table.columns].index(name)
    return [row[place] for row in table.rows]


def columns_from(task: WideTask, key: str) -> list[str]:
    return [key, *(name for name in task.evaluation.required if name != key)]
