"""Shifted profiles, and twins of tasks over them."""

import re
from decimal import Decimal
from typing import Any

import pytest

from services.kit.factbook import load_entries
from services.retrieval.factbook import pages
from services.suites.catalogue import EVERY
from services.suites.facts import load_countries, read_countries
from services.suites.generate import generate
from services.suites.perturb import SHIFTS, perturbed, times
from services.suites.predicates import read_predicate
from services.suites.splits import is_kept_back
from services.suites.twins import NoTwin, Worlds
from services.suites.wide_records import SUITE
from tests.factbook_gold import cells_missing
from wideseek.instances import WideTask
from wideseek.judging import NoJudge
from wideseek.metrics import score_robust
from wideseek.tables import fold, parse_markdown_table

SEED = 11
NUMERIC = [column for column in EVERY if column.read and column.tolerance is not None]
Record = dict[str, Any]


@pytest.fixture(scope="module")
def worlds() -> Worlds:
    return Worlds(load_countries(), read_countries(perturbed(load_entries(), SEED)), SEED)


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    return {page.url: page.text for page in pages(perturbed(load_entries(), SEED))}


@pytest.fixture(scope="module")
def twins(worlds: Worlds) -> list[tuple[Record, Record]]:
    """Originals with their twins."""
    made = []
    for record in [*generate(SUITE, "train", 240, seed=1), *generate(SUITE, "dev", 120, seed=1)]:
        try:
            made.append((record, worlds.twin(record, WideTask.model_validate(record))))
        except NoTwin:
            assert record["difficulty"] == "filter"
    return made


@pytest.mark.parametrize(
    ("digits", "factor", "whole", "shown"),
    [
        ("47,735,685", "0.7", True, "33,414,980"),
        ("1098", "1.5", False, "1647"),
        ("989", "1.5", False, "1,484"),
        ("2.91", "1.2", False, "3.49"),
        ("0.7", "0.8", False, "0.6"),
        ("0.1", "1.3", False, "0.13"),
        ("1", "1.2", False, "1.2"),
        ("1", "1.2", True, "2"),
        ("0", "1.5", False, "0"),
        ("12,345.6", "0.5", False, "6,172.8"),
    ],
)
def test_a_shifted_number_is_written_as_pages_write_numbers(digits: str, factor: str, whole: bool, shown: str) -> None:
    assert times(digits, Decimal(factor), whole=whole) == shown


def test_every_number_of_every_state_is_shifted_and_zero_is_not(worlds: Worlds) -> None:
    for code, state in worlds.real.items():
        for column in NUMERIC:
            real, shifted = state.values[column.heading], worlds.shifted[code].values[column.heading]
            assert (real is None) == (shifted is None), (state.name, column.heading)
            if real and shifted and real.number is not None and shifted.number is not None:
                apart = abs(shifted.number - real.number)
                assert apart >= real.number * Decimal("0.1") if real.number > 0 else real.number == 0 or apart > 0


def test_names_and_neighbours_stay_and_borders_stay_agreed(worlds: Worlds) -> None:
    for code, state in worlds.real.items():
        twin = worlds.shifted[code]
        assert (twin.name, twin.aliases, twin.neighbours) == (state.name, state.aliases, state.neighbours)
        assert twin.values["Capital"] == state.values["Capital"]
        assert twin.values["Highest point"] == state.values["Highest point"]
        assert set(twin.borders) == set(state.borders)
        assert all(worlds.shifted[other].borders[code] == length for other, length in twin.borders.items())


def test_shares_stay_below_100_percent(worlds: Worlds) -> None:
    for state in worlds.shifted.values():
        for heading in ("Forest share", "Urban share", "Internet users", "Unemployment 2024"):
            value = state.values[heading]
            assert value is None or (value.number is not None and value.number <= 100)


def test_values_of_a_field_are_shifted_together() -> None:
    shifted = next(entry for entry in perturbed(load_entries(), SEED) if entry.code == "ml")
    real = next(entry for entry in load_entries() if entry.code == "ml")

    def ratios(section: str, field: str) -> set[float]:
        def numbers(node: Any) -> list[float]:
            texts = [leaf["text"] for leaf in node[section][field].values() if isinstance(leaf, dict)]
            return [float(re.sub(r"[^\d.]", "", text.split(" ")[0])) for text in texts]

        pairs = zip(numbers(shifted.profile), numbers(real.profile), strict=True)
        return {round(new / old, 2) for new, old in pairs}

    assert len(ratios("People and Society", "Population")) == 1
    assert len(ratios("Economy", "Real GDP per capita")) == 1


