"""How questions over the Factbook are worded, and how their answers may be spelt.

One line a column that questions ask for. `{c}` stands for a country: a name, or a description such as "the
country whose capital is X"; the first phrasing of every column is that of the published development questions.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from services.suites.parsing import Value

_NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_UNITS: Mapping[str, tuple[str, ...]] = {
    "name": (),
    "people": ("{n} people",),
    "area": ("{n} sq km", "{n} square kilometres"),
    "km": ("{n} km",),
    "m": ("{n} m", "{n} metres"),
    "percent": ("{n}%",),
    "years": ("{n} years",),
    "children": ("{n} children per woman",),
    "deaths": ("{n} deaths per 1,000 live births",),
    "births": ("{n} births per 1,000 population",),
    "dollars": ("${n}", "{n} US dollars"),
    "billions": ("{n} billion US dollars", "${n} billion"),
}
"""Spellings of an answer with its unit; the bare number comes before them."""
_TABLE = """
Capital | name | the capital | - | What is the capital of {c}? | Which city is the capital of {c} according to the World Factbook? | Name the capital city of {c}.
Population | people | the total population | has more inhabitants ~ has fewer inhabitants | What is the total population of {c} according to the World Factbook? | How many people live in {c} according to the World Factbook? | What total number of people does the World Factbook give for the population of {c}?
Total area | area | the total area in square kilometres | has the larger total area ~ has the smaller total area | What is the total area of {c} in square kilometres according to the World Factbook? | How many square kilometres does the total area of {c} measure? | How large is {c} in total, in square kilometres?
Land boundary | km | the total length in kilometres of the land boundaries | has the longer land boundaries in total ~ has the shorter land boundaries in total | What is the total length of the land boundaries of {c} in kilometres? | How many kilometres of land boundaries does the World Factbook give for {c} in total? | How long are the land boundaries of {c} altogether, in kilometres?
Coastline | km | the length of the coastline in kilometres | has the longer coastline ~ has the shorter coastline | How long is the coastline of {c} in kilometres according to the World Factbook? | What length of coastline, in kilometres, does the World Factbook give for {c}? | How many kilometres long is the coast of {c} according to the World Factbook?
Highest point | name | the highest point | - | What is the highest point of {c}? | What is the name of the highest point of {c} according to the World Factbook? | Which place is the highest point of {c}?
Highest elevation | m | the elevation in metres of the highest point | has the higher highest point ~ has the lower highest point | What is the elevation in metres of the highest point of {c}? | How many metres high is the highest point of {c}? | At what elevation, in metres, is the highest point of {c} according to the World Factbook?
Forest share | percent | the share of forest in land use, in percent, | has the higher share of forest in its land use ~ has the lower share of forest in its land use | What percentage of land use in {c} is forest according to the World Factbook? | In percent, what share of land use is forest in {c}? | Forest makes up what percentage of land use in {c}?
Median age | years | the median age in years | has the higher median age ~ has the lower median age | What is the median age of the total population of {c} in years? | How many years is the median age of the total population of {c}? | What median age, in years, does the World Factbook give for the total population of {c}?
Life expectancy | years | the life expectancy at birth (total population, in years) | has the higher life expectancy at birth (total population) ~ has the lower life expectancy at birth (total population) | What is the life expectancy at birth of the total population of {c} in years? | How many years is life expectancy at birth in {c}, for the total population? | What life expectancy at birth, in years, does the World Factbook give for the total population of {c}?
Fertility rate | children | the total fertility rate in children born per woman | has the higher total fertility rate ~ has the lower total fertility rate | What is the total fertility rate of {c} in children born per woman? | How many children are born per woman in {c}, by its total fertility rate? | In children born per woman, what total fertility rate does the World Factbook give for {c}?
Infant mortality | deaths | the total infant mortality rate in deaths per 1,000 live births | has the higher total infant mortality rate ~ has the lower total infant mortality rate | What is the total infant mortality rate of {c} in deaths per 1,000 live births? | How many infant deaths per 1,000 live births does the World Factbook give for {c} in total? | In deaths per 1,000 live births, how high is total infant mortality in {c}?
Urban share | percent | the urban share of the population in percent | has the higher urban share of its population ~ has the lower urban share of its population | What percentage of the population of {c} is urban? | In percent, how much of the total population of {c} is urban according to the World Factbook? | What share of the people of {c}, in percent, is urban population?
Birth rate | births | the birth rate per 1,000 population | has the higher birth rate ~ has the lower birth rate | What is the birth rate of {c} per 1,000 population? | How many births per 1,000 population does the World Factbook give for {c}? | Per 1,000 population, how many births are there in {c}?
GDP per capita 2023 | dollars | the 2023 real GDP per capita in US dollars | had the higher real GDP per capita in 2023 ~ had the lower real GDP per capita in 2023 | What was the real GDP per capita of {c} in 2023 in US dollars? | In US dollars, how high was the real GDP per capita of {c} in 2023? | How many US dollars of real GDP per capita does the World Factbook give for {c} for 2023?
GDP 2023 | billions | the 2023 real GDP at purchasing power parity, in billions of US dollars, | had the higher real GDP (purchasing power parity) in 2023 ~ had the lower real GDP (purchasing power parity) in 2023 | What was the real GDP of {c} at purchasing power parity in 2023 in billions of US dollars? | In billions of US dollars, how high was the real GDP (purchasing power parity) of {c} in 2023?
Unemployment 2024 | percent | the 2024 unemployment rate in percent | had the higher unemployment rate in 2024 ~ had the lower unemployment rate in 2024 | What was the unemployment rate of {c} in 2024 in percent? | What percentage does the World Factbook give as the 2024 unemployment rate of {c}?
Inflation 2023 | percent | the 2023 consumer-price inflation rate in percent | had the higher consumer-price inflation rate in 2023 ~ had the lower consumer-price inflation rate in 2023 | What was the consumer-price inflation rate of {c} in 2023 in percent? | By how many percent did consumer prices rise in {c} in 2023 according to the World Factbook?
Internet users | percent | the share of internet users in the population, in percent, | has the higher share of internet users in its population ~ has the lower share of internet users in its population | What percentage of the population of {c} uses the internet? | In percent, what share of the people of {c} are internet users according to the World Factbook?
"""  # noqa: E501  # one line a column: heading, unit, noun, comparison, phrasings


@dataclass(frozen=True, slots=True)
class Wording:
    """How one column is asked for."""

    heading: str
    unit: str
    noun: str
    """What is asked for, with its unit, before `of the country …`."""
    more: str
    """What the country with the larger value does; empty where values are names."""
    less: str
    phrasings: tuple[str, ...]

    @property
    def tense(self) -> str:
        """The verb that asks for it: years past are asked for in the past."""
        return "was" if "the 20" in self.noun else "is"


def _wording(line: str) -> Wording:
    heading, unit, noun, compared, *phrasings = line.split(" | ")
    more, _, less = compared.partition(" ~ ")
    return Wording(heading, unit, noun, more if less else "", less, tuple(phrasings))


WORDINGS: Mapping[str, Wording] = {wording.heading: wording for wording in map(_wording, _TABLE.strip().splitlines())}
"""Wording by heading of the catalogue's column, for every column whose values are read."""


def spellings(value: Value, unit: str) -> tuple[str, ...]:
    """Accepted spellings of a value, the canonical one first: plain and separated digits, bare and with the unit.

    A name is spelt as in the profile, by its other names there, or without its accents.
    """
    if value.number is None:
        given = (value.text, *value.aliases)
        return tuple(dict.fromkeys((*given, *map(unaccented, given))))
    digits = dict.fromkeys((value.text, separated(value.text)))
    return tuple(form.format(n=each) for form in ("{n}", *_UNITS[unit]) for each in digits)


def unaccented(name: str) -> str:
    """A name without its accents: `San José` as `San Jose`."""
    return "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))


def separated(digits: str) -> str:
    """Digits with a comma before every third: `1234567.5` as `1,234,567.5`."""
    whole, point, rest = digits.partition(".")
    return f"{int(whole):,}{point}{rest}" if whole.lstrip("-") != "0" else digits


def count_spellings(number: int) -> tuple[str, ...]:
    """Accepted spellings of a small count."""
    return (str(number), _NUMBER_WORDS[number]) if number < len(_NUMBER_WORDS) else (str(number),)
