"""Three-valued conditions on countries: true, false, or unknown, with a margin about every threshold.

A condition is written the way a query says it and can be read back from those words, so that a task carries its
own definition. Values within the margin of a threshold are `near`: no task may rest on them.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal

from services.suites import practice
from services.suites.catalogue import BY_HEADING
from services.suites.facts import Country
from services.suites.measures import MEASURES, STATES, Measure
from services.suites.parsing import decimal

_EVERY = (*MEASURES, *practice.MEASURES)
_MILLION = 1_000_000
_NUMBER = r"(?P<number>\d[\d,]*(?:\.\d+)?)(?P<million> million)?"


@dataclass(frozen=True, slots=True)
class Predicate:
    """A condition on one quantity of a country."""

    heading: str
    """Of the column that decides it."""
    above: bool
    threshold: Decimal
    """In the column's unit."""
    margin: Decimal
    """Relative: a value so close to the threshold is too near to tell."""
    text: str
    """As a query says it, with the verb first: `have more than 1 million inhabitants`."""

    @property
    def family(self) -> str:
        """The family of the column."""
        return BY_HEADING[self.heading].family

    def near(self, country: Country) -> bool:
        """Whether the country's value lies within the margin of the threshold."""
        number = self._number(country)
        if number is None or not self.margin:
            return False
        return abs(number - self.threshold) <= self.margin * abs(self.threshold)

    def holds(self, country: Country) -> bool | None:
        """Whether the condition holds; None when the profile does not state the value, or it is too near to tell."""
        number = self._number(country)
        if number is None or self.near(country):
            return None
        return number > self.threshold if self.above else number < self.threshold

    def _number(self, country: Country) -> Decimal | None:
        found = country.values.get(self.heading)
        return found.number if found else None


def predicates(headings: Collection[str]) -> Iterator[Predicate]:
    """Every condition on columns of these headings, in each of its wordings."""
    for measure in _EVERY:
        if measure.heading in headings:
            for threshold in measure.thresholds:
                for above, phrases in ((True, measure.more), (False, measure.less)):
                    yield from (_predicate(measure, phrase, Decimal(threshold), above=above) for phrase in phrases)
    yield from (state for state in _states() if state.heading in headings)


def read_predicate(text: str) -> Predicate | None:
    """The condition that words of a query stand for; None when they are none that is made here."""
    for measure in _EVERY:
        for above, phrases in ((True, measure.more), (False, measure.less)):
            for phrase in phrases:
                match = re.fullmatch(re.escape(phrase).replace(re.escape("{n}"), _NUMBER), text.strip())
                if match:
                    threshold = decimal(match["number"]) * (_MILLION if match["million"] else 1)
                    return _predicate(measure, phrase, threshold, above=above)
    return next((state for state in _states() if state.text == text.strip()), None)


def _predicate(measure: Measure, phrase: str, threshold: Decimal, *, above: bool) -> Predicate:
    text = phrase.replace("{n}", _spoken(threshold, in_millions=measure.in_millions))
    return Predicate(measure.heading, above, threshold, Decimal(measure.margin), text)


def _spoken(number: Decimal, *, in_millions: bool) -> str:
    if in_millions and number >= _MILLION:
        return f"{(number / _MILLION).normalize():f} million"
    return f"{number:,f}"


def _states() -> Iterator[Predicate]:
    """Conditions without a number: the value is zero, or it is not."""
    for heading, (some, none) in STATES.items():
        yield from (Predicate(heading, True, Decimal(0), Decimal(0), text) for text in some)
        yield from (
            Predicate(
                heading,
                False,
                Decimal(
                    1,
                ),
                Decimal(0),
                text,
            )
            for text in none
        )


@dataclass(frozen=True, slots=True)
class Decided:
    """What a predicate says of a list of countries, a bit a country."""

    true: int
    false: int
    near: int

    @property
    def known(self) -> int:
        """Countries of which it is known."""
        return self.true | self.false


def decide(predicate: Predicate, countries: Collection[Country]) -> Decided:
    """The predicate on each of `countries`, the first being the lowest bit."""
    true = false = near = 0
    for place, country in enumerate(countries):
        bit, held = 1 << place, predicate.holds(country)
        true |= bit if held is True else 0
        false |= bit if held is False else 0
        near |= bit if held is None and predicate.near(country) else 0
    return Decided(true, false, near)
