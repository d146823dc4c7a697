"""The columns that tasks over the Factbook may ask for.

Headings, descriptions, paths, families, use and tolerances of `COLUMNS` are those of the published development set;
`use` says which splits may ask for a column: `train` any, `dev` all but training, `reserved` none that is made here.
Columns of use `practice`, in a list of their own, are asked for in training alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from services.suites import practice
from services.suites.parsing import Reader, capital, elevation, peak, quantity
from wideseek.tables import fold

Use = Literal["train", "practice", "dev", "reserved"]
_USES: Mapping[str, Use] = {"train": "train", "practice": "practice", "dev": "dev", "reserved": "reserved"}

_SIZE, _LENGTH, _RATE = 0.01, 0.005, 0.001
"""Relative tolerances: of populations, areas and GDP; of lengths and GDP per capita; of rates, ages, elevations."""
_KINDS: Mapping[str, tuple[Reader | None, float | None]] = {
    "-": (None, None),
    "capital": (capital, None),
    "peak": (peak, None),
    "elevation": (elevation, _RATE),
    "count": (quantity("", ""), _SIZE),
    "items": (quantity("", ""), 0.0),
    "area": (quantity("", " sq km"), _SIZE),
    "km": (quantity("", " km"), _LENGTH),
    "percent": (quantity("", "%"), _RATE),
    "urban": (quantity("", "% of total population"), _RATE),
    "years": (quantity("", " years"), _RATE),
    "children": (quantity("", " children born/woman"), _RATE),
    "deaths": (quantity("", " deaths/1,000 live births"), _RATE),
    "births": (quantity("", " births/1,000 population"), _RATE),
    "text": (capital, None),
    "part": (quantity("", r"%(?: \(\d{4} est\.\))?"), _RATE),
    "ratio": (quantity("", ""), _RATE),
    "crude": (quantity("", " deaths/1,000 population"), _RATE),
    "migrants": (quantity("", r" migrant\(s\)/1,000 population"), _RATE),
    "yearly": (quantity("", r"% annual rate of change(?: \(\d{4}-\d{2} est\.\))?"), _RATE),
    "sexes": (quantity("", r" male\(s\)/female"), _RATE),
    "maternal": (quantity("", " deaths/100,000 live births"), _RATE),
    "physicians": (quantity("", " physicians/1,000 population"), _RATE),
    "beds": (quantity("", " beds/1,000 population"), _RATE),
    "litres": (quantity("", " liters of pure alcohol"), _RATE),
    "metres": (quantity("", " m"), _RATE),
    "arable": (quantity("arable land: ", "%"), _RATE),
    "pasture": (quantity("permanent pasture: ", "%"), _RATE),
    "carbon": (quantity("", " metric tonnes of CO2", unit=10**6), _SIZE),
    "water": (quantity("", " cubic meters", unit=10**9), _SIZE),
    "withdrawal": (quantity("", " cubic meters", unit=10**6), _SIZE),
    "tons": (quantity("", " tons"), _SIZE),
    "power": (quantity("", " kWh", unit=10**9), _SIZE),
    "capacity": (quantity("", " kW"), _SIZE),
    "output": (quantity("", "% of GDP"), _RATE),
    "miles": (quantity("", " nm"), _LENGTH),
    "dollars": (quantity(r"\$", ""), _LENGTH),
    "billions": (quantity(r"\$", "", unit=10**9), _SIZE),
}
"""How a kind of field is read, and within what tolerance its cells are right."""
_TABLE = """
base | train | capital | Capital | name of the capital city | Government > Capital > name
demography | train | count | Population | total number of people | People and Society > Population > total
geography | train | area | Total area | in square kilometres, written out in full | Geography > Area > total
geography | train | km | Land boundary | total length of land boundaries in km | Geography > Land boundaries > total
geography | train | km | Coastline | length in km | Geography > Coastline
geography | train | peak | Highest point | name of the highest point | Geography > Elevation > highest point
geography | train | elevation | Highest elevation | elevation of the highest point in metres | Geography > Elevation > highest point
geography | train | percent | Forest share | forest as a percentage of land use | Geography > Land use > forest
demography | train | years | Median age | total population, in years | People and Society > Median age > total
demography | train | years | Life expectancy | at birth, total population, in years | People and Society > Life expectancy at birth > total population
demography | train | children | Fertility rate | total fertility rate, children born per woman | People and Society > Total fertility rate
demography | train | deaths | Infant mortality | total, deaths per 1,000 live births | People and Society > Infant mortality rate > total
demography | train | urban | Urban share | urban population as a percentage of the total | People and Society > Urbanization > urban population
demography | train | births | Birth rate | births per 1,000 population | People and Society > Birth rate
economy | dev | dollars | GDP per capita 2023 | real GDP per capita for 2023 in US dollars | Economy > Real GDP per capita > Real GDP per capita 2023
economy | dev | billions | GDP 2023 | real GDP at purchasing power parity for 2023, in billions of US dollars | Economy > Real GDP (purchasing power parity) > Real GDP (purchasing power parity) 2023
economy | dev | percent | Unemployment 2024 | unemployment rate for 2024 in percent | Economy > Unemployment rate > Unemployment rate 2024
economy | dev | percent | Inflation 2023 | consumer-price inflation rate for 2023 in percent | Economy > Inflation rate (consumer prices) > Inflation rate (consumer prices) 2023
economy | dev | percent | Internet users | percentage of the population using the internet | Communications > Internet users > percent of population
polity | reserved | - | Legislative structure | unicameral or bicameral | Government > Legislative branch > legislative structure
polity | reserved | - | Government type | as stated in the profile | Government > Government type
polity | reserved | - | Citizenship by birth | yes or no | Government > Citizenship > citizenship by birth
polity | reserved | - | Dual citizenship | whether dual citizenship is recognised, yes or no | Government > Citizenship > dual citizenship recognized
polity | reserved | - | Independence date | date of independence as YYYY-MM-DD | Government > Independence
culture | reserved | - | Internet code | internet country code with the leading dot, such as .xx | Communications > Internet country code
culture | reserved | - | Aircraft prefix | civil aircraft registration country code prefix | Transportation > Civil aircraft registration country code prefix
culture | reserved | items | World Heritage Sites | total number of UNESCO World Heritage Sites | Government > National heritage > total World Heritage Sites
economy | reserved | items | Airports | number of airports | Transportation > Airports
economy | reserved | - | Top export partner | the country listed first among export partners | Economy > Exports - partners
"""  # noqa: E501  # one line a column: family, use, kind, heading, description, field


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a wide task: what a query calls it, where its value stands, and how a cell is compared."""

    heading: str
    description: str
    field: str
    """Labels from a profile's section down to the field, joined by ` > `."""
    family: str
    use: Use
    read: Reader | None = None
    """None for reserved names: no task that is made here asks for them."""
    tolerance: float | None = None
    """Relative; None for names, which are compared as text."""

    @property
    def id(self) -> str:
        """The heading as scorers know it: lower case, no spaces."""
        return fold(self.heading)

    @property
    def path(self) -> tuple[str, ...]:
        """The labels of the field, one by one."""
        return tuple(self.field.split(" > "))

    @property
    def rule(self) -> dict[str, Any]:
        """How a scorer compares the column, as in `evaluation.eval_pipeline`."""
        if self.tolerance is None:
            return {"preprocess": ["norm_str"], "metric": ["exact_match"]}
        return {"preprocess": ["extract_number"], "metric": ["number_near"], "criterion": self.tolerance}


def _column(line: str) -> Column:
    family, use, kind, heading, description, field = line.split(" | ")
    return Column(heading, description, field, family, _USES[use], *_KINDS[kind])


COLUMNS: tuple[Column, ...] = tuple(_column(line) for line in _TABLE.strip().splitlines())
"""All columns of the published list, in its order."""

PRACTICE: tuple[Column, ...] = tuple(_column(line) for line in practice.TABLE.strip().splitlines())
"""Columns that only training asks for."""

EVERY = (*COLUMNS, *PRACTICE)

KEY = Column("Country", "usual short English name", "", "base", "train")
"""The key column of every table."""

BY_HEADING: Mapping[str, Column] = {column.heading: column for column in EVERY}
BY_ID: Mapping[str, Column] = {column.id: column for column in EVERY}


def shared_border(anchor: str) -> Column:
    """The column for the length of the border with `anchor`, which only a question for its neighbours can ask for.

    The published list does not name it and the development set asks for it, so training does not.
    """
    description = f"length of the land border with {anchor} in km"
    field = "Geography > Land boundaries > border countries"
    return Column("Shared border", description, field, "geography", "dev", tolerance=_LENGTH)
