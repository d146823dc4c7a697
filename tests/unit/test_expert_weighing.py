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
        (17098242, 1000000, "17098242 (8 digits) against 1000000 (7 digits), 8 over 7"),
        (0, 3000, "0 (1 digit) against 3000 (4 digits), 1 under 4"),
        (4573, 5000, "4573 (4 digits) against 5000 (4 digits), 4 under 5"),
        (5120, 5000, "5120 (4 digits) against 5000 (4 digits), 51 over 50"),
        (2.08, 2.1, "2.08 (1 digit) against 2.1 (1 digit), 2.0 under 2.1"),
        (78.6, 78, "78.6 (2 digits) against 78 (2 digits), 78.6 over 78.0"),
        (5000, 5000, "5000 (4 digits) against 5000 (4 digits), the same"),
        (-0.3, 0.5, "-0.3 against 0.5, minus under plus"),
        (-12, -5, "-12 (2 digits) against -5 (1 digit), 2 under 1"),
        (1e-5, 0.1, "0.00001 (1 digit) against 0.1 (1 digit), 0.0 under 0.1"),
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
def test_what_is_compared_tells_the_same_as_the_numbers(number: float, bound: float) -> None:
    one, _, other = (*weighed(number, bound).rsplit(", ", 1)[1].split(), "")[:3]

    if number != bound:
        assert (Decimal(one) > Decimal(other)) == (number > bound)


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
