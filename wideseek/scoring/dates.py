"""Calendar dates as intervals of days: `2020` is a year long, `March 2020` a month, `20 March 2020` a day.

Nothing is borrowed from today and no locale is guessed. Read in full or not at all; what may stand around a date
is a weekday, a time of day, a zone, `c.` or `about`, and a note in brackets at the end. Forms:

    2020-03-20   2020/3/20   2020-03   3/2020   20200320   2020   2020-03-20T10:00Z   (zones shift nothing)
    20 March 2020   March 20, 2020   20th of March, 2020   20-Mar-2020   March 2020   2020年3月20日
    20.3.2020 is day.month.year; 3/20/2020 and 3-20-2020 are month/day/year, or day/month/year where only that exists
    two-digit years are 1969-2068 (POSIX)         44 BC   AD 79   1990s   19th century   Q1 2020
    2010-2015, 2010 to 2015, 1-3 May 2020, March-May 2020: from the first day to the last

Years before Christ count astronomically (44 BC is -43) in the proleptic Gregorian calendar.
"""

import re
import unicodedata
from dataclasses import dataclass

from wideseek.scoring.months import MONTHS

NEAR_DAYS = 31
"""`date_near` lets this many days lie between two dates."""

_WIDE_DAYS = 366
_WEEKDAY = re.compile(r"^(?:mon|tues?|wed(?:nes)?|thur?s?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+")
_ABOUT = re.compile(
    r"^(?:ca?\.|[~≈]|(?:ca?|circa|about|around|approx\.?|approximately|early|mid|late|in|on)(?=[\s-]))[\s-]*"
)
_NOTE = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\])$")
_TIME = re.compile(
    r"(?<=\d)(?:t|,?\s+)\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s*(?:[a-z]{1,5}|[+-]\d{1,2}(?::?\d{2})?))*$"
)
_ERA = re.compile(r"^(?:(ad|ce)\s+)?(.*?)(?:\s*(b\.?c\.?(?:e\.?)?|a\.?d\.?|c\.?e\.?))?$")
_BETWEEN = re.compile(
    r"\s+(?:to|until|till|through)\s+|\s*[–—]\s*|\s+-\s+|(?<=[^\W\d_])-(?=[^\W\d_])|\s*/\s*(?=\d{4}-)"
)
_SHORT = re.compile(r"(\d{4})-(\d{4})|(\d{1,2})-(\d{1,2}\D.*)|(\D.*?\s\d{1,2})-(\d{1,2},?\s+\d{4})")
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_YMD = re.compile(r"(\d{4})(?:-(\d{1,2})-(\d{1,2})|/(\d{1,2})/(\d{1,2})|\.(\d{1,2})\.(\d{1,2})|(\d{2})(\d{2}))")
_YM = re.compile(r"(\d{4})[-/.](\d{1,2})")
_MY = re.compile(r"(\d{1,2})[/.](\d{4})")
_DMY = re.compile(r"(\d{1,2})([./-])\s?(\d{1,2})\2\s?(\d{4}|\d{2})\.?")
_CJK = re.compile(r"(\d{1,4})\s*年(?:\s*(\d{1,2})\s*月)?(?:\s*(\d{1,2})\s*[日号])?")
_NAMED = (
    (2, r"(?P<d>\d{1,2})(?:st|nd|rd|th|er|º|\.)?[\s-]*(?:of |de )?(?P<m>[^\W\d_]+)\.?,?[\s-]*(?:de )?(?P<y>\d+)"),
    (4, r"(?P<m>[^\W\d_]+)\.?[\s-]*(?P<d>\d{1,2})(?:st|nd|rd|th)?(?:,\s*|\s+|-)(?P<y>\d+)"),
    (3, r"(?P<m>[^\W\d_]+)\.?,?[\s-]*(?:de |of )?(?P<y>\d+)"),
    (4, r"(?P<y>\d+)[\s-]*(?P<m>[^\W\d_]+)\.?(?:[\s-]*(?P<d>\d{1,2}))?"),
)
"""Forms with a month's name, and how many digits their year must have where no era is named."""
_FORMS = tuple((digits, re.compile(form)) for digits, form in _NAMED)
_DECADE = re.compile(r"(?:the )?(\d{3})0['’]?s")
_CENTURY = re.compile(r"(?:the )?(\d{1,2})(?:st|nd|rd|th) century")
_QUARTER = re.compile(r"q([1-4])[ /-]?(\d{4})|(\d{4})[ /-]?q([1-4])")
_DAYS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True)
class Interval:
    """Days `first` to `last`, both included, counted from 1970-01-01."""

    first: int
    last: int
    text: str
    """Canonical: `2020-03-20`, `2020-03`, `2020`, or `first/last`."""

    @property
    def days(self) -> int:
        """How many days it covers."""
        return self.last - self.first + 1


def parse_date(text: str) -> Interval | None:
    """The interval a text names, or None when it is no date through and through."""
    if iso := _ISO.fullmatch(text):
        return _interval(*map(int, iso.groups())) if iso.group(1) != "0000" else None
    said = unicodedata.normalize("NFKC", text).strip().strip("*_").casefold()
    said = " ".join(said.replace("−", "-").split())
    if len(said) > 80 or not any(character.isdigit() for character in said):
        return None
    bare = said
    while (trimmed := _TIME.sub("", _NOTE.sub("", _ABOUT.sub("", _WEEKDAY.sub("", bare))))) != bare:
        bare = trimmed
    return _range(bare) or _single(bare)


