"""The tests' own scorer, on a case worked out by hand."""

import pytest

from tests.scoring import item_f1
from wideseek.tables import Table

TASK = {
    "answer": "| Country | Area |\n|---|---|\n| Mali | 1,000 |\n| Chad | 2000 |",
    "evaluation": {
        "unique_columns": ["country"],
        "eval_pipeline": {
            "country": {"metric": ["exact_match"]},
            "area": {"metric": ["number_near"], "criterion": 0.01},
        },
    },
}


def scored(*rows: tuple[str, str]) -> float:
    return item_f1(Table(columns=("Country", "Area"), rows=rows), TASK)


def test_the_gold_itself_scores_one_in_any_order() -> None:
    assert scored(("chad", "2005"), (" Mali", "1000")) == 1.0


def test_half_a_table_is_worked_out_by_hand() -> None:
    """One row of two, one of its two cells right: P = 1/2, R = 1/4, F1 = 1/3."""
    assert scored(("Mali", "999999")) == pytest.approx(1 / 3)


def test_rows_too_many_cost_precision() -> None:
    """Four of six cells right, four of four found: F1 = 2 * (2/3) / (5/3) = 0.8."""
    assert scored(("Mali", "1000"), ("Chad", "2000"), ("Togo", "1")) == pytest.approx(0.8)


def test_no_table_scores_nothing() -> None:
    assert item_f1(None, TASK) == 0.0
