"""Facts are read from any plain layout, matched to headings and written as asked."""

import pytest

from services.model.expert.conditions import read_condition
from services.model.expert.headings import Heading
from services.model.expert.matching import Labels
from services.model.expert.pages import listed_lengths, read_entries, read_facts
from services.model.expert.reading import answer, decision, kept_entries
from services.model.expert.values import take

LAYOUTS = {
    "path": "## Land\nRidge > highest peak: Old Tor 1,155 m\nRidge > mean: 343 m",
    "colon": "Highest peak of the ridge: Old Tor 1,155 m\nMean of the ridge: 343 m",
    "nested": "Ridge:\n  - highest peak: Old Tor 1,155 m\n  - mean: 343 m",
    "bullets": "Ridge:\n- highest peak: Old Tor 1,155 m\n- mean: 343 m",
    "bold": "**Ridge, highest peak**: Old Tor 1,155 m\n**Ridge, mean**: 343 m",
    "table": "| Fact | Value |\n| --- | --- |\n| Ridge, highest peak | Old Tor 1,155 m |\n| Ridge, mean | 343 m |",
    "sentence": "The highest peak of Kesh is Old Tor 1,155 m. The mean ridge of Kesh is 343 m.",
    "heading": "## Ridge\n### Highest peak\nOld Tor 1,155 m\n### Mean\n343 m",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_fact_is_found_in_every_layout(layout: str) -> None:
    labels = Labels(read_facts(LAYOUTS[layout]))

    name = answer(labels, Heading("Highest peak", "name of the highest peak"))
    height = answer(labels, Heading("Peak height", "height of the highest peak in metres"))

    assert (name, height) == ("Old Tor", "1155")


@pytest.mark.parametrize(
    ("heading", "value", "expected"),
    [
        (Heading("Sheep", "number of sheep"), "22,634,423 (2025 est.)", "22634423"),
        (Heading("Trade", "in billions of crowns"), "$2.842 trillion (2023 est.)", "2842"),
        (Heading("Trade", "total, in plain digits"), "1.4 million", "1400000"),
        (Heading("Balance", "rate per 1,000"), "-2.82 migrant(s)/1,000 population", "-2.82"),
        (Heading("Lowest height", "height of the lowest point in metres"), "Old Mere -5 m", "-5"),
        (Heading("Height", "in metres"), "Old Tor - 1,155 m", "1155"),
        (Heading("Wood", "percentage of the land"), "8.80% (2023 est.)", "8.8"),
        (Heading("Charter", "date as YYYY-MM-DD"), "22 September 1960 (from the Crown)", "1960-09-22"),
        (Heading("Charter", "date as YYYY-MM-DD"), "July 4, 1776", "1776-07-04"),
        (Heading("Toll", "whether a toll is taken, yes or no"), "yes, at the gates", "yes"),
        (Heading("Toll", "yes or no"), "only on feast days", ""),
        (Heading("Best buyer", "the realm listed first among buyers"), "Kesh 74%, Dorva 20% (2023)", "Kesh"),
        (Heading("Third buyer", "the realm listed third among buyers"), "Kesh 74%, Dorva 20%, Ulm 3%", "Ulm"),
        (Heading("Plate code"), "9XR", "9XR"),
        (Heading("Shared border", "length of the border with Dorva in km"), "Kesh 10 km; Dorva 1,020 km", "1020"),
        (Heading("Rule", "as stated in the page"), "elective council; note - since 1900", "elective council"),
        (Heading("Sheep", "number of sheep"), "NA", ""),
    ],
)
def test_a_value_is_written_as_the_heading_asks(heading: Heading, value: str, expected: str) -> None:
    assert take(heading, value) == expected


def test_the_total_is_the_default_reading() -> None:
    labels = Labels(read_facts("Sheep > rams: 5\nSheep > total: 12\nSheep > ewes: 7"))

    assert answer(labels, Heading("Sheep", "number of sheep")) == "12"


def test_another_year_is_never_passed_off_as_the_year_asked_for() -> None:
    labels = Labels(read_facts("Harvest > 2021: 40 tonnes\nHarvest > 2020: 38 tonnes"))

    assert answer(labels, Heading("Harvest 2020", "in tonnes")) == "38"
    assert answer(labels, Heading("Harvest 2019", "in tonnes")) == ""


@pytest.mark.parametrize("per", ["1,000", "1000"])
def test_a_rate_decides_a_condition_however_thousands_are_set_apart(per: str) -> None:
    labels = Labels(read_facts(f"Birth rate: 5.9 births/{per} population\nLife expectancy at birth > total: 47 years"))
    condition = read_condition("have a birth rate above 7 births per 1,000 population")

    assert condition is not None
    assert decision(labels, condition) == f"5.9 births/{per} population"


def test_a_fact_with_half_the_name_is_another_fact() -> None:
    labels = Labels(read_facts("Mean age of ewes: 4 years\nColour: grey"))

    assert answer(labels, Heading("Median age", "in years")) == ""


def test_entries_that_stand_on_a_line_under_their_mark_are_read() -> None:
    text = "Countries of Low Reach\n- sovereign state: Kesh; the Old See (Inner City)\n- not a sovereign state: Dorva"

    entries = [(entry.name, entry.remark) for entry in read_entries(text)]

    assert entries == [
        ("Kesh", "sovereign state"),
        ("the Old See (Inner City)", "sovereign state"),
        ("Dorva", "not a sovereign state"),
    ]
    assert [name for name, _ in kept_entries(text)] == ["Kesh", "the Old See (Inner City)"]


def test_entries_and_border_lists_are_read() -> None:
    entries = read_entries("# Realms\n- [Kesh](r:1): sovereign\n- Dorva (r:2): no\n* Ulm\nprose - not an entry")
    lengths = list(listed_lengths("Kesh 1,359 km; Dorva (disputed) 12 km, Tar and Belt 20 km and Ulm 3.5 km"))

    assert [(entry.name, entry.url) for entry in entries] == [("Kesh", "r:1"), ("Dorva", "r:2"), ("Ulm", "")]
    assert lengths == [("Kesh", "1359"), ("Dorva", "12"), ("Tar and Belt", "20"), ("Ulm", "3.5")]


@pytest.mark.parametrize(
    ("page", "property_", "said"),
    [
        ("Shore: 0 km (landlocked)", "have a shore", "no"),
        ("Shore: 0 km (landlocked)", "are landlocked", "yes"),
        ("Shore: 0.5 km", "have a shore", "yes"),
        ("Shore: none", "have a shore", "no"),
        ("Shore: 120 km", "have a shore", "yes"),
    ],
)
def test_a_label_over_nothing_says_that_there_is_none(page: str, property_: str, said: str) -> None:
    condition = read_condition(property_)

    assert condition is not None
    assert decision(Labels(read_facts(f"{page}\nSheep: 12")), condition) == said
