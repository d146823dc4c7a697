"""Queries over the Factbook and over tables: intents that decide their answers, words that name what is asked."""

from itertools import pairwise
from pathlib import Path

import pytest

from services.pipeline.factbook import (
    Underived,
    question_gold,
    question_queries,
    telling_words,
    wide_gold,
    wide_queries,
)
from services.pipeline.lines import Kind, Query
from services.pipeline.queries import Sources
from services.pipeline.table_queries import table_gold, table_queries
from services.pipeline.tables import Page, Sheet, file_sha256, read_pages, sheet_of
from services.suites.facts import load_countries
from services.suites.filters import Reason
from services.suites.filters_gold import GoldFilter
from services.suites.filters_read import instance_of
from services.suites.generate import QUESTIONS, generate
from services.suites.wide_records import SUITE
from tests.pipeline_parts import CLUBS, HEADER, link, page, settings, write_tables
from wideseek.errors import InvalidRequest


@pytest.fixture(scope="module")
def wide() -> list[Query]:
    return list(wide_queries(60, 1))


def test_the_answer_derived_from_an_intent_is_the_one_the_generator_had_in_mind(wide: list[Query]) -> None:
    assert [wide_gold(query) for query in wide] == generate(SUITE, "train", 60, 1)


def test_an_intent_says_how_rows_are_defined_and_not_which_they_are(wide: list[Query]) -> None:
    by = {query.intent["difficulty"]: set(query.intent) for query in wide}
    always = {"suite", "difficulty", "regions", "columns"}

    assert by["named"] - always == {"countries"}
    assert by["neighbours"] - always == {"form", "anchors", "outside"}
    assert by["filter"] - always == {"predicates"}


def test_a_query_names_its_columns_its_rows_and_its_regions(wide: list[Query]) -> None:
    for query in wide:
        assert all(phrase in query.text for phrase in query.must_name)
    filters = [query for query in wide if query.intent["difficulty"] == "filter"]
    assert any("Europe" in query.must_name for query in filters)
    assert all(set(query.intent["predicates"]) <= set(query.must_name) for query in filters)


def changed(query: Query, **intent: object) -> Query:
    return query.model_copy(update={"intent": {**query.intent, **intent}})


def test_an_intent_without_a_decided_answer_says_why(wide: list[Query]) -> None:
    named, filtered = wide[0], next(query for query in wide if query.intent["difficulty"] == "filter")
    unstated = next(state for state in load_countries().values() if state.values["Highest point"] is None)
    cases = {
        "no_rows": changed(filtered, regions=[]),
        "undecided": changed(filtered, predicates=["are pleasant"]),
        "unknown_cell": changed(named, countries=[unstated.code], columns=["highestpoint"]),
    }
    for code, query in cases.items():
        with pytest.raises(Underived) as caught:
            wide_gold(query)
        assert caught.value.reason.code == code


def test_a_condition_that_a_profile_does_not_decide_is_no_definition(wide: list[Query]) -> None:
    query = next(query for query in wide if query.intent["difficulty"] == "filter")
    vague = changed(query, predicates=["have a median age (total population) above 40.8 years"], regions=["europe"])

    with pytest.raises(Underived, match="not known whether"):
        wide_gold(vague)


def test_questions_have_the_generators_answers_in_whatever_words() -> None:
    asked = list(question_queries(40, 1))
    reworded = asked[0].model_copy(update={"text": "Other words?"})

    assert [question_gold(query, 40, 1) for query in asked] == generate(QUESTIONS, "train", 40, 1)
    assert question_gold(reworded, 40, 1)["question"] == "Other words?"
    with pytest.raises(Underived, match="none of this seed's"):
        question_gold(asked[0].model_copy(update={"instance_id": "x"}), 40, 1)


def test_telling_words_are_names_numbers_quantities_and_comparisons() -> None:
    text = "Which of Mali and Côte d’Ivoire has more than 1,000 km of coastline and the larger total area?"

    assert telling_words(text) == ("Mali", "Côte", "Ivoire", "more", "1,000", "coastline", "larger", "total", "area")


