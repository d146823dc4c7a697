"""Questions over the bundled Factbook: the published ones told again, and the rules that all of ours keep."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from services.suites.catalogue import COLUMNS
from services.suites.facts import load_countries
from services.suites.filters_duplicates import DuplicateFilter
from services.suites.filters_gold import GoldFilter
from services.suites.filters_reserved import ReservedFilter
from services.suites.questions import generate_questions
from services.suites.questions_drafts import Draft, Scope
from services.suites.questions_several import common_neighbours, comparison, longest_borders, neighbour_counts
from services.suites.questions_simple import asked_of, bridges, profile_texts
from services.suites.questions_wording import WORDINGS, spellings
from services.suites.splits import SPLITS, is_kept_back
from wideseek.instances import Question

ALL = 1_000_000
Record = Mapping[str, Any]


@pytest.fixture(scope="module", params=["train", "dev"])
def every_question(request: pytest.FixtureRequest) -> Sequence[Question]:
    """All questions of a split."""
    return generate_questions(load_countries(), request.param, ALL, 3)


def _published(shared_data: Path) -> list[Record]:
    return [json.loads(line) for line in (shared_data / "factbook" / "qa_dev.jsonl").read_text("utf-8").splitlines()]


def _told_again(record: Record, drafts: Iterable[Draft]) -> list[Draft]:
    """Drafts with the published chain (in any order), documents and canonical answer."""
    return [
        draft
        for draft in drafts
        if sorted(draft.chain) == sorted(record["meta"]["chain"])
        and {country.url for country in draft.read} == set(record["gold_docs"])
        and draft.answers[0] == record["answers"][0]
        and set(record["answers"]) <= set(draft.answers)
    ]


@pytest.mark.shared_data
def test_published_single_hops_are_worded_and_answered_alike(shared_data: Path) -> None:
    singles = [record for record in _published(shared_data) if record["kind"] == "single_hop"]
    by_url = {country.url: country for country in load_countries().values()}

    for record in singles:
        country = by_url[record["gold_docs"][0]]
        columns = [column for column in COLUMNS if column.field == record["meta"]["fields"][0]]
        drafts = [
            draft
            for column in columns
            if (wording := WORDINGS[column.heading])
            and (draft := asked_of(country, column, wording, wording.phrasings[0].format(c=country.definite)))
        ]

        assert [draft.text for draft in _told_again(record, drafts)] == [record["question"]]

    assert len(singles) == 18


@pytest.mark.shared_data
def test_published_multi_hops_have_our_chains_documents_and_answers(shared_data: Path) -> None:
    countries = load_countries()
    scope = Scope(countries, SPLITS["dev"])
    made = {
        "bridge_cap": list(bridges(scope, Random(0), "bridge_cap", profile_texts)),
        "bridge_hp": list(bridges(scope, Random(0), "bridge_hp", profile_texts)),
        "border_argmax": list(longest_borders(scope, Random(0))),
        "count": list(neighbour_counts(scope, Random(0))),
        "intersection": list(common_neighbours(scope, Random(0))),
    }
    multi = [record for record in _published(shared_data) if record["kind"] == "multi_hop"]
    told: Counter[str] = Counter()

    for record in multi:
        kind = record["meta"]["type"]
        if kind in made:
            assert _told_again(record, made[kind]), record["instance_id"]
            told[kind] += 1

    assert told == {"bridge_hp": 2, "border_argmax": 2, "bridge_cap": 1, "count": 1, "intersection": 1}


@pytest.mark.shared_data
def test_the_published_comparison_is_among_ours(shared_data: Path) -> None:
    (record,) = [record for record in _published(shared_data) if record["meta"].get("type") == "comparison"]
    by_url = {country.url: country for country in load_countries().values()}
    one, other = (by_url[address] for address in record["gold_docs"])

    drafts = [
        draft
        for column in COLUMNS
        if column.heading in WORDINGS and WORDINGS[column.heading].more
        for seed in range(32)
        if (draft := comparison(one, other, column, Random(seed)))
    ]

    assert record["question"] in {draft.text for draft in _told_again(record, drafts)}


@pytest.mark.shared_data
def test_published_bridges_over_reserved_columns_end_in_our_values(shared_data: Path) -> None:
    """Internet code and aircraft prefix are no bridges of ours; what lies behind them is read alike."""
    by_url = {country.url: country for country in load_countries().values()}
    records = [r for r in _published(shared_data) if r["meta"].get("type") in {"bridge_tld", "bridge_avi"}]

    for record in records:
        country = by_url[record["gold_docs"][0]]
        field = record["meta"]["chain"][1].partition(" = ")[0]
        accepted = [
            spellings(value, WORDINGS[column.heading].unit)
            for column in COLUMNS
            if column.field == field and (value := country.values.get(column.heading))
        ]

        assert any(found[0] == record["answers"][0] and set(record["answers"]) <= set(found) for found in accepted)

    assert len(records) == 4


@pytest.mark.parametrize("split", ["train", "dev"])
def test_a_list_of_questions_mixes_hops_and_types(split: str) -> None:
    questions = generate_questions(load_countries(), split, 160, 0)

    kinds = Counter(question.kind for question in questions)
    types = Counter(question.meta.get("type") for question in questions if question.kind == "multi_hop")
    assert kinds == {"single_hop": 100, "multi_hop": 60}
    assert set(types) == {"border_argmax", "comparison", "count", "intersection", "bridge_cap", "bridge_hp"}
    assert len({question.meta["fields"][-1] for question in questions}) >= 13


def test_nothing_reserved_is_ever_asked(every_question: Sequence[Question]) -> None:
    reserved, gold, duplicate = ReservedFilter(every_question[0].split), GoldFilter(), DuplicateFilter()

    for question in every_question:
        assert reserved.check(question) is None
        assert gold.check(question) is None
        assert duplicate.check(question) is None
        duplicate.keep(question)


def test_countries_fields_and_sets_are_those_of_the_split(every_question: Sequence[Question]) -> None:
    """The rules once more, in the words of the data's own description, without the generator's code for them."""
    train = every_question[0].split == "train"
    regions = {"africa", "europe", "south-america"} if train else {
        "central-america-n-caribbean", "central-asia", "north-america"
    }  # fmt: skip
    sections = ("Government > Capital", "People and Society", "Geography")
    countries = load_countries()

    for question in every_question:
        codes = question.meta["codes"]
        assert {countries[code].region for code in codes} <= regions
        assert {address.partition(":")[2].partition("/")[0] for address in question.gold_docs} <= regions
        if train:
            assert all(field.startswith(sections) for field in question.meta["fields"])
            assert not is_kept_back(codes)
            assert not is_kept_back([address[-2:] for address in question.gold_docs])


def test_answers_follow_from_their_chains(every_question: Sequence[Question]) -> None:
    by_name = {country.name: country for country in load_countries().values()}

    for question in every_question:
        chain, answer = question.meta["chain"], question.answers[0]
        match question.meta.get("type"):
            case "comparison":
                stated = dict(step.rsplit(" ", 1) for step in chain)
                best = (
                    min if any(word in question.question for word in ("lower", "fewer", "smaller", "shorter")) else max
                )
                assert answer == best(stated, key=lambda name: float(stated[name]))
            case "count":
                counted = chain[1].removeprefix("counted: ").split(", ")
                around = chain[0].partition(": ")[2].split(", ")
                centre = by_name[question.meta["countries"][0]]
                assert frozenset(by_name[name].code for name in around) == centre.neighbours
                assert set(counted) < set(around)
                assert answer == str(len(counted))
            case "intersection":
                one, other = (by_name[name].neighbours for name in question.meta["countries"][:2])
                assert one is not None
                assert other is not None
                assert set(one & other) == {by_name[answer].code}
            case _:
                assert chain[-1].endswith(f" = {answer}")


def test_a_bridge_names_one_country_of_all(every_question: Sequence[Question]) -> None:
    texts = {"bridge_cap": profile_texts("Capital"), "bridge_hp": profile_texts("Highest point")}

    for question in every_question:
        told = question.meta["chain"][0].partition(" -> ")[0]
        name = re.compile(rf"(?<!\w){re.escape(told.partition(' is ')[2])}(?!\w)", re.IGNORECASE)
        for code, text in texts.get(question.meta.get("type", ""), {}).items():
            assert bool(name.search(text)) == (code == question.meta["codes"][0])
