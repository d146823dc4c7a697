"""Questions over an invented world, where every answer can be worked out by hand."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest

from services.suites.catalogue import BY_HEADING, COLUMNS
from services.suites.facts import Country
from services.suites.parsing import Value, number_value
from services.suites.questions import generate_questions
from services.suites.questions_drafts import Draft, Scope, apart
from services.suites.questions_several import (
    closed,
    common_neighbours,
    comparison,
    longest,
    longest_borders,
    neighbour_counts,
)
from services.suites.questions_simple import bridges, single_hops
from services.suites.questions_wording import WORDINGS, count_spellings, separated, spellings
from services.suites.splits import SPLITS, is_kept_back
from wideseek.errors import InvalidRequest

TRAIN = SPLITS["train"]


def _country(code: str, region: str = "africa", borders: Mapping[str, int] | None = None, **values: str) -> Country:
    """A state named `Land of XX`; `values` by heading with `_` for spaces, its land boundary the sum of its borders."""
    lengths = {other: number_value(Decimal(km)) for other, km in (borders or {}).items()}
    total = str(sum((borders or {}).values()))
    given = {"Land boundary": total, **{heading.replace("_", " "): text for heading, text in values.items()}}
    return Country(
        code=code,
        region=region,
        name=f"Land of {code.upper()}",
        aliases=(f"Republic of {code.upper()}",),
        values={heading: _value(text) for heading, text in given.items()},
        neighbours=frozenset(lengths),
        borders=lengths,
        definite=f"the Land of {code.upper()}",
    )


def _value(text: str) -> Value:
    return number_value(Decimal(text)) if text.replace(".", "").isdigit() else Value(text)


def _world(*countries: Country) -> dict[str, Country]:
    return {country.code: country for country in countries}


def _no_texts(heading: str) -> Mapping[str, str]:
    return {}


def _all(drafts: Iterator[Draft]) -> dict[tuple[str, ...], Draft]:
    return {draft.chain: draft for draft in drafts}


def _mainland(**changes: Country) -> dict[str, Country]:
    """Four states in a row and one beside the first two: aa-bb-cc-dd, and aa-ee-bb."""
    found = {
        "aa": _country("aa", borders={"bb": 300, "ee": 100}, Population="9000000", Capital="Alpha"),
        "bb": _country("bb", borders={"aa": 300, "cc": 500, "ee": 50}, Population="20000000", Capital="Beta"),
        "cc": _country("cc", borders={"bb": 500, "dd": 200}, Population="3000000", Capital="Gamma"),
        "dd": _country("dd", borders={"cc": 200}, Population="100000", Capital="Delta"),
        "ee": _country("ee", borders={"aa": 100, "bb": 50}, Population="1000000", Capital="Epsilon"),
    }
    return {**found, **changes}


def test_a_single_hop_question_has_answer_document_field_and_chain() -> None:
    world = _world(_country("aa", Coastline="37653"))

    (question, *_) = [
        question
        for question in generate_questions(world, "train", 10, 0, texts=_no_texts)
        if question.meta["fields"] == ["Geography > Coastline"]
    ]

    assert question.answers == ("37653", "37,653", "37653 km", "37,653 km")
    assert question.gold_docs == ("factbook:africa/aa",)
    assert question.kind == "single_hop"
    assert question.meta["chain"] == ["Land of AA > Geography > Coastline = 37653"]
    assert question.meta["countries"] == ["Land of AA"]
    assert "the Land of AA" in question.question


def test_a_zero_is_not_asked_for() -> None:
    world = _world(_country("aa", Coastline="0"))

    assert list(single_hops(Scope(world, TRAIN), Random(0))) == []


def test_only_countries_and_columns_of_the_split_are_asked_for() -> None:
    inside = _country("aa", Population="5", GDP_2023="7", Airports="3")
    world = _world(inside, _country("zz", region="north-america", Population="6"))

    found = _all(single_hops(Scope(world, TRAIN), Random(0)))

    assert list(found) == [("Land of AA > People and Society > Population > total = 5",)]


def test_a_bridge_leads_over_a_capital_that_no_other_state_has() -> None:
    aa = _country("aa", Capital="Alpha", Population="5")
    shared = [_country(code, Capital="Twin", Population="6") for code in ("bb", "cc")]

    found = _all(bridges(Scope(_world(aa, *shared), TRAIN), Random(0), "bridge_cap", _no_texts))

    assert [chain[0] for chain in found] == ["whose capital is Alpha -> Land of AA"]
    (draft,) = found.values()
    assert draft.answers == ("5", "5 people")
    assert draft.text.count("the country whose capital is Alpha") == 1
    assert draft.fields == ("Government > Capital > name", "People and Society > Population > total")


def test_a_name_that_stands_in_a_text_nobody_could_read_tells_no_country() -> None:
    world = _world(_country("aa", Highest_point="Mount Blank", Population="5"), _country("zz", region="asia"))

    def texts(heading: str) -> Mapping[str, str]:
        return {"zz": "Mount Blank and its neighbour, about 4,000 m"}

    assert list(bridges(Scope(world, TRAIN), Random(0), "bridge_hp", texts)) == []


def test_a_capital_that_names_its_country_is_no_bridge() -> None:
    world = _world(_country("aa", Capital="Land of AA City", Population="5"))

    assert list(bridges(Scope(world, TRAIN), Random(0), "bridge_cap", _no_texts)) == []


def test_a_bridge_does_not_ask_for_the_field_it_came_by() -> None:
    world = _world(_country("aa", Highest_point="Peak", Highest_elevation="900", Population="5"))

    found = bridges(Scope(world, TRAIN), Random(0), "bridge_hp", _no_texts)

    assert {draft.fields[1] for draft in found} == {"People and Society > Population > total"}


def test_the_longest_border_leads_to_the_neighbour() -> None:
    found = _all(longest_borders(Scope(_mainland(), TRAIN), Random(0)))

    draft = found["longest border of Land of CC = Land of BB (500 km)", "Government > Capital > name = Beta"]
    assert draft.answers == ("Beta",)
    assert [country.code for country in draft.read] == ["cc", "bb"]
    assert not any("of Land of DD" in chain[0] for chain in found)  # one neighbour is no choice


@pytest.mark.parametrize(
    ("borders", "total", "expected"),
    [
        ({"bb": 300, "cc": 100}, "400", "bb"),
        ({"bb": 300, "cc": 290}, "590", None),  # 3.3 % apart
        ({"bb": 300, "cc": 285}, "585", "bb"),  # 5 % apart
        ({"bb": 300}, "300", None),
        ({"bb": 300, "cc": 100}, "700", None),  # a territory may have 300
        ({"bb": 300, "cc": 100}, "450", "bb"),  # or 50
    ],
)
def test_a_longest_border_is_clear_or_none(borders: dict[str, int], total: str, expected: str | None) -> None:
    assert longest(_country("aa", borders=borders, Land_boundary=total)) == expected


def test_a_border_that_the_other_side_measures_otherwise_leaves_the_longest_unknown() -> None:
    country = _country("aa", borders={"bb": 300, "cc": 100})
    disputed = replace(country, neighbours=frozenset({"bb", "cc", "dd"}))

    assert longest(disputed) is None
    assert not closed(disputed)


def test_a_border_with_a_territory_leaves_a_country_open() -> None:
    assert closed(_country("aa", borders={"bb": 300}, Land_boundary="301"))
    assert not closed(_country("aa", borders={"bb": 300}, Land_boundary="330"))


def test_the_common_neighbour_of_two_countries_is_the_only_one() -> None:
    found = {draft.read[0].code + draft.read[1].code: draft for draft in common_neighbours(_scope(), Random(0))}

    pairs = {"".join(sorted((pair[:2], pair[2:]))): draft.answers[0] for pair, draft in found.items()}
    # aa and bb share ee, aa and ee share bb, bb and ee share aa; cc reaches aa and ee over bb, dd reaches bb over cc.
    expected = {"aabb": "ee", "aaee": "bb", "bbee": "aa", "aacc": "bb", "ccee": "bb", "bbdd": "cc"}
    allowed = {
        pair: f"Land of {code.upper()}"
        for pair, code in expected.items()
        if not is_kept_back([pair[:2], pair[2:]]) and not is_kept_back([pair[:2], pair[2:], code])
    }
    assert pairs == allowed
    assert allowed


def _scope() -> Scope:
    return Scope(_mainland(), TRAIN)


def test_neighbours_are_counted_by_a_condition_that_some_of_them_meet() -> None:
    found = [draft for draft in neighbour_counts(_scope(), Random(1)) if draft.read[0].code == "bb"]

    # Of aa (9 m), cc (3 m) and ee (1 m): which are counted depends on the threshold, never none, never all.
    counted = {draft.chain[1].removeprefix("counted: ") for draft in found}
    assert counted <= {
        "Land of AA",
        "Land of CC",
        "Land of EE",
        "Land of AA, Land of CC",
        "Land of CC, Land of EE",
    }
    assert all(draft.answers == count_spellings(draft.chain[1].count("Land of")) for draft in found)
    assert all(draft.chain[0] == "neighbours of Land of BB: Land of AA, Land of CC, Land of EE" for draft in found)
    assert all([country.code for country in draft.read] == ["bb", "aa", "cc", "ee"] for draft in found)
    assert len(found) == len({draft.chain for draft in found})


def test_a_neighbour_without_a_value_leaves_a_count_undecided() -> None:
    world = _mainland(ee=_country("ee", borders={"aa": 100, "bb": 50}))

    found = neighbour_counts(Scope(world, TRAIN), Random(1))

    assert not [draft for draft in found if draft.read[0].code in {"aa", "bb"}]


def test_neighbours_outside_the_split_are_not_counted() -> None:
    world = _mainland(ee=_country("ee", "south-asia", borders={"aa": 100, "bb": 50}, Population="1000000"))

    found = neighbour_counts(Scope(world, TRAIN), Random(1))

    assert not [draft for draft in found if draft.read[0].code in {"aa", "bb"}]


@pytest.mark.parametrize("seed", range(4))
def test_a_comparison_is_won_by_the_value_its_words_ask_for(seed: int) -> None:
    small, large = _country("aa", Median_age="20"), _country("bb", Median_age="30")

    draft = comparison(small, large, BY_HEADING["Median age"], Random(seed))

    assert draft is not None
    winner = large if "higher" in draft.text else small
    assert draft.answers == (winner.name, *winner.aliases)
    assert set(draft.chain) == {"Land of AA 20", "Land of BB 30"}
    assert "the Land of AA" in draft.text
    assert "the Land of BB" in draft.text


@pytest.mark.parametrize(("one", "other"), [("20", "20.9"), ("0", "30"), ("20", "20")])
def test_values_that_are_close_or_zero_are_not_compared(one: str, other: str) -> None:
    pair = _country("aa", Median_age=one), _country("bb", Median_age=other)

    assert comparison(*pair, BY_HEADING["Median age"], Random(0)) is None


def test_quantities_are_apart_by_a_share_of_the_larger() -> None:
    assert apart(Decimal(95), Decimal(100), Decimal("0.05"))
    assert not apart(Decimal(96), Decimal(100), Decimal("0.05"))
    assert apart(Decimal(-2), Decimal(1), Decimal("0.05"))
    assert not apart(Decimal(0), Decimal(0), Decimal(0))


def test_every_set_of_countries_a_question_passes_through_must_be_allowed() -> None:
    kept_back = next(pair for pair in (("aa", x + y) for x in "bcd" for y in "abcdefgh") if is_kept_back(pair))
    free = next(pair for pair in (("aa", x + y) for x in "bcd" for y in "abcdefgh") if not is_kept_back(pair))
    world = _world(*(_country(code) for code in {*kept_back, *free}))
    scope = Scope(world, TRAIN)

    assert scope.allows(free)
    assert not scope.allows(free, kept_back)
    assert scope.allows(kept_back[:1])
    assert not scope.allows(("zz",))


def test_the_same_seed_gives_the_same_questions_and_a_longer_list_begins_with_the_shorter() -> None:
    world = _mainland()

    once = generate_questions(world, "train", 40, 7, texts=_no_texts)

    assert generate_questions(world, "train", 40, 7, texts=_no_texts) == once
    assert generate_questions(world, "train", 5, 7, texts=_no_texts) == once[:5]
    assert generate_questions(world, "train", 40, 8, texts=_no_texts) != once
    assert len({question.instance_id for question in once}) == len(once)
    assert generate_questions(world, "train", 0, 7, texts=_no_texts) == []


def test_a_reserved_split_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="reserved"):
        generate_questions({}, "test", 1, 0)


def test_numbers_are_spelt_plain_and_separated_bare_and_with_their_unit() -> None:
    assert spellings(number_value(Decimal("26000")), "dollars") == (
        "26000",
        "26,000",
        "$26000",
        "$26,000",
        "26000 US dollars",
        "26,000 US dollars",
    )
    assert spellings(number_value(Decimal("53.4")), "percent") == ("53.4", "53.4%")


@pytest.mark.parametrize(
    ("digits", "text"), [("999", "999"), ("1234567.5", "1,234,567.5"), ("-4500", "-4,500"), ("0.5", "0.5")]
)
def test_separators_stand_before_every_third_digit(digits: str, text: str) -> None:
    assert separated(digits) == text


def test_names_are_accepted_without_their_accents() -> None:
    assert spellings(Value("San José", aliases=("Chepe",)), "name") == ("San José", "Chepe", "San Jose")


def test_small_counts_are_accepted_as_words() -> None:
    assert count_spellings(1) == ("1", "one")
    assert count_spellings(12) == ("12",)


def test_every_column_that_may_be_asked_for_has_wording_with_one_place_for_the_country() -> None:
    askable = [column for column in COLUMNS if column.use != "reserved"]

    assert {column.heading for column in askable} == set(WORDINGS)
    for wording in WORDINGS.values():
        assert len(wording.phrasings) >= 2
        assert all(phrasing.count("{c}") == 1 for phrasing in wording.phrasings)
        assert bool(wording.more) == bool(wording.less) == (wording.unit != "name")
