"""Cells as the official scorer compares them; the values were worked out by hand from its published rules."""

from datetime import date

import pytest

from wideseek.official_cells import date_near, extract_number, norm_date, norm_str, number_near, url_match
from wideseek.official_cells import exact_match as exact
from wideseek.official_cells import in_match as inside


@pytest.mark.parametrize(
    ("cell", "normal"),
    [
        ("  **New York** ", "newyork"),
        ("x*y", "xy"),
        ("tab\tstays", "tab\tstays"),
        ("STRASSE ß", "strasseß"),
        ("É", "é"),
    ],
)
def test_text_loses_case_ordinary_spaces_and_asterisks_only(cell: str, normal: str) -> None:
    assert norm_str(cell) == normal


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("1,234.5 km", "1234.5"),
        ("€3.5bn", "3.5"),
        ("45%", "45%"),
        ("45 %", "45"),
        ("4e5", "4"),
        ("10-20", "10"),
        ("2 000", "2"),
        ("-.5", "-.5"),
        ("−5", "5"),
        ("unknown", "NULL"),
    ],
)
def test_the_first_number_of_a_text_is_taken(cell: str, number: str) -> None:
    assert extract_number(cell) == number


@pytest.mark.parametrize(
    ("cell", "day"),
    [("3 March 2020", "2020-03-03"), ("05/06/2020", "2020-05-06"), ("März 1999", "1999-03-01"), ("44 BC", "44 BC")],
)
def test_dates_become_iso_and_other_text_stays(cell: str, day: str) -> None:
    assert norm_date(cell) == day


def test_a_year_borrows_the_current_month() -> None:
    assert norm_date("2020") == f"2020-{date.today().month:02d}-01"


@pytest.mark.parametrize(
    ("response", "gold", "score"),
    [
        ("105", "100", 1.0),
        ("106", "100", 0.0),
        ("-105", "-100", 1.0),
        ("0.001", "0", 0.0),
        ("0", "0.0", 1.0),
        ("50%", "0.5", 1.0),
        ("50", "50%", 0.0),
        ("NULL", "NULL", 1.0),
        ("none", "nil", 0.0),
        ("5", "five", 0.0),
        ("nan", "nan", 0.0),
    ],
)
def test_numbers_are_near_relative_to_the_gold(response: str, gold: str, score: float) -> None:
    assert number_near(response, gold, 0.05) == score


def test_a_tolerance_is_met_in_floating_point_and_no_better() -> None:
    assert number_near("1.1", "1.0", 0.1) == 0.0


def test_two_numbers_without_a_tolerance_are_an_error() -> None:
    with pytest.raises(TypeError):
        number_near("1", "1", None)


@pytest.mark.parametrize(
    ("response", "gold", "score"),
    [
        ("2020-02-01", "2020-01-01", 1.0),
        ("2020-02-02", "2020-01-01", 0.0),
        ("2020-02-01 12:00", "2020-01-01", 1.0),
        ("2020-01-01", "2020-02-01 12:00", 0.0),
        ("no date at all", "who knows when", 1.0),
        ("2020-01-01", "who knows when", 0.0),
    ],
)
def test_dates_are_near_within_31_whole_days(response: str, gold: str, score: float) -> None:
    assert date_near(response, gold, None) == score


def test_a_time_zone_on_one_side_only_is_an_error() -> None:
    with pytest.raises(TypeError):
        date_near("2020-01-01T00:00:00Z", "2020-01-01", None)


@pytest.mark.parametrize(
    ("response", "gold", "score"),
    [
        ("https://a.org/x", "http://a.org/y", 1.0),
        ("https://www.a.org", "https://a.org", 0.0),
        ("https://a.org.", "https://a.org", 0.0),
        ("[A](https://a.org/)", "https://a.org", 1.0),
        ("[A](https://a.org)", "https://a.org", 0.0),
        ("https://a.org:443/", "https://a.org/", 0.0),
        ("a.org", "b.org", 1.0),
        ("a.org", "https://a.org", 0.0),
    ],
)
def test_addresses_match_by_their_hosts_as_the_pattern_cuts_them(response: str, gold: str, score: float) -> None:
    assert url_match(response, gold, None) == score


def test_a_host_in_broken_brackets_is_an_error() -> None:
    with pytest.raises(ValueError, match="IPv6"):
        url_match("https://[a", "https://a.org", None)


def test_texts_match_without_case_and_stand_inside_with_it() -> None:
    assert (exact("PARIS", "Paris", None), exact("Par is", "Paris", None)) == (1.0, 0.0)
    assert (inside("Euro", "Euro, dollar", None), inside("euro", "Euro", None), inside("nan", "Hainan", None)) == (
        1,
        0,
        1,
    )
