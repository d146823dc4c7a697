"""States, their names and their borders, from profiles real and invented."""

from typing import Any

import pytest

from services.kit.factbook import Entry
from services.suites.borders import read_borders
from services.suites.facts import load_countries, read_countries, text_at
from services.suites.naming import article, folded


def _entry(code: str, title: str, borders: str = "", *, sovereign: bool = True, long: str = "") -> Entry:
    profile: dict[str, Any] = {
        "Geography": {"Land boundaries": {"total": {"text": "1 km"}, "border countries": {"text": borders}}},
        "Government": {"Country name": {"conventional short form": {"text": title}}},
    }
    return Entry("here", code, profile, title, (long,) if long else (), sovereign)


def test_there_are_195_states_and_most_values_are_known() -> None:
    states = load_countries()

    assert len(states) == 195
    assert sum(state.values["Population"] is not None for state in states.values()) == 195
    assert sum(state.values["Median age"] is not None for state in states.values()) == 194
    assert states["vt"].values["Median age"] is None
    assert list(states) == sorted(states, key=lambda code: states[code].name)


def test_labels_are_found_whatever_spaces_stand_around_them() -> None:
    profile = {"Geography": {"Area": {"total ": {"text": "<p>12&nbsp;sq km</p>"}, "note": "none"}}}

    assert text_at(profile, ("Geography", "Area", "total")) == "12 sq km"
    assert text_at(profile, ("Geography", "Area", "note")) == ""
    assert text_at(profile, ("Geography", "Coastline")) == ""


def test_a_border_that_both_sides_state_resolves() -> None:
    entries = [_entry("aa", "Aland", "Bland 10 km; Cland 1,200 km"), _entry("bb", "Bland", "Aland 10 km")]
    entries.append(_entry("cc", "Cland", "Aland 1200 km"))

    borders = read_borders(entries)

    assert borders["aa"].neighbours == frozenset({"bb", "cc"})
    assert {code: value.text for code, value in borders["aa"].lengths.items()} == {"bb": "10", "cc": "1200"}


def test_a_territory_across_the_border_is_no_state() -> None:
    entries = [_entry("aa", "Aland", "Bland 10 km; Strip 3 km"), _entry("bb", "Bland", "Aland 10 km")]

    borders = read_borders([*entries, _entry("st", "Strip", "Aland 3 km", sovereign=False)])

    assert borders["aa"].neighbours == frozenset({"bb"})


@pytest.mark.parametrize("listed", ["Bland 10 km; French Somewhere 5 km", "Bland 10 km; no number"])
def test_a_list_with_an_unknown_place_does_not_resolve(listed: str) -> None:
    borders = read_borders([_entry("aa", "Aland", listed), _entry("bb", "Bland", "Aland 10 km")])

    assert borders["aa"].neighbours is None
    assert borders["bb"].neighbours == frozenset({"aa"})


def test_a_border_that_only_one_side_states_resolves_on_neither() -> None:
    borders = read_borders([_entry("aa", "Aland", "Bland 10 km"), _entry("bb", "Bland")])

    assert borders["aa"].neighbours is None
    assert borders["bb"].neighbours is None


def test_lengths_that_differ_or_come_in_parts_are_not_known() -> None:
    entries = [
        _entry("aa", "Aland", "Bland (north) 10 km and Bland (south) 5 km; Cland 7 km"),
        _entry("bb", "Bland", "Aland (east) 10 km and Aland (west) 5 km"),
        _entry("cc", "Cland", "Aland 8 km"),
    ]

    borders = read_borders(entries)

    assert borders["aa"].neighbours == frozenset({"bb", "cc"})
    assert borders["aa"].lengths == {}


def test_real_borders_resolve_but_for_the_lists_that_name_no_state() -> None:
    states = load_countries()
    open_lists = {state.name for state in states.values() if state.neighbours is None}

    assert open_lists == {"Brazil", "Bulgaria", "Cuba", "North Macedonia", "Suriname"}
    assert states["mx"].neighbours == frozenset({"bh", "gt", "us"})
    assert "us" not in states["mx"].borders, "3,155 km against 3,111 km"
    assert states["ic"].neighbours == frozenset()
    for state in states.values():
        for code in state.neighbours or ():
            assert states[code].neighbours is None or state.code in (states[code].neighbours or ())
        for code, length in state.borders.items():
            assert states[code].borders[state.code] == length


@pytest.mark.parametrize(
    ("title", "long", "said"),
    [
        ("Chad", "Republic of Chad", "Chad"),
        ("The Bahamas", "Commonwealth of The Bahamas", "the Bahamas"),
        ("Netherlands", "Kingdom of the Netherlands", "the Netherlands"),
        ("Sudan", "Republic of the Sudan", "Sudan"),
        ("Dominican Republic", "", "the Dominican Republic"),
        ("Solomon Islands", "", "the Solomon Islands"),
        ("Seychelles", "Republic of Seychelles", "Seychelles"),
    ],
)
def test_names_take_the_article_inside_a_sentence(title: str, long: str, said: str) -> None:
    assert article(_entry("aa", title, long=long)) == said


def test_names_are_compared_without_accents_case_and_article() -> None:
    assert folded("Côte d'Ivoire") == folded("cote d’ivoire")
    assert folded("The Gambia") == folded("gambia")


def test_no_state_has_a_name_that_another_has_too() -> None:
    states = read_countries(
        [
            _entry("aa", "Guinea", long="Republic"),
            _entry("bb", "Guinea-Bissau", long="Republic"),
            _entry("cc", "Republic"),
        ]
    )

    assert {code: state.aliases for code, state in states.items()} == {"aa": (), "bb": (), "cc": ("The Republic",)}


def test_aliases_of_the_real_states_are_told_apart() -> None:
    owners: dict[str, set[str]] = {}
    for state in load_countries().values():
        for name in (state.name, *state.aliases):
            owners.setdefault("".join(name.casefold().split()), set()).add(state.code)

    assert {name: codes for name, codes in owners.items() if len(codes) > 1} == {}
    assert "Bahamas, The" in load_countries()["bf"].aliases
    assert "USA" in load_countries()["us"].aliases
    assert "Cote D Ivoire" in load_countries()["iv"].aliases
