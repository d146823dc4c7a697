"""Questions that depend on several countries: longest border, common neighbour, neighbours counted, comparison.

Borders count only where the lists of both sides agree (`services.suites.borders`). Where a list also names a
territory, the lengths of the borders with sovereign states do not add up to the stated total; such a country is
left out, or its unexplained length must be too short to matter.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import combinations
from random import Random

from services.suites.catalogue import BY_HEADING, Column
from services.suites.facts import Country
from services.suites.predicates import predicates
from services.suites.questions_drafts import BORDERS, Draft, Scope, apart, known, names
from services.suites.questions_simple import framed
from services.suites.questions_wording import WORDINGS, count_spellings, spellings

MARGIN = Decimal("0.05")
"""Two quantities that are compared differ by this share of the larger at least."""
_ROUNDING = Decimal("0.01")
"""Share of the total by which lengths of borders may miss it."""


def longest_borders(scope: Scope, rng: Random) -> Iterator[Draft]:
    """Questions for a column of the neighbour with the longest border."""
    pairs = [(country, column) for country in scope.inside for column in scope.columns]
    rng.shuffle(pairs)
    for country, column in pairs:
        other = longest(country)
        if other is None or not scope.allows((country.code, other)):
            continue
        neighbour = scope.countries[other]
        value = known(neighbour, column.heading)
        if value is not None:
            told = f"the country with which {country.definite} shares its longest land border"
            yield Draft(
                text=framed(column, told, rng),
                answers=spellings(value, WORDINGS[column.heading].unit),
                read=(country, neighbour),
                fields=(BORDERS, column.field),
                chain=(
                    f"longest border of {country.name} = {neighbour.name} ({country.borders[other].text} km)",
                    f"{column.field} = {value.text}",
                ),
                type="border_argmax",
            )


def longest(country: Country) -> str | None:
    """Code of the neighbour with the clearly longest border, of two at least; None where that cannot be told."""
    if country.neighbours is None or len(country.neighbours) < 2 or set(country.borders) != country.neighbours:
        return None
    rest = unexplained(country)
    lengths = sorted(((value.number or Decimal(0), code) for code, value in country.borders.items()), reverse=True)
    (first, code), (second, _) = lengths[:2]
    return code if rest is not None and apart(first, max(second, rest), MARGIN) and first > rest else None


def unexplained(country: Country) -> Decimal | None:
    """Kilometres of the total land boundary that the borders with sovereign states leave; None when unknown."""
    total = country.values.get("Land boundary")
    if total is None or total.number is None:
        return None
    return total.number - sum((value.number or Decimal(0) for value in country.borders.values()), Decimal(0))


def closed(country: Country) -> bool:
    """Whether the country certainly borders its sovereign neighbours and no territory."""
    if country.neighbours is None or set(country.borders) != country.neighbours:
        return False
    rest, total = unexplained(country), country.values.get("Land boundary")
    return rest is not None and total is not None and abs(rest) <= _ROUNDING * (total.number or Decimal(0))


def common_neighbours(scope: Scope, rng: Random) -> Iterator[Draft]:
    """Questions for the only country that borders two others."""
    pairs = [list(pair) for pair in combinations(scope.inside, 2)]
    rng.shuffle(pairs)
    for pair in pairs:
        rng.shuffle(pair)
        one, other = pair
        common = (one.neighbours or frozenset()) & (other.neighbours or frozenset())
        if len(common) != 1 or not (closed(one) or closed(other)):
            continue
        (code,) = common
        between = scope.countries[code]
        if scope.allows((one.code, other.code), (one.code, other.code, code)):
            phrasing = rng.choice(_COMMON)
            yield Draft(
                text=phrasing.format(one=one.definite, other=other.definite),
                answers=names(between),
                read=(one, other),
                fields=(BORDERS,),
                chain=(f"{between.name} borders both",),
                type="intersection",
                passed=(between,),
            )


_COMMON = (
    "Which country shares a land border with both {one} and {other}?",
    "Which country borders {one} as well as {other} by land?",
    "Name the one country that has a land border with {one} and also with {other}.",
)


def neighbour_counts(scope: Scope, rng: Random) -> Iterator[Draft]:
    """Questions for how many neighbours meet a condition: some do, some do not, and none is undecided.

    Of the conditions on one column that single out the same neighbours, one is asked.
    """
    around = {country.code: _neighbours(scope, country) for country in scope.inside}
    asked = list(predicates(scope.split.headings))
    pairs = [(country, condition) for country in scope.inside if around[country.code] for condition in asked]
    rng.shuffle(pairs)
    seen: set[tuple[str, str, tuple[str, ...]]] = set()
    for country, condition in pairs:
        neighbours = around[country.code]
        decided = [condition.holds(each) for each in neighbours]
        counted = [each for each, holds in zip(neighbours, decided, strict=True) if holds]
        codes = tuple(each.code for each in counted)
        told = (country.code, condition.heading, codes)
        if None in decided or not 0 < len(counted) < len(neighbours) or told in seen or not scope.allows(codes):
            continue
        seen.add(told)
        yield Draft(
            text=rng.choice(_COUNTS).format(c=country.definite, condition=condition.text),
            answers=count_spellings(len(counted)),
            read=(country, *neighbours),
            fields=(BORDERS, BY_HEADING[condition.heading].field),
            chain=(
                f"neighbours of {country.name}: {', '.join(each.name for each in neighbours)}",
                f"counted: {', '.join(each.name for each in counted)}",
            ),
            type="count",
        )


def _neighbours(scope: Scope, country: Country) -> tuple[Country, ...]:
    """Two neighbours or more by name; none where they are not certain, or the split may not ask about them all."""
    codes = sorted(country.neighbours or ())
    if len(codes) < 2 or not closed(country) or not scope.allows(codes, [country.code, *codes]):
        return ()
    return tuple(sorted((scope.countries[code] for code in codes), key=lambda each: each.name))


_COUNTS = (
    "How many of the countries that share a land border with {c} {condition}?",
    "Of the countries that share a land border with {c}, how many {condition}?",
    "According to the World Factbook, how many of the countries bordering {c} by land {condition}?",
)


def comparisons(scope: Scope, rng: Random) -> Iterator[Draft]:
    """Questions for which of two countries has more, or less, of something; every pair is asked about once."""
    columns = [column for column in scope.columns if WORDINGS[column.heading].more]
    pairs = list(combinations(scope.inside, 2))
    rng.shuffle(pairs)
    for place, (one, other) in enumerate(pairs):
        draft = comparison(one, other, columns[place % len(columns)], rng)
        if draft is not None and scope.allows((one.code, other.code)):
            yield draft


def comparison(one: Country, other: Country, column: Column, rng: Random) -> Draft | None:
    """A question for the larger or smaller value, the countries in any order; None where they are too close."""
    wording = WORDINGS[column.heading]
    asked = tuple(rng.sample((one, other), 2))
    values = [known(country, column.heading) for country in asked]
    numbers = [value.number for value in values if value is not None and value.number is not None]
    if len(numbers) < 2 or min(numbers) <= 0 or not apart(numbers[0], numbers[1], MARGIN):
        return None
    words, best = rng.choice(((wording.more, max(numbers)), (wording.less, min(numbers))))
    return Draft(
        text=rng.choice(_COMPARED).format(words=words, one=asked[0].definite, other=asked[1].definite),
        answers=names(asked[numbers.index(best)]),
        read=asked,
        fields=(column.field,),
        chain=tuple(f"{country.name} {value.text}" for country, value in zip(asked, values, strict=True) if value),
        type="comparison",
    )


_COMPARED = (
    "According to the World Factbook, which country {words}: {one} or {other}?",
    "Going by the World Factbook, which of {one} and {other} {words}?",
    "Which of these two countries {words} according to the World Factbook: {one} or {other}?",
)
