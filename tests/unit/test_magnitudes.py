"""Large numbers in words: worded by hand, compared as they are, and shown on a page without losing a digit."""

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wideseek.magnitudes import compared, value_of, with_magnitudes, without_magnitudes, worded

numbers = st.decimals(min_value=-(10**10), max_value=10**13, places=3).map(float)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0"),
        (443, "443"),
        (999.9, "999"),
        (1000, "1 thousand"),
        (102634, "102 thousand"),
        (999_999, "999 thousand"),
        (17_833_885, "17.8 million"),
        (5e9, "5 billion"),
        (2.345e12, "2.34 trillion"),
        (5e15, "5000 trillion"),
        (-17098242.5, "-17 million"),
        (-0.25, "-0.25"),
        (1e-5, "0.00001"),
    ],
)
def test_by_hand(number: float, words: str) -> None:
    assert worded(number) == words


@pytest.mark.parametrize(
    ("number", "bound", "words"),
    [
        (102634, 5_000_000, ("102 thousand", "5 million")),
        (1_003_000, 1_000_000, ("1.003 million", "1 million")),
        (12_349, 12_345, ("12.349 thousand", "12.345 thousand")),
        (65.4, 60, ("65.4", "60")),
        (5000, 5000, ("5 thousand", "5 thousand")),
    ],
)
def test_two_have_the_digits_it_takes_to_tell_them_apart(number: float, bound: float, words: tuple[str, str]) -> None:
    assert compared(number, bound) == words


@given(numbers, numbers)
def test_words_compare_as_the_numbers_do(number: float, bound: float) -> None:
    one, other = compared(number, bound)

    assert value_of(one).compare(value_of(other)) == Decimal(number).compare(Decimal(bound))


@given(numbers)
def test_what_is_cut_off_is_less_than_a_hundredth(number: float) -> None:
    said = float(value_of(worded(number)))

    assert abs(number) * 0.99 <= abs(said) <= abs(number)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Population: 17,833,885 (2025 est.)", "Population: 17833885 (17.8 million) (2025 est.)"),
        ("water 2,586.4 km, land 12,3", "water 2586.4 (2.58 thousand) km, land 12,3"),
        ("in 1,000, 2,000.", "in 1000 (1 thousand), 2000 (2 thousand)."),
        ("$1,200 million (2023)", "$1200 million (2023)"),
        ("1,2345 and 12,34,567 and 0,5 and v1,000", "1,2345 and 12,34,567 and 0,5 and v1000 (1 thousand)"),
        ("8.1 deaths/1,000 live births, 9 per 1,000 people", "8.1 deaths/1000 live births, 9 per 1000 people"),
        ("borders: Chad 1,196 km; Mali 838 km", "borders: Chad 1196 km; Mali 838 km"),
        ("total: 1,196 km; landlocked", "total: 1196 (1.19 thousand) km; landlocked"),
        ("no number, no comma", "no number, no comma"),
    ],
)
def test_thousands_lose_their_commas_and_show_their_magnitude(line: str, shown: str) -> None:
    assert with_magnitudes(line) == shown


@given(st.integers(0, 10**15))
def test_a_number_keeps_its_digits(number: int) -> None:
    shown = with_magnitudes(f"about {number:,} of them")

    assert shown.split()[1] == str(number)
    assert (number > 999) == bool(re.search(r"\(\d+(\.\d+)? (thousand|[mbtr]+illion)\)", shown))


@given(st.lists(st.integers(0, 10**9) | st.sampled_from(["(2025 est.)", "km", "million", "(3 thousand)"]), max_size=6))
def test_magnitudes_are_taken_away_as_they_were_added(parts: list[int | str]) -> None:
    plain = " ".join(f"{part:,} sq" if isinstance(part, int) else part for part in parts)

    assert without_magnitudes(with_magnitudes(plain)) == plain.replace(",", "")
