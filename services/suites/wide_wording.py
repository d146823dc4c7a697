"""How a wide task is put into words: several phrasings a difficulty, drawn at random, all saying the same."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.suites.catalogue import KEY, Column
from services.suites.drafts import Draft
from services.suites.facts import Country

_NAMED = (
    "Compare the following {count} countries, using their World Factbook profiles: {listed}.",
    "From the World Factbook country profiles, collect some facts about these {count} countries: {listed}.",
    "I need a table on these {count} countries, taken from their World Factbook profiles: {listed}.",
    "Please put together a fact table from the World Factbook for {listed}.",
    "Look up these {count} countries in the World Factbook and set out what their profiles say: {listed}.",
)
_NEIGHBOURS = (
    "Using the World Factbook country profiles, take {rows}{only}.",
    "Make a table that covers {rows}{only}, based on the World Factbook.",
    "I am interested in the following countries: {rows}{only}. Look them up in the World Factbook.",
    "Going by the World Factbook, find {rows}{only}.",
)
_FORMS = {
    "nb": "every sovereign state that shares a land border with {first}",
    "nbself": "{first} and every sovereign state that shares a land border with it",
    "nb2": "every sovereign state that shares a land border with {first} or with {second} (or with both), "
    "leaving out {first} and {second} themselves",
}
_FILTER = (
    "Which sovereign states that the World Factbook files under {regions} {conditions}? List all of them.",
    "Going by the World Factbook country profiles, find every sovereign state filed under {regions} for which "
    "{this} holds: they {conditions}.",
    "List all sovereign states filed under {regions} in the World Factbook that {conditions}.",
    "Find all sovereign states filed under {regions} that, going by their World Factbook profiles, {conditions}.",
)
_COLUMNS = (
    "For each one give: {columns}.",
    "For every country record: {columns}.",
    "The table should show, for each country: {columns}.",
    "For each country state: {columns}.",
)
_CLOSING = (
    "Take the values that the profiles record (snapshot of January 2026). Write numbers as plain digits, without "
    "units or percent signs. Answer with one Markdown table inside a ```markdown code fence, with exactly the columns "
    "{headings}, in that order, one row per country, and no empty cells.",
    "Use the values that the profiles record (snapshot of January 2026), numbers as plain digits without units or "
    "percent signs. Reply with a single Markdown table inside a ```markdown code fence, with exactly the columns "
    "{headings}, in that order, one row per country, and no cell left empty.",
)
_OPENINGS = tuple(closing.partition(" that the profiles record")[0] for closing in _CLOSING)
_DESCRIPTION = re.compile(r"(?<=[\w)]) \([^()]*(?:\([^()]*\)[^()]*)*\)(?=[;.])")
_SPELLED_OUT, _AT_TIMES = 8, 16
"""A region with fewer sovereign states than the first is listed in brackets: what it holds is not what one would guess.
With fewer than the second it is listed in half of the queries; so training, whose regions are all larger than the
first, shows such lists too."""


@dataclass(frozen=True)
class Wording:
    """What queries are worded with: the sovereign states and the names of their regions."""

    countries: Sequence[Country]
    region_names: Mapping[str, str]

    def query(self, draft: Draft, columns: Sequence[Column], rng: random.Random) -> str:
        """The request in English; it names the columns in order and asks for one fenced Markdown table."""
        key = "named as in this request" if draft.difficulty == "named" else KEY.description
        described = [f"{KEY.heading} ({key})", *(f"{column.heading} ({column.description})" for column in columns)]
        headings = ", ".join([KEY.heading, *(column.heading for column in columns)])
        sentences = (
            self._rows(draft, rng),
            rng.choice(_COLUMNS).format(columns=_joined(described)),
            rng.choice(_CLOSING).format(headings=headings),
        )
        return " ".join(sentences)

    def _rows(self, draft: Draft, rng: random.Random) -> str:
        if draft.difficulty == "named":
            names = [country.definite for country in self.countries if country.code in draft.codes]
            rng.shuffle(names)
            return rng.choice(_NAMED).format(count=len(names), listed=_listed(names))
        if draft.difficulty == "neighbours":
            return self._neighbours(draft, rng)
        conditions = " and ".join(predicate.text for predicate in draft.predicates)
        this = "all of this" if len(draft.predicates) > 1 else "this"
        return rng.choice(_FILTER).format(regions=self._regions(draft.regions, rng), conditions=conditions, this=this)

    def _neighbours(self, draft: Draft, rng: random.Random) -> str:
        names = [country.definite for country in draft.anchors]
        rng.shuffle(names)
        rows = _FORMS[draft.form].format(first=names[0], second=names[-1])
        shown = " or ".join(self.region_names[region] for region in draft.regions)
        only = f", counting only states that the World Factbook files under {shown}" if draft.outside else ""
        return rng.choice(_NEIGHBOURS).format(rows=rows, only=only)

    def _regions(self, regions: Sequence[str], rng: random.Random) -> str:
        return " or under ".join(self._region(region, rng) for region in regions)

    def _region(self, region: str, rng: random.Random) -> str:
        inside = [country.definite for country in self.countries if country.region == region]
        spelled = len(inside) < _SPELLED_OUT or (len(inside) < _AT_TIMES and rng.random() < 0.5)
        return f"{self.region_names[region]} ({_listed(inside)})" if spelled else self.region_names[region]


def plainer(query: str, *, described: bool) -> str:
    """A query of `Wording` as people ask: without the closing on values and form, and without the descriptions of its
    columns unless they are to stay. Other queries stay as they are.

    >>> plainer("Make a table of A. For each one give: Capital (its name). Use the values that …", described=False)
    'Make a table of A. For each one give: Capital.'
    """
    places = [place for opening in _OPENINGS if (place := query.find(f" {opening} ")) >= 0]
    if not places:
        return query
    open_ended = query[: min(places)]
    if described:
        return open_ended
    rows, colon, columns = open_ended.rpartition(": ")
    return rows + colon + _DESCRIPTION.sub("", columns)


def _listed(names: Sequence[str]) -> str:
    """`A, B and C`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _joined(parts: Sequence[str]) -> str:
    """`A; B; and C`."""
    return "; ".join([*parts[:-1], f"and {parts[-1]}"])
