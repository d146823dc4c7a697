"""Three-valued conditions, their margins and their wordings."""

from decimal import Decimal

import pytest

from services.suites.catalogue import BY_HEADING
from services.suites.facts import Country
from services.suites.measures import MEASURES
from services.suites.parsing import Value, number_value
from services.suites.predicates import Decided, Predicate, decide, predicates, read_predicate


def _state(population: int | None = None, *, coast: int | None = None) -> Country:
    values: dict[str, Value | None] = {
        "Population": number_value(Decimal(population)) if population is not None else None,
        "Coastline": number_value(Decimal(coast)) if coast is not None else None,
    }
    return Country("aa", "here", "Aland", (), values)


def _more_than_a_million() -> Predicate:
    found = read_predicate("have more than 1 million inhabitants")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("population", "held", "near"),
    [
        (2_000_000, True, False),
        (500_000, False, False),
        (1_030_001, True, False),
        (1_030_000, None, True),
        (1_000_000, None, True),
        (970_000, None, True),
        (969_999, False, False),
        (None, None, False),
    ],
)
def test_a_condition_is_true_false_or_unknown(population: int | None, held: bool | None, near: bool) -> None:
    predicate = _more_than_a_million()

    assert predicate.holds(_state(population)) is held
    assert predicate.near(_state(population)) is near


def test_decisions_are_kept_as_bits() -> None:
    states = [_state(2_000_000), _state(500_000), _state(), _state(1_000_000), _state(3_000_000)]

    assert decide(_more_than_a_million(), states) == Decided(true=0b10001, false=0b00010, near=0b01000)
    assert decide(_more_than_a_million(), states).known == 0b10011


def test_being_landlocked_has_no_margin() -> None:
    landlocked, coast = read_predicate("are landlocked"), read_predicate("have a coastline")

    assert landlocked is not None
    assert coast is not None
    assert [landlocked.holds(_state(coast=km)) for km in (0, 5, None)] == [True, False, None]
    assert [coast.holds(_state(coast=km)) for km in (0, 5, None)] == [False, True, None]


def test_every_condition_is_read_back_from_its_words() -> None:
    made = list(predicates(BY_HEADING))

    assert len(made) > 500
    assert len({predicate.text for predicate in made}) == len(made)
    assert all(read_predicate(predicate.text) == predicate for predicate in made)


@pytest.mark.parametrize(
    ("text", "heading", "above", "threshold"),
    [
        ("have fewer than 1.5 million inhabitants", "Population", False, "1500000"),
        ("have a total area above 1,000,000 square kilometres", "Total area", True, "1000000"),
        ("have a total fertility rate below 2.5 children per woman", "Fertility rate", False, "2.5"),
        ("had a real GDP (purchasing power parity) above 200 billion US dollars in 2023", "GDP 2023", True, "200"),
    ],
)
def test_words_name_quantity_direction_and_threshold(text: str, heading: str, above: bool, threshold: str) -> None:
    found = read_predicate(text)

    assert found is not None
    assert (found.heading, found.above, found.threshold) == (heading, above, Decimal(threshold))


@pytest.mark.parametrize("text", ["", "have a monarchy", "have more than many inhabitants", "have a population"])
def test_other_words_are_no_condition(text: str) -> None:
    assert read_predicate(text) is None


def test_margins_are_3_percent_for_sizes_and_less_for_rates_and_ages() -> None:
    margins = {measure.heading: Decimal(measure.margin) for measure in MEASURES}

    assert margins["Population"] == margins["Total area"] == margins["Coastline"] == Decimal("0.03")
    assert all(Decimal("0.003") <= margin <= Decimal("0.03") for margin in margins.values())
    assert {heading for heading, margin in margins.items() if margin < Decimal("0.03")} == {
        "Forest share",
        "Median age",
        "Life expectancy",
        "Fertility rate",
        "Infant mortality",
        "Urban share",
        "Birth rate",
        "Unemployment 2024",
        "Inflation 2023",
        "Internet users",
    }


def test_only_conditions_on_the_wanted_columns_are_made() -> None:
    made = list(predicates({"Coastline", "Birth rate", "Death rate"}))

    assert {predicate.heading for predicate in made} == {"Coastline", "Birth rate", "Death rate"}
    assert {predicate.text for predicate in made} >= {"are landlocked", "have a coastline"}
