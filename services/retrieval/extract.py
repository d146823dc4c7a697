"""Which lines of a page serve a need: the extract a reader with a small budget starts from.

A line is scored by the stems it shares with the need, weighted by how rare they are on this page. The label a line
begins with (`Area > total: …`) counts more than its value, and more still when little of it is beside the point.

A need that asks for several things ("capital; population") is served fairly: lines are ranked within each ask, and
every ask's best come before any ask's second best, so that common words are not crowded out by rare ones.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass

from services.retrieval.passages import Span, lines
from services.retrieval.text import Tokens
from wideseek.contracts import Passage

_LABEL = re.compile(r"[^:\n]{1,160}(?=:\s)")
_ASKS = re.compile(r"[\n;]")
_LOOSE_ASKS = re.compile(r"[,]|\.\s|\band\b")
"""What parts a need that is put as a sentence; where semicolons do it, commas belong to what is asked."""
_LABEL_WEIGHT = 2.0
_SECTION_WEIGHT = 0.3
_PIVOT_STEMS = 20
"""Values longer than this many stems are worth less a match."""


@dataclass(frozen=True)
class _Line:
    span: Span
    label: frozenset[str]
    value: frozenset[str]
    section: frozenset[str]
    num_stems: int


def page_passages(text: str, need: str | None) -> tuple[Passage, ...]:
    """The page's lines: with a need, best first after the lines that introduce the page; else in page order."""
    spans = [span for position, span in enumerate(lines(text)) if position == 0 or not span.heading]
    if need is None or not need.strip():
        return tuple(Passage(start=span.start, end=span.end, section=span.section) for span in spans)
    by_ask = _scores(text, spans, need)
    num_intro = 2 if spans and spans[0].heading else 1
    places, scores = _places(by_ask), [max(column) for column in zip(*by_ask, strict=True)]

    def order(row: int) -> tuple[float, ...]:
        return (0, row) if row < num_intro else (1, places[row], -scores[row], row)

    return tuple(
        Passage(start=spans[row].start, end=spans[row].end, section=spans[row].section, score=round(scores[row], 4))
        for row in sorted(range(len(spans)), key=order)
    )


def _places(by_ask: list[list[float]]) -> list[float]:
    """Of each line the best place it takes in any ask: 0 for the ask's best line, 1 for its second best, …

    Of lines that serve an ask alike the first comes first, so that none takes the places of other asks' lines.
    """
    places = [math.inf] * len(by_ask[0])
    for scores in by_ask:
        order = sorted((row for row, score in enumerate(scores) if score > 0), key=lambda row: (-scores[row], row))
        for place, row in enumerate(order):
            places[row] = min(places[row], place)
    return places


def _scores(text: str, spans: list[Span], need: str) -> list[list[float]]:
    """How well each line serves each ask: one list an ask, one number a line."""
    tokens = Tokens()
    read = [_read(text, span, tokens) for span in spans]
    holding = Counter(stem for line in read for stem in line.label | line.value)
    rarity = {stem: math.log(1 + len(spans) / count) for stem, count in holding.items()}
    whole = frozenset(tokens(need))
    parts = (_ASKS if _ASKS.search(need.strip()) else _LOOSE_ASKS).split(need)
    asks = [ask for ask in (frozenset(tokens(part)) for part in parts) if ask]
    return [[_serves(line, ask, rarity) for line in read] for ask in (asks if len(asks) > 1 else [whole])]


def _read(text: str, span: Span, tokens: Tokens) -> _Line:
    label = _LABEL.match(text, span.start, span.end)
    cut = label.end() if label else span.start
    value = tokens(text[cut : span.end])
    return _Line(
        span=span,
        label=frozenset(tokens(text[span.start : cut])),
        value=frozenset(value),
        section=frozenset(tokens(span.section)),
        num_stems=len(value),
    )


def _serves(line: _Line, need: frozenset[str], rarity: dict[str, float]) -> float:
    in_label = line.label & need
    precision = sum(rarity[stem] for stem in in_label) / (sum(rarity[stem] for stem in line.label) or 1.0)
    label = sum(rarity[stem] for stem in in_label) * _LABEL_WEIGHT * (0.5 + 0.5 * precision)
    value = sum(rarity[stem] for stem in (line.value & need) - in_label)
    value /= 1.0 + max(0.0, math.log(max(1, line.num_stems) / _PIVOT_STEMS))
    section = _SECTION_WEIGHT * len(line.section & need) if label or value else 0.0
    return label + value + section
