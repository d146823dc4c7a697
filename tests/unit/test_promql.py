"""The evaluator that deployment tests use reads PromQL as Prometheus does."""

import pytest

from tests.promql import evaluate

PAGES = ['a{pod="x"} 2\na{pod="y"} 4\n', 'a{pod="z"} 6\nb 3\n']


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3 - 4", 5),
        ("sum(a)", 12),
        ("max(a) - min(a)", 4),
        ("avg(a) / count(a)", 4 / 3),
        ('sum(a{pod="x"})', 2),
        ("sum(nothing)", None),
        ("sum(nothing) + sum(a)", None),
        ("(sum(nothing) or vector(0)) + sum(b)", 3),
    ],
)
def test_queries_are_computed(query: str, value: float | None) -> None:
    assert evaluate(query, PAGES) == pytest.approx(value) if value is not None else evaluate(query, PAGES) is None


@pytest.mark.parametrize("query", ["rate(a[5m])", "sum(a", "sum by (pod) (a)", "a", "1 +", "1 1", "sum(1)"])
def test_what_it_cannot_read_is_refused(query: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        evaluate(query, PAGES)
