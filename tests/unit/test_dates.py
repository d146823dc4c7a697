"""Dates as intervals, by their own words and nothing else."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wideseek.scoring.dates import Interval, near, parse_date


def parsed(text: str) -> Interval:
    date = parse_date(text)
    assert date is not None, text
    return date


@pytest.mark.parametrize(
    "text",
    [
        *("2020-03-05", "2020/3/5", "2020.03.05", "20200305", "5.3.2020", "05.03.2020", "3/5/2020", "03-05-2020"),
        *("5-Mar-2020", "5 March 2020", "March 5, 2020", "Mar. 5 2020", "5th of March, 2020", "2020 March 5"),
        *("Thursday, 5 March 2020", "5 de marzo de 2020", "5. März 2020", "5 mars 2020", "5 марта 2020"),
        *("2020年3月5日", "2020-03-05T23:59:00Z", "2020-03-05T00:00:00+02:00", "2020-03-05 12:30", "~2020-03-05"),
        *("5 March 2020 10:00 EST", "2020-03-05T10:00:00.000+14:00", "2020-03-05 1:00 PM GMT+2"),
        *("2020-03-05[1]", "5 March 2020 (US)", "c. 5 March 2020", "about March 5, 2020", "**2020-03-05**"),
        "5\u00a0March\u00a02020",
    ],
)
def test_one_day_has_many_spellings(text: str) -> None:
    assert parsed(text) == Interval(18326, 18326, "2020-03-05")


@pytest.mark.parametrize(
    ("text", "canonical", "days"),
    [
        ("March 2020", "2020-03", 31),
        ("2020-02", "2020-02", 29),
        ("02/2020", "2020-02", 29),
        ("1900年2月", "1900-02", 28),
        ("2020", "2020", 366),
        ("800", "0800", 366),
        ("AD 79", "0079", 365),
        ("44 BC", "-0043", 365),
        ("44 B.C.E.", "-0043", 365),
        ("公元前44年", "-0043", 365),
        ("March 15, 44 BC", "-0043-03-15", 1),
        ("1990s", "1990-01/1999-12", 3652),
        ("the 19th century", "1801-01/1900-12", 36524),
        ("Q2 2021", "2021-04/2021-06", 91),
        ("2010–2012", "2010/2012", 1096),
        ("2010 to 2012", "2010/2012", 1096),
        ("1-3 May 2020", "2020-05-01/2020-05-03", 3),
        ("May 1–3, 2020", "2020-05-01/2020-05-03", 3),
        ("March–May 2020", "2020-03/2020-05", 92),
        ("29 February – 2 March 2020", "2020-02-29/2020-03-02", 3),
        ("2020-01-01/2020-02-01", "2020-01-01/2020-02-01", 32),
    ],
)
def test_a_partial_date_is_as_long_as_what_it_says(text: str, canonical: str, days: int) -> None:
    assert (parsed(text).text, parsed(text).days) == (canonical, days)


@pytest.mark.parametrize(
    "text",
    [
        *("", "abandoned", "soon", "2020-02-30", "2020-13-01", "12", "0000", "May 5", "opened in 2020", "2021/22"),
        *("12 March", "31 April 2020", "1234567", "2015-2010", "5 Foo 2020", "3 to 4", "2020 - present"),
        "x" * 5000 + "1",
    ],
)
def test_what_is_no_date_through_and_through_is_none(text: str) -> None:
    assert parse_date(text) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("05/06/2020", "2020-05-06"),
        ("05-06-2020", "2020-05-06"),
        ("05.06.2020", "2020-06-05"),
        ("25/05/1979", "1979-05-25"),
        ("07/20/01", "2001-07-20"),
        ("1.1.69", "1969-01-01"),
        ("1.1.68", "2068-01-01"),
    ],
)
def test_numeric_dates_follow_a_stated_rule(text: str, meant: str) -> None:
    assert parsed(text).text == meant


@given(st.dates())
def test_days_are_counted_as_the_calendar_does(day: dt.date) -> None:
    days_since = (day - dt.date(1970, 1, 1)).days

    assert parsed(day.isoformat()).first == days_since
    assert parsed(f"{day.day}.{day.month}.{day.year:04d}").last == days_since


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    date = parse_date(text)

    assert date is None or date.first <= date.last


@pytest.mark.parametrize(
    ("given_date", "gold", "is_near"),
    [
        ("2020-02-01", "2020-01-01", True),
        ("2020-02-02", "2020-01-01", False),
        ("2020-03-20", "March 2020", True),
        ("2020-05-01", "March 2020", True),
        ("2020-05-02", "March 2020", False),
        ("2021-06-01", "2019", False),
        ("1990", "1990", True),
        ("1990", "1992", False),
        ("2020", "2020-07-04", True),
        ("29 November 1 BC", "1 January 1 AD", False),
        ("15 December 1 BC", "1 January 1 AD", True),
    ],
)
def test_dates_are_near_when_at_most_31_days_lie_between(given_date: str, gold: str, is_near: bool) -> None:
    assert near(parsed(given_date), parsed(gold)) is is_near


def test_a_net_over_centuries_catches_no_date() -> None:
    assert not near(parsed("1000–2020"), parsed("1953-05-29"))
    assert not near(parsed("20th century"), parsed("1953"))
    assert near(parsed("20th century"), parsed("20th century"))
