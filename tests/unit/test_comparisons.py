"""Comparisons, read from words and held against numbers."""

import pytest

from wideseek.comparisons import read_comparison
from wideseek.quantities import quantities


@pytest.mark.parametrize(
    ("text", "operator", "bounds", "words"),
    [
        ("have more than 1,000 km of walls", ">", [1000], "more than 1,000 km"),
        ("have fewer than 10 million inhabitants", "<", [10e6], "fewer than 10 million"),
        ("cost over $5", ">", [5], "over $5"),
        ("cover above 20% of their land", ">", [20], "above 20%"),
        ("became free before 1950", "<", [1950], "before 1950"),
        ("have at least 3 ports", ">=", [3], "at least 3"),
        ("have no more than 5 lakes", "<=", [5], "no more than 5"),
        ("have 3 or more ports", ">=", [3], "3 or more"),
        ("have 3 ports or fewer", "<=", [3], "3 ports or fewer"),
        ("have exactly 4 lakes", "=", [4], "exactly 4"),
        ("have between 2 and 5 million sheep", "between", [2e6, 5e6], "between 2 and 5 million"),
        # Other words between the operator and its number: what is compared is known, no short form of it is.
        ("lie above the mark of 300 m", ">", [300], ""),
    ],
)
def test_a_comparison_is_read_from_its_words(text: str, operator: str, bounds: list[float], words: str) -> None:
    found = read_comparison(text)

    assert found is not None
    assert (found.operator, [bound.value for bound in found.bounds], found.words) == (operator, bounds, words)
    assert words in text[found.start : found.end]


@pytest.mark.parametrize(
    "text",
    ["", "capital", "number of sheep", "births per 1,000 population", "GDP 2023", "Age 65 and over", "between us"],
)
def test_what_compares_nothing_is_no_comparison(text: str) -> None:
    assert read_comparison(text) is None


@pytest.mark.parametrize(
    ("text", "below", "same", "above"),
    [
        ("more than 5", False, False, True),
        ("at least 5", False, True, True),
        ("fewer than 5", True, False, False),
        ("at most 5", True, True, False),
        ("exactly 5", False, True, False),
        ("between 5 and 7", False, True, True),
    ],
)
def test_a_comparison_holds_of_numbers(text: str, *, below: bool, same: bool, above: bool) -> None:
    found = read_comparison(text)

    assert found is not None
    assert (found.holds(4.9), found.holds(5), found.holds(5.1)) == (below, same, above)


@pytest.mark.parametrize(
    ("text", "value", "meant"),
    [
        ("longer than 100 km", "12 ports, 1,055 km, 655 miles", 1055),
        ("more than 20 lakes", "2019: 31", 31),
        ("after 1950", "3 May 1949", 1949),
        ("more than 20 lakes", "31 km", 31),
        ("more than 20 lakes", "since 1949", 1949),
    ],
)
def test_the_number_that_is_meant_is_of_the_same_kind(text: str, value: str, meant: float) -> None:
    found = read_comparison(text)

    assert found is not None
    assert found.meant(quantities(value))[0].value == meant


def test_a_not_before_it_is_told_apart() -> None:
    found = read_comparison("not between 5 and 7 lakes")

    assert found is not None
    assert found.negated
    assert found.words == "between 5 and 7"


def test_four_digits_set_apart_are_no_year() -> None:
    assert [one.year for one in quantities("1960, then 1,960")] == [True, False]
