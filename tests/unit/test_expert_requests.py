"""Queries are understood whatever the wording: columns, rows, conditions."""

import pytest

from services.model.expert.headings import Heading
from services.model.expert.lists import readings
from services.model.expert.request import Request, read_request
from services.model.expert.scope import Scope
from wideseek.words import fold, kin


def columns(request: Request) -> list[str]:
    return [fold(heading.name) for heading in request.asked]


def compared(scope: Scope) -> list[tuple[str, float]]:
    return [(one.comparison.operator, one.bounds[0].value) for one in scope.conditions if one.comparison]


@pytest.mark.parametrize(
    "query",
    [
        "capital and population of Ulmen, Dorva and Kesh",
        "Give me the capital and population of Ulmen, Dorva and Kesh.",
        "For Ulmen, Dorva and Kesh, list the capital and the population.",
        "For Ulmen, Dorva and Kesh: capital, population",
        "Compare Ulmen, Dorva and Kesh by capital and population",
        "Table of Ulmen, Dorva, Kesh with columns Capital, Population",
        "Look up these 3 countries: Ulmen, Dorva and Kesh. Show capital and population for each.",
        "Please tell me, for Ulmen, Dorva and Kesh, what the capital is and what the population is.",
    ],
)
def test_named_rows_and_columns_are_read_from_many_wordings(query: str) -> None:
    request = read_request(query)

    assert request.scope.readings[0] == ("Ulmen", "Dorva", "Kesh")
    assert {"capital", "population"} <= {*columns(request), *(fold(one.name) for one in request.columns.headings)}


def test_described_columns_keep_their_order_and_descriptions() -> None:
    query = (
        "Using the Realm Handbook, take Ulmen and Dorva. For each one give: Country (named as in this request); "
        "Reach (length in km, written out); and Toll (yes or no). Write numbers as plain digits."
    )

    request = read_request(query)

    assert request.columns.headings == (
        Heading("Country", "named as in this request"),
        Heading("Reach", "length in km, written out"),
        Heading("Toll", "yes or no"),
    )
    assert request.columns.key == 0


def test_described_columns_may_be_joined_by_commas() -> None:
    request = read_request("neighbours of Ulmen: Reach (length, in km), Seat (name of the seat) and Toll (yes or no)")

    assert request.asked == (
        Heading("Reach", "length, in km"),
        Heading("Seat", "name of the seat"),
        Heading("Toll", "yes or no"),
    )


def test_columns_of_the_caller_win_over_the_wording() -> None:
    given = (Heading("Land"), Heading("Seat", "name of the capital"))

    request = read_request("capital of Ulmen and Dorva", given)

    assert request.columns.headings == given
    assert request.scope.readings[0] == ("Ulmen", "Dorva")


@pytest.mark.parametrize(
    ("query", "given", "headings", "key"),
    [
        ("facts on Ulmen and Dorva", ("Guild", "Motto"), ("Guild", "Motto"), 0),
        ("seat and motto of Ulmen and Dorva", ("Seat", "Motto"), ("Name", "Seat", "Motto"), 0),
        ("every guild in Low Reach", ("Motto", "Name of the guild"), ("Motto", "Name of the guild"), 1),
        ("seat of Ulmen and Dorva", ("Seat", "Country"), ("Seat", "Country"), 1),
    ],
)
def test_the_key_column_is_told_from_facts(
    query: str, given: tuple[str, ...], headings: tuple[str, ...], key: int
) -> None:
    columns = read_request(query, tuple(Heading(name) for name in given)).columns

    assert tuple(heading.name for heading in columns.headings) == headings
    assert columns.key == key


@pytest.mark.parametrize(
    ("query", "anchors", "kept"),
    [
        ("List every country that shares a land border with Ulmen: capital", ("Ulmen",), False),
        ("neighbours of Ulmen: capital", ("Ulmen",), False),
        ("Which countries border Ulmen? Show the capital for each.", ("Ulmen",), False),
        ("Ulmen and its neighbours: capital", ("Ulmen",), True),
        ("capital of Ulmen and every country that shares a land border with it", ("Ulmen",), True),
        (
            "every country bordering Ulmen or Dorva, leaving out Ulmen and Dorva themselves: area",
            ("Ulmen", "Dorva"),
            False,
        ),
    ],
)
def test_borders_are_read_with_and_without_the_anchor(query: str, anchors: tuple[str, ...], *, kept: bool) -> None:
    borders = read_request(query).scope.borders

    assert borders is not None
    assert borders.anchors[0] == anchors
    assert borders.with_anchors is kept


