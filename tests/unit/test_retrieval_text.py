"""Words, names and cuts."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.retrieval.text import Tokens, fold, pieces, title_key, words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Côte d'Ivoire", "COTE D'IVOIRE"),
        ("São Tomé", "sao tome"),
        ("Łódź", "Lodz"),
        ("Tromsø", "tromso"),
        ("Đà Nẵng", "da nang"),
    ],
)
def test_accents_and_case_fold_away(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_numbers_lose_their_thousands_commas_and_keep_their_decimals() -> None:
    assert words("1,240,192 sq km (46.2%)") == ["1240192", "sq", "km", "46.2"]


def test_a_script_without_spaces_is_read_in_pairs_of_characters() -> None:
    assert words("中国人口") == ["中国", "国人", "人口"]


def test_korean_syllables_survive_folding() -> None:
    assert words("서울") == ["서울"]


def test_inflections_share_a_stem() -> None:
    tokens = Tokens()

    assert tokens("countries bordering the lakes") == tokens("country borders lake")


@pytest.mark.parametrize("spelling", ["The Bahamas", "Bahamas, The", "bahamas", "BAHAMAS"])
def test_spellings_of_one_name_share_a_key(spelling: str) -> None:
    assert title_key(spelling) == "bahamas"


def test_a_long_line_is_cut_at_sentence_ends() -> None:
    text = "One is here. Two is there. Three is gone."

    cut = [text[start:end] for start, end in pieces(text, 0, len(text), 28)]

    assert cut == ["One is here. Two is there.", "Three is gone."]


@given(st.text(max_size=400), st.integers(min_value=1, max_value=50))
def test_pieces_are_short_ordered_and_lose_nothing_visible(text: str, limit: int) -> None:
    cut = list(pieces(text, 0, len(text), limit))

    assert all(0 < end - start <= limit for start, end in cut)
    assert all(before[1] <= after[0] for before, after in pairwise(cut))
    assert "".join("".join(text[start:end].split()) for start, end in cut) == "".join(text.split())
