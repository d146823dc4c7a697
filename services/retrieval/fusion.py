"""Several rankings made into one."""

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

K = 60
"""The constant of reciprocal-rank fusion, as in Cormack, Clarke & Büttcher (SIGIR 2009)."""

Item = TypeVar("Item", bound=Hashable)


def first_of_each(ranked: Iterable[tuple[Item, int]]) -> dict[Item, int]:
    """The best passage of each page, out of (page, passage) pairs, best first; pages keep that order."""
    best: dict[Item, int] = {}
    for page, passage in ranked:
        best.setdefault(page, passage)
    return best


def reciprocal_ranks(rankings: Sequence[tuple[float, Sequence[Item]]], k: int = K) -> dict[Item, float]:
    """Score of each item: the sum over the rankings of weight ÷ (k + rank), ranks counted from 1."""
    scores: dict[Item, float] = {}
    for weight, ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + weight / (k + rank)
    return scores
