"""The small grammar of conditions, decided on what pages state."""

import pytest

from services.model.expert.conditions import read_condition, read_conditions


@pytest.mark.parametrize(
    ("text", "value", "held"),
    [
        ("have more than 10 million inhabitants", "12,400,000 (2020 est.)", True),
        ("have fewer than 10 million inhabitants", "12,400,000 (2020 est.)", False),
        ("have at least 3 ports", "3", True),
        ("have at most 3 ports", "4", False),
        ("have 3 or more ports", "2", False),
        ("have between 2 and 5 million sheep", "3.1 million", True),
        ("have between 2 and 5 million sheep", "6.1 million", False),
        ("have a wall longer than 1,000 km", "1,055 km", True),
        ("have forest on more than 20% of their land", "19.5% (2018 est.)", False),
        ("became free before 1950", "3 May 1949 (from the Crown)", True),
        ("became free after 1950", "3 May 1949 (from the Crown)", False),
        ("have no more than 5 lakes", "6", False),
        ("grant free passage", "yes, at the gates", True),
        ("do not grant free passage", "yes", False),
        ("have a motto that contains 'dawn'", "To the Dawn we row", True),
        ("have a motto that contains 'dawn'", "To the dusk", False),
    ],
)
def test_a_condition_is_decided_on_a_stated_value(text: str, value: str, *, held: bool) -> None:
    condition = read_condition(text)

    assert condition is not None
    assert condition.decide(value) is held


def test_a_condition_without_a_value_is_undecided() -> None:
    condition = read_condition("have more than 5 lakes")

    assert condition is not None
    assert condition.decide("") is None


def test_conditions_joined_by_and_are_cut_where_each_has_its_verb() -> None:
    found = read_conditions("have a ridge above 1,000 m and had an income (per head, yearly) below 900 crowns in 2023")

    assert [one.comparison.operator for one in found if one.comparison] == [">", "<"]
    assert "per head, yearly" in found[1].text


def test_the_deciding_fact_is_named_without_the_comparison() -> None:
    condition = read_condition("have land walls totalling more than 1,000 km")

    assert condition is not None
    assert condition.heading.name == "have land walls totalling"
    assert condition.heading.units == {"km"}


@pytest.mark.parametrize(
    ("text", "value", "compared"),
    [
        ("have fewer than 10 million inhabitants", "6,219,751 (2025 est.)", 6219751),
        ("have between 10 and 20 islands", "25", 25),
        ("became free before 1950", "3 May 1949 (from the Crown)", 1949),
        ("have fewer than 10 million inhabitants", "none stated", None),
        ("are landlocked", "0 km (landlocked)", None),
    ],
)
def test_a_condition_says_which_number_it_compares(text: str, value: str, compared: float | None) -> None:
    condition = read_condition(text)

    assert condition is not None
    number = condition.compared(value)
    assert (number.value if number else None) == compared
