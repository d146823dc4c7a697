"""How two numbers compare, told by their digits."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.model.expert.conditions import read_condition
from services.model.expert.weighing import weighed


@pytest.mark.parametrize(
    ("number", "bound", "told"),
    [
        (17098242, 1000000, "17098242 against 1000000, 8 digits over 7"),
        (0, 3000, "0 against 3000, 1 digit under 4"),
        (4573, 5000, "4573 against 5000, 4 digits each, 4 under 5"),
        (5120, 5000, "5120 against 5000, 4 digits each, 51 over 50"),
        (2.08, 2.1, "2.08 against 2.1, 1 digit each, 2.0 under 2.1"),
        (78.6, 78, "78.6 against 78, 2 digits each, 78.6 over 78.0"),
        (5000, 5000, "5000 against 5000, 4 digits each, the same"),
        (-0.3, 0.5, "-0.3 against 0.5, minus under plus"),
        (-12, -5, "-12 against -5, 2 digits under 1"),
        (1e-5, 0.1, "0.00001 against 0.1, 1 digit each, 0.0 under 0.1"),
    ],
)
def test_by_hand(number: float, bound: float, told: str) -> None:
    assert weighed(number, bound) == told


numbers = st.decimals(min_value=0, max_value=10**9, places=3).map(float)


@given(numbers, numbers)
def test_what_is_told_is_what_holds(number: float, bound: float) -> None:
    told = weighed(number, bound).rsplit(", ", 1)[1]

    assert ("over" in told, "under" in told) == (number > bound, number < bound)


@given(numbers, numbers)
def test_prefixes_that_are_compared_tell_the_same_as_the_numbers(number: float, bound: float) -> None:
    *_, told = weighed(number, bound).split(" each, ")
    one, word, other = (*told.split(), "", "")[:3] if " each, " in weighed(number, bound) else ("", "", "")

    if word in {"over", "under"}:
        assert (Decimal(one) > Decimal(other)) == (word == "over")


@pytest.mark.parametrize(
    ("text", "value", "compared"),
    [
        ("have fewer than 10 million inhabitants", "6,219,751 (2025 est.)", (6219751, 10_000_000)),
        ("have between 10 and 20 islands", "25", (25, 20)),
        ("have between 10 and 20 islands", "5", (5, 10)),
        ("have fewer than 10 million inhabitants", "none stated", None),
        ("are landlocked", "0 km (landlocked)", None),
    ],
)
def test_a_condition_says_which_numbers_it_compares(
    text: str, value: str, compared: tuple[float, float] | None
) -> None:
    condition = read_condition(text)

    assert condition is not None
    assert condition.compared(value) == compared
