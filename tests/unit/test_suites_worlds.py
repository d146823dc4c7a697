"""Worlds of practice: invented regions, shifted numbers, and tasks that only their own pages answer."""

import random
import re
from decimal import Decimal
from itertools import islice
from typing import Any

import pytest

from services.kit.factbook import load_entries, value
from services.retrieval.factbook import pages
from services.suites.facts import load_countries
from services.suites.parsing import Value
from services.suites.regroup import LIMITS, SUITE, World, make_world
from services.suites.renaming import renamed
from services.suites.splits import SPLITS, is_kept_back
from tests.factbook_gold import cells_missing
from wideseek.instances import WideTask

Record = dict[str, Any]
TRAINING = SPLITS["train"].regions


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(load_entries(), 5)


@pytest.fixture(scope="module")
def texts(world: World) -> dict[str, str]:
    return {page.url: page.text for page in pages(world.entries)}


@pytest.fixture(scope="module")
def tasks(world: World) -> list[Record]:
    return list(islice(world.tasks(), 150))


def test_every_profile_of_the_training_regions_stands_once_under_an_invented_region(world: World) -> None:
    real = [entry.code for entry in load_entries() if entry.region in TRAINING]

    assert sorted(entry.code for entry in world.entries) == sorted(real)
    assert not {entry.region for entry in world.entries} & {entry.region for entry in load_entries()}


def test_the_same_seed_makes_the_same_world_and_another_seed_another() -> None:
    filed = [{entry.code: entry.region for entry in make_world(load_entries(), seed).entries} for seed in (5, 5, 6)]

    assert filed[0] == filed[1]
    assert filed[0] != filed[2]


def test_the_real_states_are_left_as_they_are(world: World) -> None:
    assert {state.region for state in load_countries().values()}.isdisjoint(world.split.regions)


def test_most_profiles_bear_invented_names_wherever_they_are_named(world: World, texts: dict[str, str]) -> None:
    real = {entry.code: entry.title for entry in load_entries()}
    told = {entry.code: entry.title for entry in world.entries}
    invented = {code: name for code, name in told.items() if name != real[code]}

    assert 0.6 < len(invented) / len(told) < 0.95
    assert len(set(told.values())) == len(told)
    assert not set(invented.values()) & set(real.values())
    for state in world.atlas.countries.values():
        if state.code in told:
            borders = re.findall(r"^Land boundaries > border countries: (.*)$", texts[state.url], re.MULTILINE)
            for neighbour in (state.neighbours or frozenset()) & told.keys():
                assert re.search(rf"(?<!\w){re.escape(told[neighbour])}(?!\w)", borders[0])


def test_a_name_inside_a_longer_one_is_not_replaced() -> None:
    entries = [entry for entry in load_entries() if entry.code in {"gv", "pu", "ni", "ng"}]
    renamed_one = renamed(entries, {"gv", "ng"}, random.Random(1))
    titles = {entry.code: entry.title for entry in renamed_one}

    assert (titles["pu"], titles["ni"]) == ("Guinea-Bissau", "Nigeria")
    borders = {
        entry.code: value(entry.profile, "Geography", "Land boundaries", "border countries") for entry in renamed_one
    }
    assert f"{titles['gv']} " in borders["pu"]
    assert "Guinea-Bissau" in borders["gv"]
    assert "Nigeria" in borders["ng"]
    assert f"{titles['ng']} " in borders["ni"]


def test_spliced_names_begin_as_a_real_one_does_and_end_as_another() -> None:
    real = {entry.title for entry in load_entries()}
    told = {entry.title for entry in make_world(load_entries(), 5, spliced=1.0).entries} - real
    training = {entry.title for entry in load_entries() if entry.region in TRAINING}
    words = {word for title in training for word in re.findall(r"[A-Z][a-z]{4,}", title)}
    joined = {"Saint", "Equatorial", "South", "Republic", "Islands"}
    invented = {word for name in told for word in re.findall(r"[A-Z][a-z]{4,}", name)} - joined

    heads = {re.split(r"(?<=[aeiouy])(?![aeiouy])", word, maxsplit=1, flags=re.IGNORECASE)[0] for word in words}
    tails = {re.sub(r"^[^aeiouy]*[aeiouy]+", "", word, flags=re.IGNORECASE) for word in words}
    spliced = {head + tail for head in heads for tail in tails}
    assert len(told) > 90
    assert {word for word in invented if word not in spliced and word.removesuffix("s") not in spliced} == set()


