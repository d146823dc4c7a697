"""What a quantity is that filters compare, and the margins they share."""

from dataclasses import dataclass

SIZE, RATE, SHARE, AGE = "0.03", "0.02", "0.01", "0.003"
"""Relative margins about thresholds: of sizes, rates, shares, and of values that lie close together."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity and how a query compares it; `{n}` stands for the threshold."""

    heading: str
    """Of the column that holds it."""
    margin: str
    """Relative, about every threshold."""
    thresholds: tuple[str, ...]
    more: tuple[str, ...]
    """Wordings for values above the threshold; the first is the plainest."""
    less: tuple[str, ...] = ()
    in_millions: bool = False


def levels(text: str) -> tuple[str, ...]:
    """Thresholds from one line of them."""
    return tuple(text.split())
