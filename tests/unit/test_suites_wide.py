"""The generator of broad questions: splits, reserved answers, gold, wording, order."""

import json
import re
from collections import Counter
from hashlib import sha256
from typing import Any

import pytest

from services.retrieval import factbook
from services.suites.catalogue import COLUMNS, PRACTICE
from services.suites.drafts import Limits
from services.suites.facts import load_countries
from services.suites.generate import composition, generate
from services.suites.predicates import read_predicate
from services.suites.splits import is_kept_back, split_named
from services.suites.wide import Novelty
from services.suites.wide_records import SUITE
from services.suites.wide_wording import plainer
from tests.factbook_gold import cells_missing
from wideseek.errors import InvalidRequest
from wideseek.instances import WideTask
from wideseek.judging import NoJudge
from wideseek.metrics import score_robust
from wideseek.tables import fold, parse_markdown_table

SEEDS = (1, 2, 3)
COUNT = 1_200
TRAIN_COLUMNS = {
    "Country",
    "Capital",
    "Population",
    "Total area",
    "Land boundary",
    "Coastline",
    "Highest point",
    "Highest elevation",
    "Forest share",
    "Median age",
    "Life expectancy",
    "Fertility rate",
    "Infant mortality",
    "Urban share",
    "Birth rate",
}
DEV_COLUMNS = TRAIN_COLUMNS | {
    "Shared border",
    "GDP per capita 2023",
    "GDP 2023",
    "Unemployment 2024",
    "Inflation 2023",
    "Internet users",
}


@pytest.fixture(scope="module")
def train() -> list[dict[str, Any]]:
    return [task for seed in SEEDS for task in generate(SUITE, "train", COUNT, seed)]


