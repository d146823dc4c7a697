"""What unit, year and kind of a fact's value add to or take from its match with a heading."""

import re

from services.model.expert.headings import YEAR, Heading
from services.model.expert.pages import Fact
from wideseek.quantities import Quantity, quantities, units_named
from wideseek.words import fold, tokens

_NOTE = re.compile(r"^notes?(?:\s*\d+)?$", re.IGNORECASE)
_TOTAL = re.compile(r"(?:total|overall|all|name|total population)", re.IGNORECASE)
"""What the default reading of a fact with several parts is called."""
_RATE = re.compile(r"(?:\bper\s+|/)(\d[\d,]*)")
_SHARE = re.compile(r"\b(?:share|proportion)\b")


def agreement(heading: Heading, fact: Fact) -> float:
    """The sum of what agrees and what does not."""
    score = _year_agreement(heading, fact) + _kind_agreement(heading, fact) + _unit_agreement(heading, fact)
    return score + _label_agreement(heading, fact) + _rate_agreement(heading, fact)


def _rate_agreement(heading: Heading, fact: Fact) -> float:
    """Whether a rate that was asked for (`per 1,000`) is one in the fact (`9.1 births/1,000`)."""
    asked = _rates(heading.text)
    return (0.15 if asked & _rates(fact.value) else -0.25) if asked else 0.0


def _rates(text: str) -> set[str]:
    """What numbers are per, however thousands are set apart."""
    return {number.replace(",", "") for number in _RATE.findall(text)}


def _label_agreement(heading: Heading, fact: Fact) -> float:
    """Default readings, plain rather than per head; notes are none."""
    score = -0.3 if _NOTE.match(fact.path[-1]) else 0.0
    score += 0.08 if _TOTAL.fullmatch(fact.path[-1]) else 0.0
    score += 0.08 if any(fold(part).startswith(fold(heading.name)) for part in fact.path) else 0.0
    ratio = " per " in f" {fold(fact.label)} "
    return score - (0.15 if ratio and not re.search(r"\bper\b|/", fold(heading.text)) else 0.0)


def _kind_agreement(heading: Heading, fact: Fact) -> float:
    """Whether the value is of the kind asked for."""
    listed = 0.1 if re.search(r"[,;]", fact.value) else -0.05
    named = bool(_head_noun(heading) & set(tokens(" ".join(fact.path))))
    rules = {
        "number": 0.0 if quantities(fact.value) else -0.45,
        "boolean": 0.15 if re.match(r"\s*(?:yes|no)\b", fact.value, re.IGNORECASE) else -0.1,
        "date": 0.1 if YEAR.search(fact.value) else -0.3,
        "first": listed if named else listed - 0.3,
        "name": 0.0 if re.search(r"[^\W\d_]{2}", fact.value) else -0.4,
    }
    return rules.get(heading.kind, 0.0)


def _unit_agreement(heading: Heading, fact: Fact) -> float:
    """Whether the value is measured in what was asked for, and of the partner that was named."""
    numbers = quantities(fact.value)
    stated = {number.unit for number in numbers[:4] if number.unit} | set(units_named(fact.label))
    score = 0.0
    if "%" in heading.units and numbers and "%" not in stated and all(abs(number.value) > 100 for number in numbers):
        score -= 0.6
    if _SHARE.search(fold(heading.name)) and re.search(r"%\s+of\b", fact.value):
        score += 0.2
    if heading.partner:
        score += 0.4 if of_partner(heading.partner, fact.value) else -0.4
    if heading.units and stated:
        score += 0.14 if heading.units & stated else (-0.2 if heading.kind == "number" else 0.0)
    return score


def of_partner(partner: str, value: str) -> Quantity | None:
    """The number that a list gives beside a name (`Chad 1,055 km; Mali 838 km`)."""
    place = re.search(rf"\b{re.escape(fold(partner))}\b(?:\s*\([^()]*\))?[\s:,–-]{{0,3}}(?=[$€]?\d)", fold(value))
    if not place:
        return None
    return next((quantity for quantity in quantities(value) if quantity.start >= place.end() - 2), None)


def _head_noun(heading: Heading) -> set[str]:
    """The last word of the name: what kind of thing is listed."""
    return set(tokens(heading.name)[-1:])


def _years_stated(fact: Fact) -> set[str]:
    """The years a fact is for: those of its label, else those of its value."""
    return set(YEAR.findall(fact.path[-1])) or set(YEAR.findall(fact.value))


def other_year(heading: Heading, fact: Fact) -> bool:
    """Whether a year was asked for and the fact is for others."""
    stated = _years_stated(fact)
    return bool(heading.years and stated and not stated & heading.years)


def _year_agreement(heading: Heading, fact: Fact) -> float:
    if not heading.years:
        # Several years of one series: the first stated is the default reading.
        return -0.04 if YEAR.search(fact.path[-1]) else 0.0
    return 0.25 if _years_stated(fact) & heading.years else -0.1