def test_the_same_seed_shifts_in_the_same_way_and_the_real_profiles_are_left_alone() -> None:
    before = load_entries()

    once, again, other = (perturbed(before, seed) for seed in (1, 1, 2))

    assert once == again
    assert once != other
    assert before == load_entries()


def test_every_numeric_column_is_shifted() -> None:
    assert {column.path[1] for column in NUMERIC} <= set(SHIFTS)


def test_the_gold_of_a_twin_stands_in_the_pages_of_its_world(
    twins: list[tuple[Record, Record]], texts: dict[str, str]
) -> None:
    told = [cells_missing(twin, texts) for _, twin in twins]

    assert sum(looked for looked, _ in told) > 5_000
    assert [missing for _, missing in told if missing] == []


async def test_a_twin_is_scored_1_by_its_gold_and_0_in_the_numbers_that_are_remembered(
    twins: list[tuple[Record, Record]],
) -> None:
    remembered, right = 0, 0.0
    for original, record in twins:
        twin = WideTask.model_validate(record)
        twin.evaluation.checked()
        own = await score_robust(f"```markdown\n{twin.answer}\n```", twin, NoJudge())
        real = await score_robust(f"```markdown\n{original['answer']}\n```", twin, NoJudge())
        assert own.scores.score == 1.0
        table = parse_markdown_table(twin.answer)
        assert table is not None
        for heading, column in zip(table.columns[1:], zip(*(row[1:] for row in table.rows), strict=True), strict=True):
            rule = twin.evaluation.eval_pipeline[fold(heading)]
            if rule.metric == ("number_near",) and "0" not in column:
                remembered += 1
                right += real.columns[fold(heading)]

    assert remembered > 400
    assert right == 0.0


def test_a_twin_keeps_the_query_and_says_what_it_is(twins: list[tuple[Record, Record]]) -> None:
    for original, twin in twins:
        changed = {name for name in original if original[name] != twin[name]}

        assert changed <= {"instance_id", "suite", "answer", "gold_docs", "aliases", "meta"}
        assert twin["instance_id"] == f"{original['instance_id']}-twin-{SEED}"
        assert twin["suite"] == "factbook-wide-twin"
        assert twin["meta"]["twin_of"] == original["instance_id"]
        assert twin["meta"]["rows"] == len(twin["gold_docs"]) == len(twin["meta"]["answer_codes"])
        if original["difficulty"] != "filter":
            assert twin["gold_docs"] == original["gold_docs"]


def test_the_answer_of_a_filter_is_recomputed(twins: list[tuple[Record, Record]], worlds: Worlds) -> None:
    filters = [(original, twin) for original, twin in twins if original["difficulty"] == "filter"]
    for _, twin in filters:
        conditions = [one for text in twin["meta"]["predicates"] if (one := read_predicate(text))]
        searched = [state for state in worlds.shifted.values() if state.region in twin["meta"]["regions"]]
        held = {state.code: [one.holds(state) for one in conditions] for state in searched}

        assert sorted(code for code, told in held.items() if all(told)) == twin["meta"]["answer_codes"]
        assert all(all(told) or False in told for told in held.values())
        assert twin["split"] != "train" or not is_kept_back(twin["meta"]["answer_codes"])

    assert len(filters) > 20
    assert any(original["gold_docs"] != twin["gold_docs"] for original, twin in filters)


def _named(worlds: Worlds, **changes: Any) -> tuple[Record, WideTask]:
    record = generate(SUITE, "train", 1, seed=1, difficulties=["named"])[0] | changes
    return record, WideTask.model_validate(record)


def test_what_has_no_twin_is_told_why(worlds: Worlds) -> None:
    task, _ = _named(worlds)
    (first, *_rest) = task["gold_docs"]
    wrong = re.sub(r"\| \d+(\.\d+)? \|\n", "| 1 |\n", task["answer"], count=1)
    cases: dict[str, Record] = {
        "is no wide task over the Factbook": {"suite": "wiki-wide"},
        "no address of a sovereign state": {"gold_docs": {**task["gold_docs"], first: "factbook:europe"}},
        "meta.predicates: cannot be recomputed": {
            "difficulty": "filter",
            "meta": {**task["meta"], "predicates": ["have a monarchy"]},
        },
        "the profile records": {"answer": wrong},
        "not in the catalogue": {
            "evaluation": {**task["evaluation"], "required": [*task["evaluation"]["required"][:-1], "anthem"]},
            "answer": re.sub(r"\| [^|\n]+ \|\n", "| Anthem |\n", task["answer"], count=1),
        },
    }

    for why, changes in cases.items():
        record, changed = _named(worlds, **changes)
        with pytest.raises(NoTwin, match=re.escape(why)):
            worlds.twin(record, changed)
