"""Laying rows end to end: bins that waste little, and what attention must be told.

A packed row holds several rows whose positions start anew at 0; attention that knows of the starts (varlen kernels,
or a mask built from the positions) keeps them apart. It does so only without a key-value cache and without a
two-dimensional mask: with either, rows see each other and the gradient is silently wrong. `checks` compares packed
with unpacked on the attention in use before anything is trained.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence


def best_fit(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    """Best-fit decreasing: places of `sizes` by bin; a size beyond the capacity has a bin of its own.

    At most 11/9 of the least possible number of bins, plus 6/9 (Dósa 2007, for first-fit decreasing; best fit is
    no worse).
    """
    bins: list[list[int]] = []
    room: list[tuple[int, int]] = []
    for place in sorted(range(len(sizes)), key=lambda place: (-sizes[place], place)):
        size = sizes[place]
        found = bisect_left(room, (size, -1))
        if found < len(room):
            free, number = room.pop(found)
        else:
            free, number = max(capacity, size), len(bins)
            bins.append([])
        bins[number].append(place)
        insort(room, (free - size, number))
    return bins


def positions(lengths: Sequence[int]) -> list[int]:
    """Position of every token of a packed row: each row counts from 0."""
    return [position for length in lengths for position in range(length)]
