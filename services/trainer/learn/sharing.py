"""Which rows share a micro-batch where rows begin alike, so that what they begin with is computed once.

Rollouts of a task are prompted alike, and so are subagents of one kind: more than half of a lookup's tokens stand in
all its siblings' rows too. A micro-batch whose n rows of lengths L_i begin with the same P tokens costs

    P + n (max L_i - P) + c        instead of  n max L_i + c        c: what starting a pass costs

Its rows attend to the P tokens' keys and values, through which their gradients flow: the sum is that of the rows
computed apart. Source: Shared-Prefix Forward, Prefix Grouper (arXiv:2506.05433).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

WINDOW = 512
"""Rows looked at for one cluster at most, so that planning stays linear in their number."""


class Cluster(NamedTuple):
    """Rows that begin alike."""

    places: tuple[int, ...]
    """Places in the sequence that was looked at."""
    shared: int
    """Tokens that all of them begin with."""


def clusters(heads: Sequence[tuple[int, ...]], lengths: Sequence[int], launch: float) -> list[Cluster]:
    """Every row in one cluster, such that the sum of the costs is least: for a cluster P + sum (L_i - P) + launch.

    `heads` are the tokens of each row that may be shared, `lengths` the rows' own. A row alone shares nothing. Rows
    are put in the order of their heads, in which whatever begins alike stands together, and cut there (dynamic
    programme over the cuts).
    """
    order = sorted(range(len(heads)), key=lambda place: (heads[place], place))
    alike = [common_prefix(heads[left], heads[right]) for left, right in pairwise(order)]
    best, cut = [0.0] + [float("inf")] * len(order), [0] * (len(order) + 1)
    for start in range(len(order)):
        total, shared = 0, len(heads[order[start]])
        for end in range(start, min(start + WINDOW, len(order))):
            total += lengths[order[end]]
            shared = shared if end == start else min(shared, alike[end - 1])
            if end > start and not shared:
                break
            cost = best[start] + total - shared * (end - start) + launch
            if cost < best[end + 1]:
                best[end + 1], cut[end + 1] = cost, start
    found, end = [], len(order)
    while end:
        found.append(_cluster(order[cut[end] : end], heads))
        end = cut[end]
    return found[::-1]


def _cluster(places: Sequence[int], heads: Sequence[tuple[int, ...]]) -> Cluster:
    """In the order of heads the first and the last differ soonest."""
    shared = common_prefix(heads[places[0]], heads[places[-1]]) if len(places) > 1 else 0
    return Cluster(tuple(places), shared)


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for place, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return place
    return min(len(left), len(right))