def near(given: Interval, gold: Interval) -> bool:
    """Whether at most 31 days lie between them.

    A wide net catches nothing: an answer that covers more than a year, and more than the gold does, is not near.
    """
    if given.days > max(_WIDE_DAYS, gold.days):
        return False
    return max(given.first, gold.first) - min(given.last, gold.last) <= NEAR_DAYS


def _range(text: str) -> Interval | None:
    parts = _BETWEEN.split(text)
    if len(parts) == 2:
        return _joined(parts[0], parts[1])
    short = _SHORT.fullmatch(text)
    if short is None:
        return None
    first, last = (part for part in short.groups() if part is not None)
    return _joined(first, last)


def _joined(first: str, last: str) -> Interval | None:
    """The interval from one date to another; what the one leaves out (its month, its year), the other says."""
    end = _single(_completed(last, first))
    start = _single(_completed(first, last))
    if start is None or end is None or start.first > end.last:
        return None
    return Interval(start.first, end.last, f"{start.text}/{end.text}" if start != end else start.text)


def _completed(part: str, other: str) -> str:
    """`1` beside `3 May 2020` is `1 May 2020`; `March` beside `May 2020` is `March 2020`."""
    if re.fullmatch(r"\d{1,2}", part) and (rest := re.search(r"\d{1,2}(\D.*\d{4})$", other)):
        return part + rest.group(1)
    if re.fullmatch(r"\d{1,2},?\s+\d{4}", part) and (month := re.match(r"[^\W\d_]+", other)):
        return f"{month.group()} {part}"
    if not re.search(r"\d{3}", part) and (year := re.search(r"\d{4}$", other)):
        return f"{part} {year.group()}"
    return part


def _single(text: str) -> Interval | None:
    era = _ERA.fullmatch(text)
    assert era is not None, "the pattern matches every line"
    body, after = era.group(2), (era.group(3) or "").replace(".", "")
    if text.startswith("公元前"):
        body, after = text[3:], "bc"
    dated = bool(after or era.group(1))
    named = _numeric(body) or _in_words(body, dated=dated)
    if named is None and re.fullmatch(r"\d{1,4}" if dated else r"\d{3,4}", body):
        named = (int(body), None, None)
    if named is None or not named[0]:
        return None if after else _period(body)
    year, month, day = named
    return _interval(1 - year if after.startswith("b") else year, month, day)


def _numeric(text: str) -> tuple[int, int | None, int | None] | None:
    if found := _YMD.fullmatch(text):
        month, day = (int(part) for part in found.groups()[1:] if part is not None)
        return int(found.group(1)), month, day
    if found := _YM.fullmatch(text):
        return int(found.group(1)), int(found.group(2)), None
    if found := _MY.fullmatch(text):
        return int(found.group(2)), int(found.group(1)), None
    if found := _CJK.fullmatch(text):
        parts = [None if part is None else int(part) for part in found.groups()]
        return parts[0] or 0, parts[1], parts[2]
    if found := _DMY.fullmatch(text):
        first, second, year = int(found.group(1)), int(found.group(3)), _full_year(found.group(4))
        day_first = found.group(2) == "." or first > 12
        return (year, second, first) if day_first else (year, first, second)
    return None


def _in_words(text: str, *, dated: bool) -> tuple[int, int | None, int | None] | None:
    for digits, form in _FORMS:
        found = form.fullmatch(text)
        if found is None or not (1 if dated else digits) <= len(found["y"]) <= 4 or not _month(found["m"]):
            continue
        parts = found.groupdict()
        year = int(parts["y"]) if dated else _full_year(parts["y"])
        return year, _month(parts["m"]), int(parts["d"]) if parts.get("d") else None
    return None


def _month(word: str) -> int:
    plain = "".join(part for part in unicodedata.normalize("NFKD", word) if not unicodedata.combining(part))
    return MONTHS.get(plain, 0)


def _full_year(digits: str) -> int:
    year = int(digits)
    if len(digits) > 2:
        return year
    return year + (2000 if year < 69 else 1900)


def _period(text: str) -> Interval | None:
    """Decades, centuries and quarters."""
    if found := _DECADE.fullmatch(text):
        start = int(found.group(1)) * 10
        return _span(start, 1, start + 9, 12)
    if (found := _CENTURY.fullmatch(text)) and int(found.group(1)):
        last = int(found.group(1)) * 100
        return _span(last - 99, 1, last, 12)
    if found := _QUARTER.fullmatch(text):
        quarter, year = int(found.group(1) or found.group(4)), int(found.group(2) or found.group(3))
        return _span(year, quarter * 3 - 2, year, quarter * 3)
    return None


def _span(year: int, month: int, last_year: int, last_month: int) -> Interval:
    text = f"{year:04d}-{month:02d}/{last_year:04d}-{last_month:02d}"
    return Interval(_ordinal(year, month, 1), _ordinal(last_year, last_month, _days_in(last_year, last_month)), text)


def _interval(year: int, month: int | None, day: int | None) -> Interval | None:
    sign, count = "-" if year < 0 else "", abs(year)
    if month is None:
        return Interval(_ordinal(year, 1, 1), _ordinal(year, 12, 31), f"{sign}{count:04d}")
    if not 1 <= month <= 12 or (day is not None and not 1 <= day <= _days_in(year, month)):
        return None
    if day is None:
        last = _ordinal(year, month, _days_in(year, month))
        return Interval(_ordinal(year, month, 1), last, f"{sign}{count:04d}-{month:02d}")
    ordinal = _ordinal(year, month, day)
    return Interval(ordinal, ordinal, f"{sign}{count:04d}-{month:02d}-{day:02d}")


def _days_in(year: int, month: int) -> int:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _DAYS[month] + leap


def _ordinal(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 for any year (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms")."""
    shifted = year - (month <= 2)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + of_year - 719_468
