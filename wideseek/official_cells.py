"""Cells as the official WideSearch scorer compares them: steps that normalise, metrics that give 0 or 1.

Both sides are text. What looks like a fault here (two dates that cannot be read are equal, so are two texts
without a URL, an exponent is no part of a number) is the official behaviour, kept on purpose; `wideseek.metrics`
is the scorer to trust. Source: WideSearch (arXiv:2508.07999) and its published scorer, commit 0e664c3.
"""

import re
import warnings
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import dateparser

_NUMBER = re.compile(r"[-+]?\d*\.\d+%?|[-+]?\d+\.?\d*%?")
_URL = re.compile(r"https?://(?:[a-zA-Z0-9]|[$-_@.&+]|[!*\\(),]|%[0-9a-fA-F]{2})+")
_NEAR_DAYS = 31

_UNREADABLE: Final = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, re.error)
"""What dateparser raises over text that only resembles a date: impossible days, years beyond 9999, unknown zones."""

CellMetric = Callable[[str, str, Any], float]
"""Response, gold and criterion in, 0 or 1 out."""


def norm_str(cell: str) -> str:
    """Lower case, ends stripped, ordinary spaces and asterisks deleted; nothing else is folded."""
    return cell.lower().strip().replace(" ", "").replace("*", "")


def extract_number(cell: str) -> str:
    """The first number, commas deleted, a percent sign that touches it kept; `NULL` where there is none."""
    found = _NUMBER.search(cell.replace(",", ""))
    return found.group() if found else "NULL"


def norm_date(cell: str) -> str:
    """The date as `YYYY-MM-DD`, a missing month being today's; text that is no date stays as it is."""
    found = _date(cell)
    return cell if found is None else found.strftime("%Y-%m-%d")


def _date(text: str) -> datetime | None:
    """The date as dateparser reads it today. Raises what dateparser raises."""
    return _date_on(text, datetime.now().date())


@lru_cache(maxsize=8_192)
def _date_on(text: str, today: date) -> datetime | None:
    """As `_date`, remembered for the day: text that is no date is tried in some 200 languages, which takes its time."""
    del today  # part of the key only: what a text leaves open is filled in from the clock
    with warnings.catch_warnings():
        # strptime warns of a day and month without a year; dateparser fills the year in itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        found: datetime | None = dateparser.parse(text, settings={"PREFER_DAY_OF_MONTH": "first"})
    return found


STEPS: Final[dict[str, Callable[[str], str]]] = {
    "norm_str": norm_str,
    "extract_number": extract_number,
    "norm_date": norm_date,
}
"""What `preprocess` may name."""


def exact_match(response: str, gold: str, _criterion: Any) -> float:
    """The same text, case aside."""
    return float(response.lower() == gold.lower())


def in_match(response: str, gold: str, _criterion: Any) -> float:
    """The response stands in the gold, case-sensitive; an empty one always does."""
    return float(response in gold)


def url_match(response: str, gold: str, _criterion: Any) -> float:
    """The same set of hosts, so also none on either side. Raises ValueError for a host in broken brackets."""
    return float(_hosts(response) == _hosts(gold))


def _hosts(text: str) -> set[str]:
    return {urlsplit(url).netloc for url in _URL.findall(text)}


def number_near(response: str, gold: str, criterion: Any) -> float:
    """|r - g| <= |g| * criterion; where neither is a number, the same text.

    Raises TypeError when two numbers meet a criterion that is none.
    """
    given, wanted = _number(response), _number(gold)
    if given is None or wanted is None:
        return float(given is None and wanted is None and response == gold)
    return float(abs(given - wanted) <= abs(wanted) * criterion)


def _number(text: str) -> float | None:
    try:
        return float(text.replace("%", "")) / 100.0 if "%" in text else float(text)
    except ValueError:
        return None


def date_near(response: str, gold: str, _criterion: Any) -> float:
    """At most 31 days apart, whole days rounded down; also where neither is a date, whatever they say.

    Raises TypeError when only one of two dates has a time zone.
    """
    given, wanted = _date_or_none(response), _date_or_none(gold)
    if given is None or wanted is None:
        return float(given is None and wanted is None)
    return float(abs((given - wanted).days) <= _NEAR_DAYS)


def _date_or_none(text: str) -> datetime | None:
    try:
        return _date(text)
    except _UNREADABLE:
        return None


METRICS: Final[dict[str, CellMetric]] = {
    "exact_match": exact_match,
    "in_match": in_match,
    "url_match": url_match,
    "number_near": number_near,
    "date_near": date_near,
}
"""What `metric` may name, `llm_judge` aside, which judges whole columns."""
