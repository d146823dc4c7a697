"""Texts made to be slow to read: a policy may write anything."""

import time

import pytest

from wideseek.instances import ColumnRule
from wideseek.scoring.answer_tables import read_answer
from wideseek.scoring.cells import same_cell
from wideseek.scoring.meaning import same_meaning, stands_in
from wideseek.scoring.naming import Names, named_headings

PIECES = [
    "1",
    "1,",
    "123,",
    "1 ",
    "1 234",
    "a.",
    "[",
    "[a](",
    "**",
    "https://",
    "-",
    "(",
    ")",
    "a",
    "a1",
    "<br",
    "é",
    "|",
]
SIZE = 20_000


@pytest.mark.parametrize("piece", PIECES)
def test_a_long_cell_is_compared_in_time(piece: str) -> None:
    text = piece * (SIZE // len(piece))
    started = time.process_time()

    for metric in ("exact_match", "number_near", "date_near", "url_match", "in_match"):
        same_cell(text, f"{text}x", ColumnRule(metric=(metric,), preprocess=("norm_str",), criterion=0.1))
    same_meaning(f"{text} b", [f"{text} c"])
    stands_in(text, "a")
    Names([text], {text: (f"{text} d",)}).meant(f"{text} e")
    named_headings([text], [f"{text}f"])
    read_answer(f"| a | b |\n|---|---|\n| {text} | 1 |")

    assert time.process_time() - started < 2


def test_a_long_table_is_read_in_time() -> None:
    started = time.process_time()

    table = read_answer("```markdown\n| a | b |\n|---|---|\n" + "| x | y |\n" * SIZE + "```" * 100)

    assert table is not None
    assert len(table.rows) == SIZE
    assert time.process_time() - started < 2
