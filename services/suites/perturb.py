"""Profiles with shifted numbers: the world of a twin, where what a model remembers is wrong.

Every quantity that a column reads is multiplied by a factor drawn from the seed, the country and the field: all
values of a field together (total, male, female; every year), so that they still agree. Lengths of land borders
belong to two countries, so one factor holds for all of them. What is not a quantity of such a field is left as
it is, so prose may still tell the real number. The result is synthetic by design.
"""

import math
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from services.kit.factbook import Entry
from services.suites.parsing import decimal

LOWER, UPPER = (0.6, 0.85), (1.18, 1.6)
"""Factors are drawn from these two ranges, evenly in the logarithm."""
_LEAST_CHANGE = Decimal("0.1")
"""Relative: rounding may not bring a value closer to the real one than this."""
_NUMBER = r"(?P<number>\d[\d,]*(?:\.\d+)?)"
_MORE_PLACES = 4


@dataclass(frozen=True, slots=True)
class Shift:
    """How the quantities of a field are found in its text."""

    after: str
    """Regular expression of what follows the number."""
    before: str = ""
    leaf: str = ""
    """Only this subfield; empty for all."""
    most: int | None = None
    """No value may be larger: shares end at 100."""
    whole: bool = False
    """Whether it counts things, so that it stays a whole number."""
    shared: bool = False
    """Whether one factor holds for all countries."""

    @property
    def pattern(self) -> re.Pattern[str]:
        """Finds the numbers."""
        return re.compile(f"(?P<before>{self.before}){_NUMBER}(?={self.after})")


_START, _COUNT = r"^(?:&nbsp;|\s)*", r"\s*(?:\(|$)"
_DOLLARS = Shift(r"\s|$|<", before=r"(?<=\$)")
_PERCENT = Shift("%", most=100)
_SCALED = r"\s*(?:(?:million|billion|trillion)\s*)?"
SHIFTS: Mapping[str, Shift] = {
    "Population": Shift(_COUNT, before=_START, whole=True),
    "Area": Shift(r"\s*(?:million\s*)?sq km"),
    "Land boundaries": Shift(r"\s*km\b", shared=True),
    "Coastline": Shift(r"\s*km\b"),
    "Elevation": Shift(r"\s*m\b|\s*$", before=r"(?<![\d,.-])-?"),
    "Land use": _PERCENT,
    "Irrigated land": Shift(r"\s*sq km"),
    "Maritime claims": Shift(r"\s*nm\b"),
    "Median age": Shift(r"\s*years"),
    "Life expectancy at birth": Shift(r"\s*years"),
    "Total fertility rate": Shift(r"\s*children"),
    "Infant mortality rate": Shift(r"\s*deaths"),
    "Urbanization": Shift(r"% (?:of total population|annual)", most=100),
    "Birth rate": Shift(r"\s*births"),
    "Death rate": Shift(r"\s*deaths"),
    "Maternal mortality ratio": Shift(r"\s*deaths"),
    "Net migration rate": Shift(r"\s*migrant"),
    "Sex ratio": Shift(r"\s*male"),
    "Gross reproduction rate": Shift(_COUNT, before=_START),
    "Dependency ratios": Shift(_COUNT, before=_START),
    "Age structure": _PERCENT,
    "Population growth rate": _PERCENT,
    "Physician density": Shift(r"\s*physicians"),
    "Hospital bed density": Shift(r"\s*beds"),
    "Obesity - adult prevalence rate": _PERCENT,
    "Alcohol consumption per capita": Shift(r"\s*liters"),
    "Tobacco use": _PERCENT,
    "Currently married women (ages 15-49)": _PERCENT,
    "Literacy": _PERCENT,
    "School life expectancy (primary to tertiary education)": Shift(r"\s*years"),
    "Mother's mean age at first birth": Shift(r"\s*years"),
    "Carbon dioxide emissions": Shift(_SCALED + "metric tonnes"),
    "Total renewable water resources": Shift(_SCALED + "cubic meters"),
    "Total water withdrawal": Shift(_SCALED + "cubic meters"),
    "Waste and recycling": Shift(_SCALED + "tons"),
    "Electricity": Shift(_SCALED + "kWh?"),
    "Military expenditures": Shift("% of GDP"),
    "Real GDP per capita": _DOLLARS,
    "Real GDP (purchasing power parity)": _DOLLARS,
    "Unemployment rate": _PERCENT,
    "Inflation rate (consumer prices)": Shift("%"),
    "Internet users": _PERCENT,
    "Airports": Shift(_COUNT, before=_START, whole=True),
    "National heritage": Shift(_COUNT, before=_START, leaf="total World Heritage Sites", whole=True),
}
"""Label of a field -> its quantities; in whatever section it stands."""


def perturbed(entries: Iterable[Entry], seed: int) -> list[Entry]:
    """The same entries with the quantities of their profiles shifted; the same seed shifts them the same way."""
    return [replace(entry, profile=_profile(entry, seed)) for entry in entries]


def _profile(entry: Entry, seed: int) -> Mapping[str, Any]:
    return {
        section: {
            label: _field(node, SHIFTS[label.strip()], f"{seed}:{entry.code}:{label.strip()}", seed)
            if label.strip() in SHIFTS
            else node
            for label, node in fields.items()
        }
        for section, fields in entry.profile.items()
    }


def _field(node: Mapping[str, Any], shift: Shift, name: str, seed: int) -> Mapping[str, Any]:
    rng = random.Random(f"{seed}:shared" if shift.shared else name)
    low, high = (math.exp(rng.uniform(*map(math.log, limits))) for limits in (LOWER, UPPER))
    factor = low if rng.random() < 0.5 else high
    numbers = [decimal(match["number"]) for text in _texts(node, shift) for match in shift.pattern.finditer(text)]
    if shift.most is not None and any(number * Decimal(factor) > shift.most for number in numbers):
        factor = low
    return _shifted(node, shift, Decimal(f"{factor:.4f}"))


def _texts(node: Mapping[str, Any], shift: Shift, label: str = "") -> Iterator[str]:
    """The texts that are shifted."""
    for name, content in node.items():
        if isinstance(content, Mapping):
            yield from _texts(content, shift, name.strip())
        elif name == "text" and shift.leaf in ("", label):
            yield content


def _shifted(node: Mapping[str, Any], shift: Shift, factor: Decimal, label: str = "") -> Mapping[str, Any]:
    """The field with its numbers multiplied; notes are kept as they are."""
    found: dict[str, Any] = {}
    for name, content in node.items():
        if isinstance(content, Mapping):
            found[name] = _shifted(content, shift, factor, name.strip())
        elif name == "text" and shift.leaf in ("", label):
            found[name] = shift.pattern.sub(lambda match: _product(match, factor, whole=shift.whole), content)
        else:
            found[name] = content
    return found


def _product(match: re.Match[str], factor: Decimal, *, whole: bool) -> str:
    return match["before"] + times(match["number"], factor, whole=whole)


def times(digits: str, factor: Decimal, *, whole: bool = False) -> str:
    """A number as a page writes it, multiplied: as many decimal places as before, more where the change would drown.

    Zero stays zero. A count stays whole, and changes by at least one.
    """
    number = decimal(digits)
    places = len(digits.partition(".")[2])
    changed = round(number * factor, places)
    if whole and number and changed == number:
        changed = number + 1
    for more in range(0 if whole else _MORE_PLACES):
        if abs(changed - number) >= _LEAST_CHANGE * number:
            break
        changed = round(number * factor, places + more + 1)
    separated = "," in digits or number < 1000
    return f"{changed:,f}" if separated else f"{changed:f}"
