"""Pages cut into passages."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.retrieval.passages import MAX_CHARS, MIN_CHARS, lines, passages
from tests.retrieval_parts import islands

_page = st.lists(
    st.one_of(st.text(max_size=60), st.just("## Section"), st.text(min_size=900, max_size=2_500)), max_size=12
)


def test_lines_know_the_section_they_stand_under() -> None:
    text = "# Title\nintro\n## Geography\nArea: 5\n\n## People\nPopulation: 9\n"

    found = [(text[line.start : line.end], line.section) for line in lines(text) if not line.heading]

    assert found == [("intro", ""), ("Area: 5", "Geography"), ("Population: 9", "People")]


def test_offsets_count_code_points() -> None:
    text = "# Ærø 🏝\nÅrea: 88 km²\n"

    last = list(lines(text))[-1]

    assert text[last.start : last.end] == "Årea: 88 km²"


def test_passages_are_packed_lines() -> None:
    text = "\n".join(f"Field {number}: value {number}" for number in range(200))

    cut = list(passages(text))

    assert all(MIN_CHARS <= span.end - span.start <= MAX_CHARS for span in cut[:-1])
    assert all(text[span.start :].startswith("Field") for span in cut)
    assert all(text[span.end : span.end + 1] in {"\n", ""} for span in cut)


def test_a_heading_begins_a_passage_once_the_one_before_is_long_enough() -> None:
    text = "## First\n" + "a fact. " * 60 + "\n## Second\n" + "another. " * 60

    cut = [(span.section, text[span.start : span.start + 9]) for span in passages(text)]

    assert cut == [("First", "## First\n"), ("Second", "## Second")]


def test_a_short_page_is_one_passage() -> None:
    page = next(islands())

    (only,) = passages(page.text)

    assert page.text[only.start : only.end] == page.text.strip()


def test_a_page_of_white_space_has_no_passage() -> None:
    assert list(passages(" \n\t\n")) == []


@given(_page)
def test_passages_cover_a_page_and_never_overlap(blocks: list[str]) -> None:
    text = "\n".join(blocks)

    cut = list(passages(text))

    assert all(0 < span.end - span.start <= MAX_CHARS for span in cut)
    assert all(before.end <= after.start for before, after in pairwise(cut))
    assert "".join("".join(text[span.start : span.end].split()) for span in cut) == "".join(text.split())
