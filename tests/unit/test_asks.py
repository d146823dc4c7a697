"""What a page is asked for, and the comparisons that its numbers answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wideseek.asks import answered, facts_of, read_asks, verdicts_in, without_verdicts

PAGE = [
    "World Factbook profile of Kesh.",
    "Area > total: 1,853,000 sq km",
    "Area > land: 1,816,774 sq km",
    "Coastline: 0 km (landlocked)",
    "Elevation > highest point: Old Tor 5,361 m",
    "Land use > forest: 2.5% (2023 est.)",
    "Land use > agricultural land: 32% (2023 est.)",
    "Population > total: 17,833,885 (2025 est.)",
    "Population > male: 8,833,885",
    "Population growth rate: 2.9% (2025 est.)",
    "Death rate: 8.1 deaths/1,000 population (2025 est.)",
    "Birth rate: 38.1 births/1,000 population (2025 est.)",
    "Urbanization > urban population: 24.4% of total population (2023)",
    "Major urban areas - population: 1.2 million Old Kesh (2023)",
    "Real GDP > Real GDP 2023: $34.7 billion (2023 est.)",
    "Real GDP > Real GDP 2022: $33.1 billion (2022 est.)",
    "Independence: 11 August 1960 (from the Crown)",
]


@pytest.mark.parametrize(
    ("need", "line"),
    [
        ("fewer than 10 million inhabitants", "Population > total: 17833885 (not fewer than 10 million) (2025 est.)"),
        ("population above 500,000", "Population > total: 17833885 (above 500,000) (2025 est.)"),
        ("total area below 2 million sq km", "Area > total: 1853000 (below 2 million sq km) sq km"),
        ("coastline longer than 100 km", "Coastline: 0 (not longer than 100 km) km (landlocked)"),
        ("highest point above 5,361 metres", "Elevation > highest point: Old Tor 5361 (not above 5,361 metres) m"),
        ("forest on more than 20% of their land", "Land use > forest: 2.5% (not more than 20%) (2023 est.)"),
        (
            "birth rate above 12 births per 1,000 people",
            "Birth rate: 38.1 (above 12) births/1000 population (2025 est.)",
        ),
        (
            "more than 20% of their population living in urban areas",
            "Urbanization > urban population: 24.4% (more than 20%) of total population (2023)",
        ),
        (
            "real GDP below 34 billion US dollars in 2022",
            "Real GDP > Real GDP 2022: $33.1 billion (below 34 billion) (2022 est.)",
        ),
        ("independence after 1950", "Independence: 11 August 1960 (after 1950) (from the Crown)"),
        (
            "more than 1 million inhabitants; between 2 and 5 million inhabitants",
            "Population > total: 17833885 (more than 1 million, not between 2 and 5 million) (2025 est.)",
        ),
    ],
)
def test_a_comparison_is_answered_behind_the_number_it_is_about(need: str, line: str) -> None:
    shown = answered(PAGE, read_asks(need))

    assert [one for one in shown if verdicts_in(one)] == [line]


@pytest.mark.parametrize(
    "need",
    [
        "",
        "area; population",
        "births per 1,000 population",
        "Age 65 and over, in percent",
        # Nothing on the page is about it.
        "more than 5 submarines",
        # No share is stated under a label that speaks of the coast.
        "coastline on more than 5% of the border",
    ],
)
def test_where_nothing_is_compared_nothing_is_said(need: str) -> None:
    assert answered(PAGE, read_asks(need)) == [line.replace(",", "") for line in PAGE]


def test_every_part_of_a_list_is_compared() -> None:
    line = "Debt: $34.7 billion (2024 est.); $33,000 million (2023 est.); $1.2 trillion (2022)"

    assert answered([line], read_asks("debt above 34 billion")) == [
        "Debt: $34.7 billion (above 34 billion) (2024 est.); $33000 million (not above 34 billion) (2023 est.);"
        " $1.2 trillion (above 34 billion) (2022)"
    ]


@pytest.mark.parametrize(
    ("need", "facts"),
    [
        ("area; fewer than 10 million inhabitants", ["area", "population"]),
        ("birth rate above 12 births per 1,000 people", ["birth rate"]),
        ("real GDP (at parity) below 25 billion US dollars in 2023", ["real GDP (at parity) in 2023"]),
        ("capital;\npopulation", ["capital", "population"]),
        ("lie above the mark of 300 m", ["lie above the mark of 300 m"]),
    ],
)
def test_a_fact_is_asked_for_without_its_comparison(need: str, facts: list[str]) -> None:
    assert [ask.fact for ask in read_asks(need)] == facts
    assert [part.strip() for part in facts_of(need).replace("\n", ";").split(";") if part.strip()] == facts


def test_what_is_said_of_comparisons_is_taken_away_and_other_brackets_stay() -> None:
    shown = "Population: 17833885 (more than 1 million, not more than 20 million) (2025 est.)\nCoast: 0 km (landlocked)"

    assert verdicts_in(shown) == {"more than 1 million", "not more than 20 million"}
    assert without_verdicts(shown) == "Population: 17833885 (2025 est.)\nCoast: 0 km (landlocked)"


@given(st.integers(0, 10**12), st.integers(1, 10**12), st.sampled_from(["more than", "fewer than", "at least"]))
def test_verdicts_are_true_and_taken_away_as_they_were_added(number: int, bound: int, operator: str) -> None:
    (line,) = answered([f"Sheep: {number:,} head (2025 est.)"], read_asks(f"{operator} {bound:,} sheep"))

    (verdict,) = verdicts_in(line)
    true = {"more than": number > bound, "fewer than": number < bound, "at least": number >= bound}[operator]
    assert verdict == f"{'' if true else 'not '}{operator} {bound:,}"
    assert without_verdicts(line) == f"Sheep: {number} head (2025 est.)"
