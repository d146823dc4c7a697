"""Which regions, families and columns a split may use, and which answers are kept back.

Training and development use regions of their own, and never the columns kept for the test. Within the training
regions a fifth of all answer sets is kept back too, by a hash of the codes, so that a test can ask about regions
that training has seen.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from services.suites.catalogue import EVERY, Column, Use
from wideseek.errors import InvalidRequest

_KEPT_BACK = 5
"""One answer set in so many."""


@dataclass(frozen=True)
class Split:
    """What tasks of a split are made from."""

    name: str
    regions: tuple[str, ...]
    families: tuple[str, ...]
    """Families of predicates and columns; `base` columns go with any."""
    uses: frozenset[Use]
    keeps_back: bool
    """Whether a fifth of the answer sets is kept for tests."""

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns that the split may ask for, in the order of the catalogue."""
        return tuple(
            column
            for column in EVERY
            if column.use in self.uses and column.read is not None and column.family in ("base", *self.families)
        )

    @cached_property
    def headings(self) -> frozenset[str]:
        """The headings of these columns."""
        return frozenset(column.heading for column in self.columns)

    def may_answer(self, codes: Collection[str]) -> bool:
        """Whether a task of the split may have these countries for its answer."""
        return not (self.keeps_back and is_kept_back(codes))


SPLITS: Mapping[str, Split] = {
    "train": Split(
        "train",
        ("africa", "europe", "south-america"),
        ("geography", "demography"),
        frozenset({"train", "practice"}),
        keeps_back=True,
    ),
    "dev": Split(
        "dev",
        ("central-america-n-caribbean", "central-asia", "north-america"),
        ("geography", "demography", "economy"),
        frozenset({"train", "dev"}),
        keeps_back=False,
    ),
}


def split_named(name: str) -> Split:
    """The split of that name. Raises `InvalidRequest` for any other: what is left is reserved for tests."""
    if name not in SPLITS:
        raise InvalidRequest(f"split {name!r} is reserved; tasks are made for: {', '.join(SPLITS)}")
    return SPLITS[name]


def is_kept_back(codes: Collection[str]) -> bool:
    """Whether a set of two or more countries is reserved.

        sha256(codes, sorted, joined by commas) mod 5 = 0

    `codes` are two-letter profile codes in lower case. A single country is never kept back.
    """
    distinct = sorted(set(codes))
    return len(distinct) > 1 and int(sha256(",".join(distinct).encode()).hexdigest(), 16) % _KEPT_BACK == 0
