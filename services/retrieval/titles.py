"""Names in a query: which pages it asks for by title or alias."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.retrieval.store import PageStore, TitleMatch
from services.retrieval.text import STOPWORDS, title_key

_MAX_WORDS = 64
_MAX_TITLE_WORDS = 12
TITLE_BONUS = 2.0
ALIAS_BONUS = 1.0
"""Added to a page's score when the query is its title or alias; above any sum of reciprocal ranks."""


@dataclass(frozen=True, slots=True)
class Named:
    """A page a query names."""

    page: int
    weight: float
    """How surely it is meant, 0 to 1: a name of several words counts fully, a single word by its share of the query."""
    bonus: float
    """Above 0 when the name is the whole query."""


def named_pages(query: str, store: PageStore, weight: Callable[[str], float]) -> list[Named]:
    """Pages whose name stands in the query, word for word and not inside a longer name, fullest first.

    `weight` tells how much information a text carries (summed inverse document frequency).
    """
    words = title_key(query).split()[:_MAX_WORDS]
    whole = " ".join(words)
    spans = {
        (start, end): " ".join(words[start:end])
        for start in range(len(words))
        for end in range(start + 1, min(start + _MAX_TITLE_WORDS, len(words)) + 1)
        if not all(word in STOPWORDS for word in words[start:end]) or end - start == len(words)
    }
    matches = store.titled([*dict.fromkeys([whole, *spans.values()])])
    keys = {match.key for match in matches}
    kept = {spans[span] for span in _outermost([span for span, key in spans.items() if key in keys])} | {whole}
    total = weight(whole) or 1.0
    found = [_named(match, whole, weight(match.key) / total) for match in matches if match.key in kept]
    best: dict[int, Named] = {}
    for named in sorted(found, key=lambda named: (-named.bonus, -named.weight, named.page)):
        best.setdefault(named.page, named)
    return list(best.values())


def _named(match: TitleMatch, whole: str, share: float) -> Named:
    if match.key == whole:
        return Named(match.page, 1.0, ALIAS_BONUS if match.alias else TITLE_BONUS)
    several = sum(word not in STOPWORDS for word in match.key.split()) > 1
    return Named(match.page, 1.0 if several else min(1.0, share), 0.0)


def _outermost(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [
        span
        for span in spans
        if not any(other != span and other[0] <= span[0] and span[1] <= other[1] for other in spans)
    ]
