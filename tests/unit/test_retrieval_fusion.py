"""Several rankings made into one."""

import pytest

from services.retrieval.fusion import K, first_of_each, reciprocal_ranks


def test_each_page_keeps_its_best_passage() -> None:
    ranked = [("mali", 7), ("niger", 3), ("mali", 1), ("chad", 2), ("niger", 9)]

    assert list(first_of_each(ranked).items()) == [("mali", 7), ("niger", 3), ("chad", 2)]


def test_scores_are_the_sums_of_reciprocal_ranks() -> None:
    scores = reciprocal_ranks([(1.0, ["a", "b"]), (1.0, ["b", "c"])])

    assert scores == pytest.approx({"a": 1 / (K + 1), "b": 1 / (K + 2) + 1 / (K + 1), "c": 1 / (K + 2)})


def test_agreement_beats_one_first_place() -> None:
    scores = reciprocal_ranks([(1.0, ["a", "b", "c"]), (1.0, ["d", "b", "e"])])

    assert max(scores, key=lambda item: scores[item]) == "b"


def test_a_ranking_counts_by_its_weight() -> None:
    scores = reciprocal_ranks([(0.5, ["a"]), (1.0, ["b"])])

    assert scores["b"] == pytest.approx(2 * scores["a"])


def test_nothing_ranked_scores_nothing() -> None:
    assert reciprocal_ranks([(1.0, []), (1.0, [])]) == {}