def test_a_table_is_asked_for_by_its_plain_columns() -> None:
    sheet = sheet_of(page("League", HEADER, CLUBS))

    assert isinstance(sheet, Sheet)
    assert (sheet.key, sheet.headings) == ("Team", ("City", "Capacity"))
    assert sheet.rows[0] == ("Club 1", "Arvo", "1,500")
    assert sheet.links[0] == "https://wiki/Club_1"
    assert (sheet.is_number("Capacity"), sheet.is_number("City")) == (True, False)


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (page("Few", HEADER, CLUBS[:3]), "size"),
        (page("Same", HEADER, [*CLUBS, ["6", *CLUBS[0][1:]]]), "no_key"),
        (page("Numbers", HEADER, [[row[0], row[3], *row[2:]] for row in CLUBS]), "no_key"),
        (
            page("Gap", ("Team", "City", "Capacity"), [[link(f"C {n}"), "", str(n)] for n in range(5)]),
            "too_few_columns",
        ),
        (Page("https://wiki/x", "X", "no table here"), "no_single_table"),
    ],
)
def test_a_table_that_cannot_be_asked_for_says_why(made: Page, code: str) -> None:
    reason = sheet_of(made)

    assert isinstance(reason, Reason)
    assert reason.code == code


def test_queries_over_a_table_have_its_cells_for_gold() -> None:
    pages = [page("League", HEADER, CLUBS), page("Few", HEADER, CLUBS[:2])]

    wide, lookup, reverse, rejected = table_queries(pages, 5)
    records = [table_gold(query, {one.url: one for one in pages}) for query in (wide, lookup, reverse)]

    assert rejected.rejected is not None
    assert [query.kind for query in (wide, lookup, reverse)] == [Kind.WIDE, Kind.QUESTION, Kind.QUESTION]
    for query, record in zip((wide, lookup, reverse), records, strict=True):
        assert all(phrase in query.text for phrase in query.must_name)
        assert GoldFilter().check(instance_of(record)) is None
    assert records[0]["evaluation"]["eval_pipeline"]["capacity"]["metric"] == ["number_near"]
    assert records[0]["list_doc"] == "https://wiki/League#Clubs"
    row = next(row for row in CLUBS if lookup.intent["value"] in row[1])
    assert records[1]["answers"][0] in " ".join(row)
    assert records[2]["answers"][0].startswith("Club ")
    assert records[2]["meta"]["chain"]


def test_a_table_that_is_gone_or_changed_answers_nothing() -> None:
    one = page("League", HEADER, CLUBS)
    wide, lookup, _ = table_queries([one], 5)
    renamed = lookup.model_copy(update={"intent": {**lookup.intent, "value": "Club 9"}})

    with pytest.raises(Underived, match="not in the file"):
        table_gold(wide, {})
    with pytest.raises(Underived, match="0 rows have 'Club 9'"):
        table_gold(renamed, {one.url: one})


def test_files_of_tables_are_read_plain_or_gzipped_and_their_mistakes_named(tmp_path: Path) -> None:
    pages = [page("League", HEADER, CLUBS)]
    packed = write_tables(tmp_path / "t.jsonl.gz", pages)
    (tmp_path / "t.jsonl").write_text('{"url": "u", "title": "t", "text": "x"}\n\n{"url": "u"}\n', "utf-8")
    (tmp_path / "n.jsonl").write_text("none\n", "utf-8")

    assert read_pages(packed) == pages
    assert len(file_sha256(packed)) == 64
    with pytest.raises(InvalidRequest, match=r"t\.jsonl:3: title: missing"):
        read_pages(tmp_path / "t.jsonl")
    with pytest.raises(InvalidRequest, match=r"n\.jsonl:1: not JSON"):
        read_pages(tmp_path / "n.jsonl")
    with pytest.raises(InvalidRequest, match="No such file"):
        read_pages(tmp_path / "gone.jsonl")


def test_kinds_take_turns_and_tables_come_in_with_the_factbook() -> None:
    made = Sources(settings(count=8), [page("League", HEADER, CLUBS)]).queries()

    assert all(one.kind is not other.kind for one, other in pairwise(made[:8]))
    assert {query.source for query in made[:4]} == {"factbook", "tables"}
    assert len({query.instance_id for query in made}) == len(made)
    assert len([query for query in made if query.source == "factbook"]) == 2 * settings(count=8).candidates
