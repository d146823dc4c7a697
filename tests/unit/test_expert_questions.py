"""Questions are read into rows, a column and what to do with them."""

import pytest

from services.model.expert.questions import read_question
from services.model.expert.request import Request


def asked(request: Request) -> tuple[str, str]:
    (heading,) = request.asked
    return heading.name, heading.kind


@pytest.mark.parametrize(
    ("question", "row", "heading"),
    [
        ("What is the seat of the Velmar?", "Velmar", ("seat", "text")),
        ("What is Velmar's seat?", "Velmar", ("seat", "text")),
        ("what is the seat of velmar", "velmar", ("seat", "text")),
        ("How long is the ridge of Tar and Belt in kilometres?", "Tar and Belt", ("ridge", "number")),
        ("What was the tithe rate of Kesh in 1904 in percent?", "Kesh", ("tithe rate of in 1904", "number")),
        ("What is the birth rate of Kesh per 1,000 sheep?", "Kesh", ("birth rate", "number")),
        ("When did Kesh become free?", "Kesh", ("become free", "date")),
        ("What toll code does Kesh use?", "Kesh", ("toll code", "text")),
        ("How many mills does the Realm Handbook give for Kesh?", "Kesh", ("mills", "number")),
        ("Name the seat of Kesh according to the Realm Handbook.", "Kesh", ("seat", "text")),
    ],
)
def test_a_question_for_a_fact_names_row_and_heading(question: str, row: str, heading: tuple[str, str]) -> None:
    request = read_question(question)

    assert request.goal == "value"
    assert request.scope.readings[0] == (row,)
    assert asked(request) == heading


@pytest.mark.parametrize(
    ("question", "fact", "value"),
    [
        ("What is the ridge length in km of the realm whose seat is Old Kesh?", "seat", "Old Kesh"),
        ("How many mills has the realm whose toll code is .kx?", "toll code", ".kx"),
        ("State the ridge length of the realm that has the seat Old Kesh.", "seat", "Old Kesh"),
    ],
)
def test_a_row_may_be_told_by_another_fact_of_it(question: str, fact: str, value: str) -> None:
    request = read_question(question)

    assert request.goal == "value"
    assert request.scope.holder is not None
    assert (request.scope.holder.fact, request.scope.holder.value) == (fact, value)


@pytest.mark.parametrize(
    "question",
    [
        "Which realm has Old Kesh as its seat?",
        "Which realm's seat is Old Kesh?",
        "Old Kesh is the seat of which realm?",
        "Which realm has the seat Old Kesh?",
    ],
)
def test_the_row_itself_may_be_asked_for(question: str) -> None:
    request = read_question(question)

    assert request.goal == "names"
    assert request.scope.holder is not None
    assert request.scope.holder.value == "Old Kesh"


@pytest.mark.parametrize(
    ("question", "goal", "heading"),
    [
        ("Which country has the higher share of woods: the Velmar or Kesh?", "highest", "share of woods"),
        ("Which of the Velmar and Kesh has fewer mills?", "lowest", "mills"),
        ("Does Velmar or Kesh have the longer ridge?", "highest", "ridge"),
        ("Which is larger: Velmar or Kesh?", "highest", "area"),
    ],
)
def test_rows_are_compared(question: str, goal: str, heading: str) -> None:
    request = read_question(question)

    assert request.goal == goal
    assert request.scope.readings[0] == ("Velmar", "Kesh")
    assert asked(request) == (heading, "number")


@pytest.mark.parametrize(
    ("question", "conditions"),
    [
        (
            "How many of the countries that share a land border with Kesh have more than 30 mills?",
            ["have more than 30 mills"],
        ),
        ("Of the countries that border Kesh, how many have more than 30 mills?", ["have more than 30 mills"]),
        ("How many countries does Kesh border?", []),
    ],
)
def test_neighbours_are_counted(question: str, conditions: list[str]) -> None:
    request = read_question(question)

    assert request.goal == "count"
    assert request.scope.borders is not None
    assert request.scope.borders.anchors[0] == ("Kesh",)
    assert [condition.text for condition in request.conditions] == conditions


@pytest.mark.parametrize(
    "question",
    [
        "Which country shares a land border with both Kesh and the Velmar?",
        "Which country borders Kesh as well as Velmar by land?",
        "Name the one country that has a land border with Kesh and also with Velmar.",
    ],
)
def test_a_country_that_borders_two_borders_each(question: str) -> None:
    request = read_question(question)

    assert request.goal == "names"
    assert request.scope.borders is not None
    assert request.scope.borders.anchors[0] == ("Kesh", "Velmar")
    assert request.scope.borders.every


@pytest.mark.parametrize(
    "question",
    [
        "What is the seat of the realm with which Kesh shares its longest land border?",
        "What is the seat of the realm that has the longest border with Kesh?",
    ],
)
def test_the_longest_border_picks_one_neighbour(question: str) -> None:
    request = read_question(question)

    assert request.goal == "value"
    assert request.scope.borders is not None
    assert (request.scope.borders.anchors, request.scope.borders.extreme) == ((("Kesh",),), "longest")


def test_a_superlative_over_a_group_is_a_comparison() -> None:
    request = read_question("Which country in Upper Kesh has the smallest number of mills?")

    assert (request.goal, request.scope.groups) == ("lowest", ("Upper Kesh",))
    assert asked(request) == ("mills", "number")


def test_what_is_not_understood_stays_the_question_itself() -> None:
    request = read_question("why does it rain so often there?")

    assert (request.goal, request.text) == ("open", "why does it rain so often there?")
