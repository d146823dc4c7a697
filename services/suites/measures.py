"""The quantities that filters compare, with thresholds, margins and wordings.

No state may lie within the margin of a threshold: 3 % for sizes, less for rates and ages, whose values lie close
together and are recorded exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass

SIZE, RATE, SHARE, AGE = "0.03", "0.02", "0.01", "0.003"
"""Relative margins about thresholds: of sizes, rates, shares, and of values that lie close together."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity and how a query compares it; `{n}` stands for the threshold."""

    heading: str
    """Of the column that holds it."""
    margin: str
    """Relative, about every threshold."""
    thresholds: tuple[str, ...]
    more: tuple[str, ...]
    """Wordings for values above the threshold; the first is the plainest."""
    less: tuple[str, ...] = ()
    in_millions: bool = False


def levels(text: str) -> tuple[str, ...]:
    """Thresholds from one line of them."""
    return tuple(text.split())


MEASURES: tuple[Measure, ...] = (
    Measure(
        "Population",
        SIZE,
        levels(
            "100000 200000 300000 400000 500000 600000 800000 1000000 1500000 2000000 2500000 3000000 4000000 5000000 "
            "6000000 7000000 8000000 9000000 10000000 12000000 14000000 15000000 16000000 18000000 20000000 25000000 "
            "30000000 35000000 40000000 45000000 50000000 60000000 80000000 100000000"
        ),
        ("have more than {n} inhabitants", "have a population above {n}"),
        ("have fewer than {n} inhabitants", "have a population below {n}"),
        in_millions=True,
    ),
    Measure(
        "Total area",
        SIZE,
        levels(
            "500 1000 2000 3000 5000 10000 15000 20000 25000 30000 40000 50000 60000 70000 80000 100000 120000 150000 "
            "200000 220000 250000 300000 350000 400000 450000 500000 550000 600000 700000 800000 900000 1000000 "
            "1200000 1500000 2000000"
        ),
        ("have a total area above {n} square kilometres", "have a total area of more than {n} square kilometres"),
        ("have a total area below {n} square kilometres", "have a total area of less than {n} square kilometres"),
    ),
    Measure(
        "Land boundary",
        SIZE,
        levels(
            "100 200 300 400 500 600 800 1000 1200 1500 1800 2000 2500 3000 3500 4000 4500 5000 5500 6000 7000 8000"
        ),
        ("have land boundaries totalling more than {n} km", "have land boundaries of more than {n} km in total"),
    ),
    Measure(
        "Coastline",
        SIZE,
        levels("50 100 150 200 300 400 500 600 800 1000 1200 1500 2000 2500 3000 3500 4000 5000 7000"),
        ("have a coastline of more than {n} km", "have a coastline longer than {n} km"),
    ),
    Measure(
        "Highest elevation",
        SIZE,
        levels(
            "200 300 400 500 600 800 1000 1200 1400 1500 1600 1800 2000 2200 2500 2800 3000 3500 4000 4500 5000 6000"
        ),
        ("have a highest point above {n} metres", "have a highest point of more than {n} metres"),
        ("have a highest point below {n} metres",),
    ),
    Measure(
        "Forest share",
        RATE,
        levels("1 2 3 5 8 10 12 15 20 25 30 35 40 45 50 55 60 70"),
        ("have forest on more than {n}% of their land",),
        ("have forest on less than {n}% of their land",),
    ),
    Measure(
        "Median age",
        AGE,
        levels("17 18 19 20 21 22 23 24 25 26 28 30 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46"),
        ("have a median age (total population) above {n} years",),
        ("have a median age (total population) below {n} years",),
    ),
    Measure(
        "Life expectancy",
        AGE,
        levels("58 60 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83"),
        ("have a life expectancy at birth (total population) above {n} years",),
        ("have a life expectancy at birth (total population) below {n} years",),
    ),
    Measure(
        "Fertility rate",
        AGE,
        levels("1.4 1.5 1.6 1.7 1.8 1.9 2 2.1 2.2 2.3 2.4 2.5 2.6 2.8 3 3.2 3.5 3.8 4 4.2 4.5 4.8 5 5.5"),
        ("have a total fertility rate above {n} children per woman",),
        ("have a total fertility rate below {n} children per woman",),
    ),
    Measure(
        "Infant mortality",
        SHARE,
        levels("2 2.5 3 3.5 4 4.5 5 6 7 8 9 10 12 14 15 16 18 20 22 25 28 30 32 35 40 45 50 55 60"),
        ("have an infant mortality rate (total) above {n} deaths per 1,000 live births",),
        ("have an infant mortality rate (total) below {n} deaths per 1,000 live births",),
    ),
    Measure(
        "Urban share",
        AGE,
        levels("20 25 30 35 40 45 50 55 60 65 70 75 80 85 90 95"),
        ("have more than {n}% of their population living in urban areas",),
        ("have less than {n}% of their population living in urban areas",),
    ),
    Measure(
        "Birth rate",
        AGE,
        levels("7 8 8.5 9 9.5 10 10.5 11 12 13 14 15 16 17 18 20 22 24 25 26 28 30 32 34 35 36 38 40"),
        ("have a birth rate above {n} births per 1,000 population",),
        ("have a birth rate below {n} births per 1,000 population",),
    ),
    Measure(
        "GDP per capita 2023",
        SIZE,
        levels("3000 5000 7000 8000 10000 12000 15000 18000 20000 25000 30000 35000 40000 50000"),
        ("had a real GDP per capita above {n} US dollars in 2023",),
        ("had a real GDP per capita below {n} US dollars in 2023",),
    ),
    Measure(
        "GDP 2023",
        SIZE,
        levels("1 2 3 5 8 10 15 20 25 30 40 50 60 80 100 150 200 300 400 500 1000"),
        ("had a real GDP (purchasing power parity) above {n} billion US dollars in 2023",),
        ("had a real GDP (purchasing power parity) below {n} billion US dollars in 2023",),
    ),
    Measure(
        "Unemployment 2024",
        SHARE,
        levels("2 3 4 5 6 7 8 10 12"),
        ("had an unemployment rate above {n}% in 2024",),
        ("had an unemployment rate below {n}% in 2024",),
    ),
    Measure(
        "Inflation 2023",
        SHARE,
        levels("1 2 3 4 5 6 8 10 15"),
        ("had a consumer-price inflation rate above {n}% in 2023",),
        ("had a consumer-price inflation rate below {n}% in 2023",),
    ),
    Measure(
        "Internet users",
        AGE,
        levels("30 40 50 60 65 70 75 80 85 90"),
        ("have more than {n}% of their population using the internet",),
        ("have less than {n}% of their population using the internet",),
    ),
)
"""Lengths of borders and coasts are compared upwards only: for a shorter coast than so much, none at all is moot."""

STATES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Coastline": (("have a coastline",), ("are landlocked",)),
}
"""Heading -> wordings for some of it, wordings for none."""
