"""What all kinds of questions share: the countries of a split, a question in the making, the checks on both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from typing import Any

from services.suites.catalogue import Column
from services.suites.facts import Country
from services.suites.parsing import Value
from services.suites.questions_wording import WORDINGS
from services.suites.splits import Split
from wideseek.instances import Question

SUITE = "factbook-qa"
BORDERS = "Geography > Land boundaries > border countries"


@dataclass(frozen=True)
class Scope:
    """The countries questions of a split may be about, among all there are."""

    countries: Mapping[str, Country]
    """Every sovereign state by code: answers are unique among all of them."""
    split: Split

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Columns of the split that questions are worded for."""
        return tuple(column for column in self.split.columns if column.heading in WORDINGS)

    @cached_property
    def inside(self) -> tuple[Country, ...]:
        """Countries of the split's regions, in the order of their codes."""
        found = (country for _, country in sorted(self.countries.items()))
        return tuple(country for country in found if country.region in self.split.regions)

    @cached_property
    def codes(self) -> frozenset[str]:
        """Codes of the countries inside."""
        return frozenset(country.code for country in self.inside)

    def allows(self, *sets: Sequence[str]) -> bool:
        """Whether every one of these sets of countries is inside and none is kept back for tests.

        The rule is meant for answer sets. Where a question depends on two or more countries, it is applied to
        all of them together, and to every set that the question passes through on its way.
        """
        return all(self.codes.issuperset(codes) and self.split.may_answer(codes) for codes in sets)


@dataclass(frozen=True)
class Draft:
    """A question before it has an id."""

    text: str
    answers: tuple[str, ...]
    read: tuple[Country, ...]
    """Countries whose profiles the answer follows from, in the order in which they are needed."""
    fields: tuple[str, ...]
    chain: tuple[str, ...]
    """The steps to the answer, each with what it yields."""
    type: str = ""
    """Kind of reasoning of a multi-hop question; empty for a single hop."""
    passed: tuple[Country, ...] = ()
    """Further countries that the answer names or depends on."""

    def finished(self, split: str) -> Question:
        """The question, named by a hash of its text so that the same question has the same id in every file."""
        involved = {country.code: country for country in (*self.read, *self.passed)}
        meta: dict[str, Any] = {"type": self.type} if self.type else {}
        meta |= {
            "fields": list(self.fields),
            "countries": [country.name for country in involved.values()],
            "codes": list(involved),
            "chain": list(self.chain),
        }
        return Question(
            instance_id=f"{SUITE}-{split}-{sha256(self.text.encode()).hexdigest()[:12]}",
            question=self.text,
            answers=self.answers,
            gold_docs=tuple(country.url for country in self.read),
            suite=SUITE,
            split=split,
            kind="multi_hop" if self.type else "single_hop",
            meta=meta,
        )


def known(country: Country, heading: str) -> Value | None:
    """A value worth asking for: None where it is unknown, or a quantity of zero (the coast of an inland state)."""
    value = country.values.get(heading)
    return None if value is None or value.number == 0 else value


def apart(one: Decimal, other: Decimal, margin: Decimal) -> bool:
    """Whether two quantities differ by at least `margin` of the larger: |a - b| ≥ margin · max(|a|, |b|) > 0."""
    larger = max(abs(one), abs(other))
    return larger > 0 and abs(one - other) >= margin * larger


def names(country: Country) -> tuple[str, ...]:
    """Accepted spellings of a country, the usual name first."""
    return (country.name, *country.aliases)
