"""Which lines of a page serve a need."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.factbook import load_entries, plain
from services.retrieval import factbook
from services.retrieval.extract import page_passages

PAGE = """# Tarn

Profile of Tarn, a made-up land.

## Geography
Area > total: 1,240 sq km
Area > land: 1,220 sq km
Elevation > highest point: Mount Fell 1,155 m
Elevation > lowest point: Mere 3 m
Terrain: the highest hills stand in the north, and no point of the south is far from total flatness

## People
Population > total: 22,634
Median age > total: 16.5 years
Median age > male: 15.7 years
"""


def _texts(need: str | None, page: str = PAGE) -> list[str]:
    return [page[passage.start : passage.end] for passage in page_passages(page, need)]


def test_without_a_need_lines_come_in_page_order() -> None:
    found = _texts(None)

    assert found[:3] == ["# Tarn", "Profile of Tarn, a made-up land.", "Area > total: 1,240 sq km"]
    assert all(passage.score == 0 for passage in page_passages(PAGE, " "))


@pytest.mark.parametrize(
    ("need", "line"),
    [
        ("Total area (in square kilometres)", "Area > total: 1,240 sq km"),
        ("elevation of the highest point in metres", "Elevation > highest point: Mount Fell 1,155 m"),
        ("Median age (total population, in years)", "Median age > total: 16.5 years"),
        ("number of people: total population", "Population > total: 22,634"),
    ],
)
def test_the_line_that_serves_the_need_follows_the_introduction(need: str, line: str) -> None:
    found = _texts(need)

    assert found[:2] == ["# Tarn", "Profile of Tarn, a made-up land."]
    assert found[2] == line


@pytest.mark.parametrize(
    "need", ["total area; highest point; median age total", "total area, highest point and median age total"]
)
def test_each_of_several_needs_brings_its_line_forward(need: str) -> None:
    found = _texts(need)

    assert set(found[2:5]) == {
        "Area > total: 1,240 sq km",
        "Elevation > highest point: Mount Fell 1,155 m",
        "Median age > total: 16.5 years",
    }


CROWDED = """# Tarn

A land.

Quartz mines > total: 41
Quartz mines > north: 20
Quartz mines > south: 21
Quartz mines, output: 7 tonnes
Population > total: 90
Population > growth: 2
Population > density: 3
Population > towns: 4
Population > share: 5
"""
"""Common words beside rare ones: `population` stands in five lines, `quartz mines` in four."""


def test_every_ask_has_its_best_line_before_any_has_its_second() -> None:
    found = _texts("quartz mines; population total", CROWDED)

    assert set(found[2:4]) == {"Quartz mines > total: 41", "Population > total: 90"}
    assert found[4].startswith(("Quartz", "Population"))


def test_lines_that_serve_one_ask_alike_do_not_take_the_places_of_another() -> None:
    page = "# X\n\nAbout X.\nCapital: A\nCapital > note: b\nAge > total: 1\nAge > male: 2\nAge > female: 3\n"

    assert set(_texts("age; capital", page)[2:4]) == {"Age > total: 1", "Capital: A"}
    assert set(_texts("age; capital", page)[4:6]) == {"Age > male: 2", "Capital > note: b"}


@pytest.mark.parametrize("need", ["population total; quartz north", "population total\nquartz north"])
def test_the_order_of_asks_does_not_matter_where_each_has_a_line(need: str) -> None:
    found = _texts(need, CROWDED)

    assert set(found[2:4]) == {"Population > total: 90", "Quartz mines > north: 20"}


def test_commas_part_a_sentence_and_belong_to_the_ask_where_semicolons_part_it() -> None:
    both = _texts("quartz north, population density", CROWDED)
    one = _texts("quartz mines, output; population, growth", CROWDED)

    assert set(both[2:4]) == {"Quartz mines > north: 20", "Population > density: 3"}
    assert set(one[2:4]) == {"Quartz mines, output: 7 tonnes", "Population > growth: 2"}


def test_a_need_that_parts_into_nothing_is_one_ask() -> None:
    assert _texts("; quartz north ;", CROWDED)[2] == "Quartz mines > north: 20"
    assert _texts(" ; ", CROWDED) == _texts(None, CROWDED)


def test_a_line_is_scored_by_the_ask_it_serves_best() -> None:
    apart = {p.start: p.score for p in page_passages(CROWDED, "quartz mines")}
    asked = {p.start: p.score for p in page_passages(CROWDED, "quartz mines; population")}

    assert all(asked[start] >= score for start, score in apart.items())
    assert max(asked.values()) == max(apart.values())


def test_lines_know_their_section() -> None:
    by_text = {PAGE[p.start : p.end]: p.section for p in page_passages(PAGE, "median age")}

    assert by_text["Median age > male: 15.7 years"] == "People"


@given(st.text(max_size=600), st.text(max_size=80))
def test_a_need_reorders_the_lines_and_drops_none(page: str, need: str) -> None:
    in_order = {(passage.start, passage.end) for passage in page_passages(page, None)}

    ranked = [(passage.start, passage.end) for passage in page_passages(page, need)]

    assert sorted(ranked) == sorted(in_order)
    assert len(ranked) == len(set(ranked))


@pytest.mark.shared_data
def test_the_line_of_an_asked_field_is_among_the_first_of_its_page(shared_data: Path) -> None:
    columns = json.loads((shared_data / "factbook" / "fields.json").read_text(encoding="utf-8"))["columns"]
    entries = [entry for entry in load_entries() if entry.sovereign][::24]
    ranks = []

    for entry in entries:
        text = factbook.page_text(entry, "a region")
        for column in columns:
            answer = _value(entry.profile, column["path"].split(" > "))
            if answer:
                found = _texts(f"{column['heading']} ({column['description']})", text)
                ranks.append(next(rank for rank, line in enumerate(found) if answer in line))

    assert sum(rank <= 12 for rank in ranks) / len(ranks) >= 0.97


def _value(profile: object, path: list[str]) -> str:
    node = profile
    for name in path:
        node = node.get(name, node.get(f"{name} ", {})) if isinstance(node, dict) else {}
    text = node.get("text", "") if isinstance(node, dict) else ""
    return (plain(text) or [""])[0][:200] if isinstance(text, str) else ""
