"""Drills: one small step, many times over, to be learnt before it is needed among others.

A lookup of a filter weighs two or three numbers among a thousand tokens, most of which are copied. What it learns of
how numbers compare drowns: after a thousand lookups a small model compares at chance. In a drill all is given but the
words that decide, and they alone are learnt. It is worded as lookups word it, about conditions of training tasks;
values are drawn about their thresholds, so nothing of it is a fact.
"""

import random
from collections.abc import Iterator
from decimal import Decimal

from services.suites.predicates import Predicate, predicates
from services.suites.splits import SPLITS
from wideseek.magnitudes import weighed
from wideseek.values import Frozen

LINES = 24
TASK = "Weigh each value against its condition."
_CLOSE, _FAR = (1.03, 3.0), (3.0, 300.0)
"""Factors between a value and its threshold."""
_SHARE_CLOSE, _SHARE_ABOVE = 0.6, 0.5
_WHOLE = 100
"""From here on values are whole numbers."""


class Drill(Frozen):
    """A text in pieces: what is given, and what is learnt behind it."""

    task: str
    pieces: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(given + learnt for given, learnt in self.pieces)


def comparisons(count: int, *, seed: int, lines: int = LINES) -> Iterator[Drill]:
    """So many drills of so many conditions each, the same for a seed: `over` or `under` is learnt, and the verdict.

    Raises `ValueError` unless there is a line at least.
    """
    if lines < 1:
        raise ValueError(f"lines is {lines}, a drill has one at least")
    dice = random.Random(seed)
    known = [one for one in predicates(SPLITS["train"].headings) if one.threshold > 0]
    headings = sorted({one.heading for one in known})
    by_heading = {heading: [one for one in known if one.heading == heading] for heading in headings}
    for _ in range(count):
        drawn = [dice.choice(by_heading[dice.choice(headings)]) for _ in range(lines)]
        openings = ["<think>\n", *["; "] * (lines - 1)]
        pieces = [
            piece
            for opening, one in zip(openings, drawn, strict=True)
            for piece in _weighing(opening, one, value_about(one.threshold, dice))
        ]
        yield Drill(task=TASK, pieces=tuple(pieces))


def value_about(threshold: Decimal, dice: random.Random) -> float:
    """A value that is not the threshold: within three times of it or three hundred, on either side alike."""
    low, high = _CLOSE if dice.random() < _SHARE_CLOSE else _FAR
    factor = low * (high / low) ** dice.random()
    value = float(threshold) * (factor if dice.random() < _SHARE_ABOVE else 1 / factor)
    rounded = float(round(value)) if value >= _WHOLE else round(value, 1 if value >= 1 else 2)
    return rounded if rounded != float(threshold) else float(threshold) * 2


def _weighing(opening: str, condition: Predicate, value: float) -> list[tuple[str, str]]:
    """`; have …: 6.21 million against 10 million,` and ` under` behind it; `,` and ` yes` behind it."""
    given, _, word = weighed(value, float(condition.threshold)).rpartition(" ")
    held = (word == "over") == condition.above
    return [(f"{opening}{condition.text}: {given}", f" {word}"), (",", " yes" if held else " no")]
