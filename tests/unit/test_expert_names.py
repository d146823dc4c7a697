"""Names are one name however they are written."""

import pytest

from services.model.expert.evidence import PageView
from services.model.expert.names import abbreviates, same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("the Velmar", "Velmar, The"),
        ("Côte d'Orsa", "Cote d’Orsa"),
        ("St. Bruna", "Saint Bruna"),
        ("Kesh (Old Kesh)", "Kesh"),
        ("Kesh (Old Kesh)", "Old Kesh"),
        ("Tar & Belt", "Tar and Belt"),
    ],
)
def test_two_spellings_of_a_name_are_the_same(one: str, other: str) -> None:
    assert same(one, other)


def test_similar_names_are_told_apart() -> None:
    assert not same("Velmar", "New Velmar")
    assert not same("Tar", "Tar and Belt")


def test_initials_abbreviate_a_name() -> None:
    assert abbreviates("UVK", "United Velmar of the Keshes")
    assert not abbreviates("UV", "United Keshes")


def test_a_page_states_the_other_forms_of_its_name() -> None:
    page = PageView(
        "r:1", "Velmar", ["Profile of Velmar. Long form: Commonwealth of Velmar. Also listed as: Old Mar, VM."]
    )

    assert page.states("the Commonwealth of Velmar")
    assert page.states("Old Mar")
    assert not page.states("Kesh")