@pytest.fixture(scope="module")
def dev() -> list[dict[str, Any]]:
    return [task for seed in SEEDS for task in generate(SUITE, "dev", COUNT // 2, seed)]


def _regions(task: dict[str, Any]) -> set[str]:
    return {address.removeprefix("factbook:").partition("/")[0] for address in task["gold_docs"].values()}


def _hashed(codes: list[str]) -> int:
    return int(sha256(",".join(sorted(codes)).encode()).hexdigest(), 16) % 5


def test_training_tasks_use_nothing_that_is_reserved(train: list[dict[str, Any]]) -> None:
    allowed = {"africa", "europe", "south-america"}
    for task in train:
        assert _regions(task) | set(task["meta"]["regions"]) <= allowed
        assert set(task["meta"]["columns"]) <= TRAIN_COLUMNS | {column.heading for column in PRACTICE}
        assert set(task["meta"]["families"]) <= {"geo", "demo"}
        assert _hashed(task["meta"]["answer_codes"]) != 0
        conditions = [read_predicate(text) for text in task["meta"].get("predicates", [])]
        assert all(one is not None and one.family in {"geography", "demography"} for one in conditions)
        assert sorted(url[-2:] for url in task["gold_docs"].values()) == task["meta"]["answer_codes"]
        assert not re.search(r"airport|heritage|export|internet|anthem|symbol|gdp|inflation|asia", task["query"], re.I)


def test_training_asks_for_every_practice_column_and_development_for_none(
    train: list[dict[str, Any]], dev: list[dict[str, Any]]
) -> None:
    practice = {column.heading for column in PRACTICE}

    assert practice <= {heading for task in train for heading in task["meta"]["columns"]}
    assert not practice & {heading for task in dev for heading in task["meta"]["columns"]}


def test_practice_columns_repeat_no_published_one_and_read_no_field_that_is_kept_for_tests() -> None:
    kept = {column.field for column in COLUMNS if column.use in {"dev", "reserved"}}

    assert not {column.field for column in PRACTICE} & kept
    assert not {column.id for column in PRACTICE} & {column.id for column in COLUMNS}
    assert {column.family for column in PRACTICE} == {"base", "geography", "demography"}
    assert not any(column.field.startswith("Economy") for column in PRACTICE)


def test_development_tasks_use_nothing_that_is_reserved(dev: list[dict[str, Any]]) -> None:
    allowed = {"central-america-n-caribbean", "central-asia", "north-america"}
    for task in dev:
        assert _regions(task) | set(task["meta"]["regions"]) <= allowed
        assert set(task["meta"]["columns"]) <= DEV_COLUMNS
        assert set(task["meta"]["families"]) <= {"geo", "demo", "econ"}
        economic = {"GDP per capita 2023", "GDP 2023", "Unemployment 2024", "Inflation 2023", "Internet users"}
        if economic & set(task["meta"]["columns"]) or "econ" in task["meta"]["families"]:
            assert task["meta"]["cell"] == "dev econ"


@pytest.mark.parametrize("split", ["test", "all", "", "Train"])
def test_any_other_split_is_refused(split: str) -> None:
    with pytest.raises(InvalidRequest, match="reserved"):
        generate(SUITE, split, 1, seed=0)


def test_a_fifth_of_the_answer_sets_is_kept_back_and_single_countries_never() -> None:
    codes = sorted(load_countries())
    pairs = [codes[place : place + 2] for place in range(len(codes) - 1)]

    kept = [is_kept_back(pair) for pair in pairs]

    assert kept == [_hashed(pair) == 0 for pair in pairs]
    assert 0.1 < sum(kept) / len(kept) < 0.3
    assert not any(is_kept_back([code]) for code in codes)
    assert is_kept_back(("b", "a", "b")) == is_kept_back(("a", "b"))
    assert split_named("dev").may_answer(pairs[kept.index(True)])
    assert not split_named("train").may_answer(pairs[kept.index(True)])


def test_every_gold_cell_stands_in_its_document(train: list[dict[str, Any]], dev: list[dict[str, Any]]) -> None:
    texts = {page.url: page.text for page in factbook.documents()}

    told = [cells_missing(task, texts) for task in train + dev]

    assert sum(looked for looked, _ in told) > 100_000
    assert [missing for _, missing in told if missing] == []


async def test_every_task_loads_is_checked_and_scores_1_against_itself(
    train: list[dict[str, Any]], dev: list[dict[str, Any]]
) -> None:
    for place, record in enumerate(train + dev):
        task = WideTask.model_validate(json.loads(json.dumps(record)))
        table = parse_markdown_table(task.answer)

        task.evaluation.checked()

        assert table is not None
        assert [fold(name) for name in table.columns] == list(task.evaluation.required)
        assert all(cell for row in table.rows for cell in row)
        assert set(task.gold_docs) == {row[0] for row in table.rows}
        if place % 20 == 0:
            scored = await score_robust(f"```markdown\n{task.answer}\n```", task, NoJudge())
            assert scored.scores.score == 1.0, scored.problem


def test_tasks_keep_to_their_limits() -> None:
    made = generate(SUITE, "train", 300, seed=4, limits=Limits(6, 8, 4, 4))

    assert {task["meta"]["rows"] for task in made} == {6, 7, 8}
    assert {len(task["meta"]["columns"]) for task in made} == {4}


def test_no_task_repeats_another_or_nearly_does(train: list[dict[str, Any]]) -> None:
    tasks = train[:COUNT]
    by_columns: dict[frozenset[str], list[frozenset[str]]] = {}
    for task in tasks:
        codes = frozenset(task["meta"]["answer_codes"])
        others = by_columns.setdefault(frozenset(task["evaluation"]["required"]), [])
        assert all(len(codes & other) / len(codes | other) <= 0.7 for other in others)
        others.append(codes)
    uses = Counter(tuple(task["meta"]["answer_codes"]) for task in tasks)

    assert len({task["query"] for task in tasks}) == len({task["instance_id"] for task in tasks}) == COUNT
    assert max(uses.values()) <= 3


def test_what_nearly_repeats_a_task_is_told_by_its_countries_and_columns() -> None:
    novelty = Novelty(per_answer=2, max_jaccard=0.7)
    codes, columns = frozenset("abcdefghij"), frozenset({"x", "y"})

    assert novelty.takes(codes, columns)
    assert not novelty.takes(codes, columns)
    assert not novelty.takes(codes - {"a"}, columns)
    assert novelty.takes(codes - {"a", "b", "c"}, columns), "7 of 10 is the limit"
    assert novelty.takes(codes, frozenset({"x", "z"}))
    assert novelty.is_used_up(codes)
    assert not novelty.takes(codes, frozenset({"z"}))


def test_a_seed_makes_the_same_tasks_and_more_of_them_begin_with_fewer() -> None:
    many, few = generate(SUITE, "train", 60, seed=5), generate(SUITE, "train", 20, seed=5)

    assert many == generate(SUITE, "train", 60, seed=5)
    assert many[:20] == few
    assert many != generate(SUITE, "train", 60, seed=6)


def test_difficulties_take_turns_and_each_is_worded_in_several_ways(train: list[dict[str, Any]]) -> None:
    begins: dict[str, set[str]] = {}
    for task in train:
        begins.setdefault(task["difficulty"], set()).add(" ".join(task["query"].split()[:3]))

    assert composition(train[:COUNT]) == {"named": 400, "neighbours": 400, "filter": 400}
    assert all(len(ways) >= 4 for ways in begins.values()), begins


def test_a_query_says_all_that_its_answer_depends_on(train: list[dict[str, Any]]) -> None:
    states = load_countries()
    for task in train:
        query, meta = task["query"], task["meta"]
        assert f"exactly the columns {', '.join(meta['columns'])}, in that order" in query
        assert "```markdown" in query
        assert "January 2026" in query
        if task["difficulty"] == "named":
            assert all(states[code].definite in query for code in meta["answer_codes"])
        if task["difficulty"] == "filter":
            assert " and ".join(meta["predicates"]) in query


def test_filters_rest_on_no_value_near_a_threshold_and_on_no_unknown_one(train: list[dict[str, Any]]) -> None:
    states = load_countries().values()
    filters = [task for task in train if task["difficulty"] == "filter"]
    for task in filters[::10]:
        conditions = [one for text in task["meta"]["predicates"] if (one := read_predicate(text))]
        searched = [state for state in states if state.region in task["meta"]["regions"]]
        held = {state.code: [one.holds(state) for one in conditions] for state in searched}

        assert not any(one.near(state) for one in conditions for state in searched)
        assert all(all(told) or False in told for told in held.values())
        assert sorted(code for code, told in held.items() if all(told)) == task["meta"]["answer_codes"]

    assert len(filters) >= COUNT


def test_neighbours_are_those_of_lists_that_resolve(train: list[dict[str, Any]], dev: list[dict[str, Any]]) -> None:
    states = load_countries()
    names = {state.definite: state for state in states.values()}
    for task in (task for task in train + dev if task["difficulty"] == "neighbours"):
        said = re.search(r"border with (.+?)(?: or with (.+?) \(or with both\))?(?:,|\.| based|$)", task["query"])
        assert said is not None
        own = re.search(r"(?:covers|take|find|countries:) (.+?) and every sovereign state", task["query"])
        anchors = [names[name] for name in (own[1] if own else said[1], said[2]) if name]
        near = frozenset[str]().union(*(anchor.neighbours or frozenset() for anchor in anchors))
        expected = near | {anchors[0].code} if own else near - {anchor.code for anchor in anchors}
        inside = {code for code in expected if states[code].region in split_named(task["split"]).regions}

        assert sorted(inside) == task["meta"]["answer_codes"], task["query"]
        assert ("counting only states" in task["query"]) == (len(inside) < len(expected))
        assert all(anchor.neighbours for anchor in anchors)


def test_more_than_there_are_is_an_error_that_counts_them() -> None:
    with pytest.raises(InvalidRequest, match=r"5,000 tasks of factbook-wide for dev were asked for, there are \d+$"):
        generate(SUITE, "dev", 5_000, seed=1, difficulties=["neighbours"])


@pytest.mark.parametrize(("suite", "difficulty"), [("factbook-long", "named"), (SUITE, "hard")])
def test_unknown_suites_and_difficulties_are_refused(suite: str, difficulty: str) -> None:
    with pytest.raises(InvalidRequest, match="unknown; there are"):
        generate(suite, "train", 1, seed=1, difficulties=[difficulty])


def test_progress_is_told_task_by_task() -> None:
    told: list[int] = []

    generate(SUITE, "train", 5, seed=1, difficulties=["named"], progress=told.append)

    assert told == [1, 2, 3, 4, 5, 5]


@pytest.mark.parametrize(
    ("described", "columns"),
    [
        (True, "Country (its name); Area (in km (land)); and Highest point (its name)."),
        (False, "Country; Area; and Highest point."),
    ],
)
def test_a_plain_query_says_nothing_of_values_and_form(described: bool, columns: str) -> None:
    rows = "Compare the following 2 countries: Congo (Kinshasa) and Chad. For each one give: "
    query = rows + "Country (its name); Area (in km (land)); and Highest point (its name)."
    closing = " Take the values that the profiles record (snapshot). Answer with one Markdown table."

    assert plainer(query + closing, described=described) == rows + columns
    assert plainer(query, described=described) == query
