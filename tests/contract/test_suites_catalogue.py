"""Columns, states and gold of the suites over the Factbook against the published lists and development tasks."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.suites.catalogue import BY_ID, COLUMNS, KEY, shared_border
from services.suites.facts import Country, load_countries
from services.suites.predicates import read_predicate
from services.suites.wide_records import SUITE
from wideseek.tables import parse_markdown_table

pytestmark = pytest.mark.shared_data


@pytest.fixture(scope="module")
def tasks(shared_data: Path) -> list[dict[str, Any]]:
    lines = (shared_data / "factbook" / "tasks_dev.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def fields(shared_data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shared_data / "factbook" / "fields.json").read_text(encoding="utf-8"))
    return found


def test_the_columns_are_the_published_ones(fields: dict[str, Any]) -> None:
    ours = [
        {
            "heading": column.heading,
            "description": column.description,
            "path": column.field,
            "family": column.family,
            "use": column.use,
        }
        for column in COLUMNS
    ]

    assert ours == fields["columns"]


def test_the_states_are_the_published_ones(fields: dict[str, Any]) -> None:
    assert sorted(f"{state.region}/{state.code}" for state in load_countries().values()) == fields["sovereign"]


def test_cells_are_compared_as_in_the_development_tasks(tasks: list[dict[str, Any]]) -> None:
    rules = {"sharedborder": shared_border("").rule, KEY.id: KEY.rule, **{name: BY_ID[name].rule for name in BY_ID}}
    stated = [(name, rule) for task in tasks for name, rule in task["evaluation"]["eval_pipeline"].items()]

    assert len(stated) > 150
    assert all(rule == rules[name] for name, rule in stated)


def _cell(state: Country, heading: str, query: str) -> str | None:
    if heading == "Shared border":
        anchor = next(other for other in load_countries().values() if f"border with {other.definite} in km" in query)
        return state.borders[anchor.code].text
    value = state.values[heading]
    return value.text if value else None


def test_every_gold_cell_of_the_development_tasks_is_what_the_profiles_record(tasks: list[dict[str, Any]]) -> None:
    names = {state.name: state for state in load_countries().values()}
    compared, wrong = 0, []
    for task in tasks:
        table = parse_markdown_table(task["answer"])
        assert table is not None
        for row in table.rows:
            for heading, cell in zip(table.columns[1:], row[1:], strict=True):
                compared += 1
                ours = _cell(names[row[0]], heading, task["query"])
                if ours != cell:
                    wrong.append((task["instance_id"], row[0], heading, cell, ours))

    assert compared == 712
    assert wrong == []


def test_rows_have_the_published_addresses_and_names(tasks: list[dict[str, Any]]) -> None:
    names = {state.name: state for state in load_countries().values()}

    for task in tasks:
        for name, address in task["gold_docs"].items():
            assert names[name].url == address
        for name, others in task["aliases"].get("country", {}).items():
            assert set(others) <= set(names[name].aliases)


def test_the_filters_of_the_development_tasks_have_the_published_answers(tasks: list[dict[str, Any]]) -> None:
    filters = [task for task in tasks if task["difficulty"] == "filter"]
    for task in filters:
        conditions = [read_predicate(text) for text in task["meta"]["predicates"]]
        assert None not in conditions, task["instance_id"]
        searched = [state for state in load_countries().values() if state.region in task["meta"]["regions"]]
        held = {
            state.code: [condition.holds(state) for condition in conditions if condition is not None]
            for state in searched
        }

        assert sorted(code for code, told in held.items() if all(told)) == task["meta"]["answer_codes"]
        assert all(all(told) or False in told for told in held.values()), "undecided"

    assert len(filters) == 13


def test_neighbours_of_the_development_tasks_are_those_of_the_lists(tasks: list[dict[str, Any]]) -> None:
    states = load_countries()
    for task in (task for task in tasks if task["meta"].get("form") == "nb"):
        anchor = next(state for state in states.values() if f"land border with {state.definite}" in task["query"])
        inside = {code for code in anchor.neighbours or () if states[code].region in task["meta"]["regions"]}

        assert sorted(inside) == task["meta"]["answer_codes"]


def test_records_have_the_fields_of_the_development_tasks(tasks: list[dict[str, Any]]) -> None:
    from services.suites.generate import generate  # noqa: PLC0415

    made = generate(SUITE, "dev", 30, seed=1)

    for difficulty in ("named", "neighbours", "filter"):
        published = next(task for task in tasks if task["difficulty"] == difficulty)
        ours = next(task for task in made if task["difficulty"] == difficulty)
        assert list(ours) == list(published)
        assert set(ours["evaluation"]) == set(published["evaluation"])
        assert set(ours["meta"]) == set(published["meta"])
