"""Cells and keys compared, a metric at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wideseek.instances import METRICS, ColumnRule
from wideseek.scoring.cells import MISSING_KEY, key_form, preprocessed, same_cell
from wideseek.scoring.folding import MISSING, is_missing, shown, words
from wideseek.scoring.hosts import hosts


def rule(metric: str, *steps: str, criterion: object = None) -> ColumnRule:
    return ColumnRule(metric=(metric,), preprocess=steps, criterion=criterion)


EXACT = rule("exact_match", "norm_str")
BARE = rule("exact_match")
NEAR = rule("number_near", "extract_number", criterion=0.05)
DATE = rule("date_near")
URL = rule("url_match", "norm_str")
WITHIN = rule("in_match", "norm_str")
EVERY = [rule(metric, criterion=0.1) for metric in sorted(METRICS)]


@pytest.mark.parametrize("metric", EVERY, ids=lambda each: each.metric[0])
@pytest.mark.parametrize("token", [*sorted(MISSING), "-", "—", "--", "N/A", " None ", "**n/a**"])
def test_what_is_missing_equals_itself_and_nothing_else(metric: ColumnRule, token: str) -> None:
    assert same_cell(token, "", metric)
    assert same_cell("NULL", token, metric)
    assert not same_cell(token, "Hainan", metric)
    assert not same_cell("5", token, metric)


@pytest.mark.parametrize("metric", [each for each in EVERY if each.metric[0] != "llm_judge"], ids=lambda m: m.metric[0])
@given(text=st.text(min_size=1))
def test_a_cell_is_always_right_against_itself(metric: ColumnRule, text: str) -> None:
    assert same_cell(text, text, metric)


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        ("  PERU ", "peru", True),
        ("**Peru**", "Peru", True),
        ("New\u00a0York", "New York", True),
        ("Bogota\u0301", "Bogot\u00e1", True),
        ("Stra\u00dfe", "STRASSE", True),
        ("Bogota", "Bogotá", False),
        ("100000.0", "1E5", False),
        ("007", "7", False),
        ('"Lima', "Lima", False),
    ],
)
def test_texts_are_equal_but_for_case_white_space_and_composition(mine: str, theirs: str, same: bool) -> None:
    assert same_cell(mine, theirs, EXACT) is same


def test_without_norm_str_inner_spaces_count() -> None:
    assert same_cell("new  york", "New York", BARE)
    assert not same_cell("NewYork", "New York", BARE)


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        ("105", "100", True),
        ("105.1", "100", False),
        ("1,020 km", "1000", True),
        ("5.97e24", "5.97e20", False),
        ("45%", "0.45", True),
        ("45", "45%", False),
        ("0", "0.0", True),
        ("a lot", "see note", False),
        ("A  lot", "a lot", True),
        ("inf", "inf", True),
        ("5", "five", False),
    ],
)
def test_numbers_are_near_or_their_texts_equal(mine: str, theirs: str, same: bool) -> None:
    assert same_cell(mine, theirs, NEAR) is same


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        ("5 March 2020", "2020-03-20", True),
        ("2020-01-01T00:00:00Z", "2020-01-01", True),
        ("abandoned", "under construction", False),
        ("TBA", "tba", True),
        ("tba", "2020", False),
    ],
)
def test_dates_are_near_or_their_texts_equal(mine: str, theirs: str, same: bool) -> None:
    assert same_cell(mine, theirs, DATE) is same


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        ("[Oxford](https://www.ox.ac.uk)", "https://www.ox.ac.uk/admissions", True),
        ("<HTTPS://Ethz.ch:443>", "https://ethz.ch/x?y", True),
        ("see https://user@cuni.cz/.", "https://cuni.cz", True),
        ("https://b.com https://a.com", "https://a.com, https://b.com", True),
        ("https://mit.edu", "https://www.mit.edu", False),
        ("https://evil.com/https://mit.edu", "https://mit.edu", False),
        ("mit.edu", "harvard.edu", False),
        ("www.mit.edu", "www.MIT.edu", True),
        ("mit.edu", "https://mit.edu", False),
    ],
)
def test_addresses_are_compared_by_host(mine: str, theirs: str, same: bool) -> None:
    assert same_cell(mine, theirs, URL) is same


def test_hosts_end_before_brackets_ports_and_punctuation() -> None:
    assert hosts("(http://a.org), [x](https://b.org/)! https://c.org:8080. https://d.org;") == {
        "a.org", "b.org", "c.org", "d.org",
    }  # fmt: skip
    assert hosts("https://例え.jp/x") == hosts("https://xn--r8jz45g.jp")


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        ("coppola", "Francis Ford Coppola", True),
        ("GUINEA", "Gulf of Guinea", True),
        ("Francis Ford Coppola", "Coppola", False),
        ("o", "Oslo", False),
        ("", "Oslo", False),
        ("234", "12345", False),
        ("NewYork", "New York", True),
        ("北京", "中国北京市", True),
    ],
)
def test_an_answer_stands_in_the_gold_as_whole_words(mine: str, theirs: str, same: bool) -> None:
    assert same_cell(mine, theirs, WITHIN) is same


@pytest.mark.parametrize(
    ("text", "step", "form"),
    [
        (" **Côte d'Ivoire** ", "norm_str", "côted'ivoire"),
        ("No. 1,000.50", "extract_number", "1000.5"),
        ("45%", "extract_number", "0.45"),
        ("a lot", "extract_number", "a lot"),
        ("30 September 2001", "norm_date", "2001-09-30"),
        ("March 2020", "norm_date", "2020-03"),
        ("2020", "norm_date", "2020"),
        ("44 BC", "norm_date", "-0043"),
        ("under construction", "norm_date", "under construction"),
    ],
)
def test_preprocessing_has_one_spelling_for_one_value(text: str, step: str, form: str) -> None:
    assert preprocessed(text, rule("exact_match", step)) == form


def test_keys_are_what_their_column_compares() -> None:
    assert key_form("1st", rule("exact_match", "extract_number")) == key_form(
        "No. 1", rule("exact_match", "extract_number")
    )
    assert key_form("1,000", rule("number_near", criterion=0.1)) == key_form(
        "1000.0", rule("number_near", criterion=0.1)
    )
    assert key_form("5 May 2020", DATE) == key_form("2020-05-05", DATE)
    assert key_form("https://A.org/x", URL) == key_form("see https://a.org", URL)
    assert key_form("Peru ", None) == key_form("PERU", None)
    assert key_form("n/a", EXACT) == key_form("", None) == MISSING_KEY


@given(st.text())
def test_a_key_has_its_form_when_it_is_formed_again(text: str) -> None:
    form = key_form(text, EXACT)

    assert form == MISSING_KEY or key_form(form, EXACT) == form


def test_bold_around_a_cell_and_line_breaks_are_form() -> None:
    assert shown("**Peru**") == "Peru"
    assert shown("a<br/>b <BR> c") == "a b c"
    assert shown("**a** and **b**") == "**a** and **b**"
    assert is_missing("**—**")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("The Gambia", "gambia"),
        ("Trinidad & Tobago", "Trinidad and Tobago"),
        ("St. Lucia", "Saint Lucia"),
        ("Côte d’Ivoire", "Cote d'Ivoire"),
        ("Guinea-Bissau", "guinea bissau"),
        ("U.S.A.", "USA"),
        ("1,234 m", "1234 m"),
        ("[Łódź](https://x.org)[2]", "Lodz"),
        ("[Alien](https://x.org/Alien_(film))", "Alien"),
    ],
)
def test_spellings_of_one_name_have_the_same_words(first: str, second: str) -> None:
    assert words(first) == words(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [("C++", "C"), ("A-", "A+"), ("-5", "5"), ("1.5", "15"), ("7", "007"), ("45%", "45"), ("A 1", "1"), ("$5", "5")],
)
def test_signs_and_digits_tell_names_apart(first: str, second: str) -> None:
    assert words(first) != words(second)
