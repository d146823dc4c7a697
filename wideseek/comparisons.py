"""Comparisons as queries word them: `more than 1,000 km`, `between 10 and 20 million`, `at least 3%`, `after 1960`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from wideseek.quantities import Quantity, quantities

_MORE = (
    r"(?:strictly )?(?:more|greater|higher|larger|longer|bigger|older|taller|later|over|above|exceed(?:s"
    r"|ing|ed)?|in excess of|beyond|after|upwards of|since)(?:\s+than)?|>"
)
_LESS = r"(?:strictly )?(?:less|fewer|lower|smaller|shorter|younger|earlier|under|below|before|short of)(?:\s+than)?|<"
COMPARATORS = [
    ("between", re.compile(r"\b(?:between|from)\s+(?=[$€]?\d)", re.IGNORECASE)),
    (
        ">=",
        re.compile(
            r"\b(?:at least|no (?:less|fewer|lower|smaller|shorter) than|not (?:less|fewer|below"
            r"|under)(?: than)?|a minimum of|minimum|not before|from .* on)\b|>=|≥",
            re.IGNORECASE,
        ),
    ),
    (
        "<=",
        re.compile(
            r"\b(?:at most|no (?:more|greater|higher|larger|longer) than|not (?:more|above|over"
            r"|exceeding)(?: than)?|up to|a maximum of|maximum|not after)\b|<=|≤",
            re.IGNORECASE,
        ),
    ),
    (">", re.compile(rf"(?<![\w])(?:{_MORE})(?=[\s\d$€])", re.IGNORECASE)),
    ("<", re.compile(rf"(?<![\w])(?:{_LESS})(?=[\s\d$€])", re.IGNORECASE)),
    ("=", re.compile(r"\b(?:exactly|equal to|precisely|equals)\b", re.IGNORECASE)),
]
"""Operators by the words that stand before their number, those that contain others first."""
_AFTER_NUMBER = [
    (">=", re.compile(r"\s*(?:[\w%$]+\s+){0,3}or (?:more|above|higher|greater|longer|over)\b", re.IGNORECASE)),
    ("<=", re.compile(r"\s*(?:[\w%$]+\s+){0,3}or (?:less|fewer|below|lower|under|shorter)\b", re.IGNORECASE)),
]
_NEGATED = re.compile(r"\bnot\s+$", re.IGNORECASE)
_CLOSE = 1e-9
"""Relative: numbers so close are the same."""


@dataclass(frozen=True)
class Comparison:
    """A comparison with a number or two."""

    operator: str
    """`>`, `>=`, `<`, `<=`, `=`, `between`."""
    bounds: tuple[Quantity, ...]
    words: str = ""
    """As the text says it: `more than 1,000 km`; empty where other words part the operator from its number."""
    start: int = 0
    end: int = 0
    """Where that stands in the text."""
    negated: bool = False
    """Whether a `not` stands before it."""

    def meant(self, stated: Sequence[Quantity]) -> list[Quantity]:
        """Those of the numbers stated that can be compared: years with a year, else of the same unit, else any."""
        bound = self.bounds[0]
        if bound.year:
            return [one for one in stated if one.year]
        same = [one for one in stated if one.unit and one.unit == bound.unit]
        return same or [one for one in stated if not one.year] or list(stated)

    def holds(self, number: float) -> bool:
        """Whether it is true of a number, a `not` before it aside."""
        low = self.bounds[0].value
        rules = {
            ">": number > low,
            ">=": number >= low,
            "<": number < low,
            "<=": number <= low,
            "=": abs(number - low) <= _CLOSE * max(1.0, abs(low)),
            "between": low <= number <= self.bounds[-1].value,
        }
        return rules[self.operator]


def read_comparison(text: str) -> Comparison | None:
    """The first comparison in a text; None where it compares nothing.

    >>> read_comparison("fewer than 10 million inhabitants").words
    'fewer than 10 million'
    """
    found = quantities(text)
    for operator, pattern in COMPARATORS:
        match = pattern.search(text)
        bounds = _bounds(operator, [one for one in found if match and one.start >= match.start()])
        if match and bounds:
            start, end = match.start(), max(match.end(), bounds[-1].end)
            apart = bounds[0].start > match.end() and text[match.end() : bounds[0].start].strip()
            words = "" if apart else text[start:end].strip()
            return Comparison(operator, bounds, words, start, end, bool(_NEGATED.search(text[:start])))
    for operator, pattern in _AFTER_NUMBER:
        for one in found:
            if match := pattern.match(text, one.end):
                return Comparison(operator, (one,), text[one.start : match.end()].strip(), one.start, match.end())
    return None


def _bounds(operator: str, found: Sequence[Quantity]) -> tuple[Quantity, ...]:
    number = 2 if operator == "between" else 1
    return _shared_unit(found[:number]) if len(found) >= number else ()


def _shared_unit(bounds: Sequence[Quantity]) -> tuple[Quantity, ...]:
    """`between 10 and 20 million km`: the last bound's scale and unit hold for both."""
    last = bounds[-1]
    if len(bounds) == 2 and bounds[0].scale == 1 and last.scale != 1 and bounds[0].value < last.value / last.scale:
        return (bounds[0].scaled_as(last), last)
    return tuple(bounds)
