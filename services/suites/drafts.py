"""What a wide task over the Factbook asks about, before its columns are chosen: the three difficulties.

Named tasks list their countries, neighbour tasks define them by a land border, filter tasks by one or two
conditions over whole regions. Every draft's answer is decided by what the profiles record, and lies in the split.
"""

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from services.suites.facts import Country
from services.suites.predicates import Decided, Predicate, decide, predicates
from services.suites.splits import Split

_FAMILY = {"geography": "geo", "demography": "demo", "economy": "econ"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A set of countries and how a query defines it."""

    difficulty: str
    """`named`, `neighbours` or `filter`."""
    codes: tuple[str, ...]
    """The answer, sorted."""
    regions: tuple[str, ...]
    """Regions of the answer; of a filter, the regions searched."""
    predicates: tuple[Predicate, ...] = ()
    form: str = ""
    """Of neighbours: `nb` of one country, `nbself` with itself, `nb2` of either of two."""
    anchors: tuple[Country, ...] = ()
    """The countries whose neighbours are asked for."""
    outside: bool = False
    """Whether neighbours in other regions are left out, which the query has to say."""

    @property
    def families(self) -> tuple[str, ...]:
        """Short names of the families of its conditions."""
        return short_families(predicate.family for predicate in self.predicates)


def short_families(families: Iterator[str] | Collection[str]) -> tuple[str, ...]:
    """Families by their short names, sorted; base columns belong to none."""
    return tuple(sorted({_FAMILY[name] for name in families if name in _FAMILY}))


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a task may be."""

    min_rows: int = 4
    max_rows: int = 12
    min_columns: int = 3
    """The key counted."""
    max_columns: int = 5
    max_searched: int = 1_000
    """States in the regions of a filter, each of which has to be looked at."""

    def fits(self, rows: int) -> bool:
        """Whether so many rows are allowed."""
        return self.min_rows <= rows <= self.max_rows


def _sorted(countries: Collection[Country]) -> tuple[str, ...]:
    return tuple(sorted(country.code for country in countries))


def _regions(countries: Collection[Country]) -> tuple[str, ...]:
    return tuple(sorted({country.region for country in countries}))


def named(countries: Sequence[Country], limits: Limits, rng: random.Random) -> Iterator[Draft]:
    """Countries drawn at random, from one region or from all; without end while there are enough of them."""
    folders = sorted({country.region for country in countries})
    while limits.min_rows <= len(countries):
        rows = rng.randint(limits.min_rows, min(limits.max_rows, len(countries)))
        folder = rng.choice([*folders, *[""] * len(folders)])
        pool = [country for country in countries if country.region == folder or not folder]
        chosen = rng.sample(pool if len(pool) >= rows else list(countries), rows)
        yield Draft("named", _sorted(chosen), _regions(chosen))


def neighbours(countries: Mapping[str, Country], split: Split, limits: Limits) -> Iterator[Draft]:
    """Every set of neighbours, of one country or of two that touch or share a neighbour, within the split."""
    anchors = [country for country in countries.values() if country.region in split.regions and country.neighbours]
    for anchor in anchors:
        near = anchor.neighbours or frozenset()
        yield from _bordering("nb", (anchor,), near, countries, split, limits)
        yield from _bordering("nbself", (anchor,), near | {anchor.code}, countries, split, limits)
    for one, other in combinations(anchors, 2):
        first, second = one.neighbours or frozenset(), other.neighbours or frozenset()
        if first & second or other.code in first:
            either = (first | second) - {one.code, other.code}
            yield from _bordering("nb2", (one, other), either, countries, split, limits)


def _bordering(
    form: str,
    anchors: tuple[Country, ...],
    codes: frozenset[str],
    countries: Mapping[str, Country],
    split: Split,
    limits: Limits,
) -> Iterator[Draft]:
    inside = [countries[code] for code in sorted(codes) if countries[code].region in split.regions]
    if limits.fits(len(inside)):
        outside = len(inside) < len(codes)
        yield Draft("neighbours", _sorted(inside), _regions(inside), form=form, anchors=anchors, outside=outside)


def filters(countries: Sequence[Country], split: Split, limits: Limits) -> Iterator[Draft]:
    """Every decided answer to one condition, or to two on different quantities, over every union of regions.

    A condition is used only where no state of the regions lies near its threshold; the answer to two must be
    decided for every state, where what one condition rules out need not be known by the other.
    """
    known = [(predicate, decide(predicate, countries)) for predicate in predicates(split.headings)]
    folders = [folder for folder in split.regions if any(country.region == folder for country in countries)]
    for size in range(1, len(folders) + 1):
        for regions in combinations(folders, size):
            universe = sum(1 << place for place, country in enumerate(countries) if country.region in regions)
            if universe.bit_count() > limits.max_searched:
                continue
            yield from _within(universe, tuple(sorted(regions)), known, countries, limits)


def _within(
    universe: int,
    regions: tuple[str, ...],
    known: Sequence[tuple[Predicate, Decided]],
    countries: Sequence[Country],
    limits: Limits,
) -> Iterator[Draft]:
    usable = [(predicate, said) for predicate, said in known if not said.near & universe and said.false & universe]
    for predicate, said in usable:
        if said.known & universe == universe and limits.fits((said.true & universe).bit_count()):
            yield _filter(said.true & universe, regions, (predicate,), countries)
    for (one, first), (other, second) in combinations(usable, 2):
        both = first.true & second.true & universe
        if one.heading == other.heading or not limits.fits(both.bit_count()):
            continue
        decided = both | ((first.false | second.false) & universe) == universe
        narrows = both not in (first.true & universe, second.true & universe)
        if decided and narrows:
            yield _filter(both, regions, (one, other), countries)


def _filter(
    answer: int, regions: tuple[str, ...], conditions: tuple[Predicate, ...], countries: Sequence[Country]
) -> Draft:
    chosen = [country for place, country in enumerate(countries) if answer >> place & 1]
    return Draft("filter", _sorted(chosen), regions, conditions)
