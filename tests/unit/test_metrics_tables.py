"""Tables found and read in answers, however they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wideseek.scoring.answer_tables import read_answer
from wideseek.tables import Table, render_markdown

WANTED = Table(columns=("Name", "Value"), rows=(("a", "1"), ("b", "2")))
PLAIN = "| Name | Value |\n|---|---|\n| a | 1 |\n| b | 2 |"
OTHER = "| X | Y |\n|---|---|\n| p | q |"


def fence(block: str, tag: str = "markdown", marks: str = "```") -> str:
    return f"{marks}{tag}\n{block}\n{marks}"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        fence(PLAIN),
        fence(PLAIN, "md"),
        fence(PLAIN, "Markdown"),
        fence(PLAIN, " markdown"),
        fence(PLAIN, ""),
        fence(PLAIN, marks="~~~"),
        fence(PLAIN, marks="`````"),
        f"```markdown\n{PLAIN}",
        f"```markdown\n{PLAIN}```",
        f"Here it is:\n\n{PLAIN}\n\nI hope this helps.",
        f"<think>{fence(OTHER)}</think>{fence(PLAIN)}",
        f"{fence(OTHER)}\nCorrection:\n{fence(PLAIN)}",
        f"{fence(PLAIN)}\n{fence('no table')}\n{fence('print(1|2)', 'python')}",
        f"{fence(PLAIN)}\n{fence('just | one line', '')}",
        f"```markdown\n{OTHER}\nunfinished\n{fence(PLAIN)}",
        f"{OTHER}\n\nNo:\n\n{PLAIN}",
        fence(f"{OTHER}\n\n{PLAIN}"),
        fence("Name | Value\n--- | ---\na | 1\nb | 2"),
        "Name | Value\n--- | ---\na | 1\nb | 2",
        fence("| Name | Value |\n| a | 1 |\n| b | 2 |"),
        "| Name | Value |\n| a | 1 |\n| b | 2 |",
        fence("Name | Value\na | 1\nb | 2"),
        fence("| Name | Value\n|---|---\n| a | 1\n| b | 2"),
        fence("| Name | Value |\n|===|===|\n| a | 1 |\n|---|---|\n| b | 2 |"),
        fence("| Name | Value |\n| : | :: |\n| a | 1 |\n\n| b | 2 |\n|  |  |"),
        fence("|---|---|\n| Name | Value |\n|---|---|\n| a | 1 |\n| b | 2 |"),
        fence("| **Name** | __Value__ |\n|---|---|\n| **a** | 1 |\n| b<br> | 2 |"),
        fence("Table 1 | values\n| Name | Value |\n|---|---|\n| a | 1 |\n| b | 2 |"),
        "Result: | Name | Value |\n| --- | --- |\n| a | 1 |\n| b | 2 |",
        "> | Name | Value |\n> |---|---|\n> | a | 1 |\n> | b | 2 |",
        "   | Name | Value |\n   |---|---|\n   | a | 1 |\n   | b | 2 |",
        "| Name | Value |\n|---|---|\n| a | 1 |\n\n| b | 2 |",
        f"{PLAIN}\nSource: the | atlas",
        "One | thing first.\n\n" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
    ],
)
def test_a_table_is_read_in_many_forms(text: str) -> None:
    assert read_answer(text) == WANTED


@pytest.mark.parametrize(
    "text",
    [None, "", "no table", "a | b", "either this | or that\nsaid x", fence("a | b"), f"<think>{PLAIN}", "||", "|\n|"],
)
def test_what_is_no_table_is_none(text: str | None) -> None:
    assert read_answer(text) is None


def test_an_escaped_pipe_is_a_character_and_shifts_nothing() -> None:
    table = read_answer("| Name | Value |\n|---|---|\n| a \\| b | 1 |\n| c | 2 |")

    assert table is not None
    assert table.rows == (("a | b", "1"), ("c", "2"))


def test_ragged_rows_are_padded_and_cut() -> None:
    table = read_answer("| Name | Value |\n|---|---|\n| a |\n| b | 2 | 3 |\n| | 4 |")

    assert table is not None
    assert table.rows == (("a", ""), ("b", "2"), ("", "4"))


def test_quotes_types_and_missing_tokens_are_text() -> None:
    table = read_answer('| Name | Value |\n|---|---|\n| "a | 007 |\n| b" | N/A |')

    assert table is not None
    assert table.rows == (('"a', "007"), ('b"', "N/A"))


def test_an_empty_last_table_is_the_answer() -> None:
    table = read_answer(f"{fence(PLAIN)}\nOn second thought:\n{fence('| Name | Value |' + chr(10) + '|---|---|')}")

    assert table is not None
    assert table.rows == ()


CELL = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="`~\\*_-–—―=:|<>["), min_size=1, max_size=8
)


@given(st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=2, max_size=6), st.booleans())
def test_what_is_rendered_is_read_back(rows: list[list[str]], fenced: bool) -> None:
    table = Table(columns=tuple(rows[0]), rows=tuple(map(tuple, rows[1:])))
    text = render_markdown(table)

    assert read_answer(fence(text) if fenced else text) == table


@given(st.text(st.sampled_from("|-: \n`~abmarkdown\\<>/think*")))
def test_any_text_is_read_without_an_error(text: str) -> None:
    read_answer(text)