def test_no_share_of_spliced_names_is_the_world_as_it_was() -> None:
    plain, spliced = (make_world(load_entries(), 5, spliced=share) for share in (0.0, 0.5))

    assert [entry.title for entry in plain.entries] == [entry.title for entry in make_world(load_entries(), 5).entries]
    assert {entry.title for entry in plain.entries} != {entry.title for entry in spliced.entries}


def test_pages_name_the_region_as_queries_do(world: World, texts: dict[str, str]) -> None:
    for entry in world.entries:
        name = world.atlas.region_names[entry.region]

        assert f"Region: {name} (factbook:{entry.region} lists its countries)" in texts[entry.url]
        assert f"Map references: {name}" in texts[entry.url]
        assert entry.url in texts[f"factbook:{entry.region}"]


def test_lists_hold_territories_among_the_states(world: World, texts: dict[str, str]) -> None:
    lists = [text for url, text in texts.items() if url in {f"factbook:{name}" for name in world.split.regions}]
    mixed = [text for text in lists if "not a sovereign state" in text]

    assert mixed
    assert all(": sovereign state" in text for text in lists)


def test_states_of_a_region_mostly_touch_each_other(world: World) -> None:
    states = [state for state in world.atlas.countries.values() if state.region in world.split.regions]
    joined = [
        state
        for state in states
        if any(world.atlas.countries[code].region == state.region for code in state.neighbours or ())
    ]

    assert len(joined) > len(states) / 2


def test_gold_stands_in_the_pages_of_the_world(tasks: list[Record], texts: dict[str, str]) -> None:
    told = [cells_missing(task, texts) for task in tasks]

    assert sum(looked for looked, _ in told) > 1_500
    assert [missing for _, missing in told if missing] == []


def test_numbers_are_not_the_real_ones(tasks: list[Record]) -> None:
    real = load_countries()
    asked = [task for task in tasks if "Population" in task["meta"]["columns"]]

    assert asked
    for task in asked:
        for code in task["meta"]["answer_codes"]:
            population = real[code].values["Population"]
            assert population is not None
            assert f" {population.text} " not in task["answer"]


def test_tasks_are_of_all_kinds_and_keep_to_what_training_may_ask(world: World, tasks: list[Record]) -> None:
    assert {task["difficulty"] for task in tasks} == {"named", "neighbours", "filter"}
    assert len({task["instance_id"] for task in tasks}) == len(tasks)
    for task in tasks:
        WideTask.model_validate(task)
        assert (task["suite"], task["split"]) == (SUITE, "train")
        assert set(task["meta"]["regions"]) <= set(world.split.regions)
        assert set(task["meta"]["columns"][1:]) <= world.split.headings
        assert not is_kept_back(task["meta"]["answer_codes"])


def test_filters_are_about_few_enough_states_to_look_at_each(world: World, tasks: list[Record]) -> None:
    states = world.atlas.countries.values()
    for task in (task for task in tasks if task["difficulty"] == "filter"):
        searched = [state for state in states if state.region in task["meta"]["regions"]]

        assert len(task["meta"]["answer_codes"]) < len(searched) <= LIMITS.max_searched


def test_neighbours_outside_what_is_asked_about_are_left_out_in_so_many_words(tasks: list[Record]) -> None:
    leaving_out = [task for task in tasks if "counting only states" in task["query"]]

    assert leaving_out
    assert all(task["difficulty"] == "neighbours" for task in leaving_out)


def test_conditions_hold_of_all_rows_as_the_world_has_its_numbers(world: World, tasks: list[Record]) -> None:
    bound = re.compile(r"have a (population|total area) (above|below) ([\d.,]+)( million)?(?: square kilometres)?")
    stated = [(task, bound.fullmatch(text)) for task in tasks for text in task["meta"].get("predicates", [])]
    plain = [(task, match) for task, match in stated if match]

    assert plain
    for task, match in plain:
        heading = {"population": "Population", "total area": "Total area"}[match[1]]
        rows = [world.atlas.countries[code].values[heading] for code in task["meta"]["answer_codes"]]
        assert all(_holds(match, value) for value in rows)


def _holds(match: re.Match[str], value: Value | None) -> bool:
    assert value is not None
    assert value.number is not None
    limit = Decimal(match[3].replace(",", "")) * (1_000_000 if match[4] else 1)
    return value.number > limit if match[2] == "above" else value.number < limit