def test_a_border_with_both_is_told_from_a_border_with_either() -> None:
    both = read_request("Countries that share a border with both Ulmen and Dorva: area").scope.borders
    either = read_request("Countries that share a border with Ulmen or with Dorva (or with both): area").scope.borders

    assert both is not None
    assert either is not None
    assert (both.every, either.every) == (True, False)


def test_regions_conditions_and_marks_are_read_apart() -> None:
    query = (
        "Which sovereign states filed under North Reach (Ulmen and Dorva) or under the Low Isles have a total area "
        "above 10,000 square kilometres and had a tithe below 3 million crowns in 2021? For each one give: "
        "State (usual short name); Seat (name of the seat)."
    )

    scope = read_request(query).scope

    assert scope.groups == ("North Reach", "the Low Isles")
    assert scope.statehood == "sovereign"
    assert compared(scope) == [(">", 10_000), ("<", 3_000_000)]
    assert scope.members("North Reach") == ("Ulmen", "Dorva")


def test_brackets_inside_the_brackets_that_list_a_region_are_read_over() -> None:
    query = (
        "Which sovereign states filed under Near Dunes and Low Steppe (Ulmen, the Old See (Inner City) and Dorva) or "
        "under West Forests have a total area above 10,000 square kilometres? For each one give: State; Seat."
    )

    scope = read_request(query).scope

    assert scope.groups == ("Near Dunes and Low Steppe", "West Forests")
    assert scope.members("Near Dunes and Low Steppe") == ("Ulmen", "Old See (Inner City)", "Dorva")
    assert compared(scope) == [(">", 10_000)]


def test_an_adjective_before_the_noun_is_a_condition() -> None:
    scope = read_request("for every landlocked country in Ostrava Bay: capital, area").scope

    assert scope.groups == ("Ostrava Bay",)
    assert [one.text for one in scope.conditions] == ["are landlocked"]


def test_a_conjunction_inside_a_name_gives_several_readings() -> None:
    found = readings("Kesh, Dorva and Tar and Belt")

    assert found == [["Kesh", "Dorva", "Tar and Belt"], ["Kesh", "Dorva and Tar", "Belt"]]


def test_a_stated_number_of_rows_decides_between_readings() -> None:
    request = read_request(
        "Facts about these 2 countries: Kesh and Tar and Belt. For each give: Seat (name of the seat)"
    )

    assert all(len(items) == 2 for items in request.scope.readings)


@pytest.mark.parametrize(
    "query",
    [
        "All lands that border Ulmen, with capital, population and total area.",
        "Every country bordering Ulmen, showing its capital, population and total area",
    ],
)
def test_columns_may_follow_the_rows_behind_a_comma(query: str) -> None:
    request = read_request(query)

    assert columns(request) == ["capital", "population", "total area"]
    assert request.scope.borders is not None


def test_a_condition_behind_a_comma_is_no_column() -> None:
    request = read_request("All lands in Kesh, with more than 5 million people: capital")

    assert columns(request) == ["capital"]
    assert request.scope.groups == ("Kesh",)


def test_an_adjective_that_begins_a_query_is_a_condition_or_a_group() -> None:
    walled = read_request("Walled countries in Kesh: capital").scope
    ulmish = read_request("Ulmish countries: capital").scope

    assert walled.groups == ("Kesh",)
    assert [condition.words for condition in walled.conditions] == [("walled",)]
    assert ulmish.groups == ("Ulmish",)
    assert ulmish.conditions == ()


def test_a_groups_name_ends_where_a_verb_begins() -> None:
    scope = read_request(
        "Which states that the Realm Handbook files under Lower Kesh recognise the moot? Give toll."
    ).scope

    assert scope.groups == ("Lower Kesh",)
    assert [condition.words for condition in scope.conditions] == [("recognise the moot",)]


def test_forms_of_one_word_are_kin() -> None:
    assert kin("legislatur", "legislativ")
    assert not kin("populat", "popular")
    assert not kin("north", "northern")


@pytest.mark.parametrize(
    ("listed", "rows"),
    [
        ("Ulmen, the Republic of the Kesh and Dorva", ("Ulmen", "Republic of the Kesh", "Dorva")),
        ("the United Reaches, Dorva and Kesh", ("United Reaches", "Dorva", "Kesh")),
        ("Dorva, the Old See (Kesh Town) and Ulmen", ("Dorva", "Old See (Kesh Town)", "Ulmen")),
    ],
)
@pytest.mark.parametrize("lead", ["Compare these countries: ", "Put together a fact table for "])
def test_names_of_several_words_and_with_remarks_stay_whole(lead: str, listed: str, rows: tuple[str, ...]) -> None:
    request = read_request(f"{lead}{listed}. For each one give: Country (its name); Capital (name of the capital).")

    assert request.scope.readings[0] == rows
