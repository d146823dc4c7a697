"""The suite factbook-qa: questions over the World Factbook with one answer each, and the steps that lead to it.

Single-hop questions ask for a column of a country. Multi-hop ones reach it over a bridge (capital, highest
point) or the longest border, compare two countries, look for a common neighbour, or count neighbours. Every
answer is unique among all 195 sovereign states. A question is made only from regions and columns of its split;
where it depends on two or more countries, none of the sets it passes through is kept back for tests
(`Scope.allows`), which is stricter than the rule for tables asks.
"""

from collections.abc import Iterator, Mapping
from itertools import cycle
from random import Random

from services.suites.facts import Country
from services.suites.questions_drafts import Draft, Scope
from services.suites.questions_several import common_neighbours, comparisons, longest_borders, neighbour_counts
from services.suites.questions_simple import BRIDGES, Texts, bridges, profile_texts, single_hops
from services.suites.splits import split_named
from wideseek.instances import Question

_PATTERN = (True, False, True, False, True, True, False, True)
"""Whether the next question is single-hop: five of eight are, as 1,000 of 1,600 in the plan of the suite."""


def generate_questions(
    countries: Mapping[str, Country], split: str, count: int, seed: int, *, texts: Texts = profile_texts
) -> list[Question]:
    """At most `count` questions of a split; the same arguments give the same questions.

    Single-hop and multi-hop questions alternate, and so do the types of the latter; where one kind has run out,
    the others go on. Fewer than `count` come back only when there are no more. `countries` is every sovereign
    state by code; `texts` are the profiles' own words, for names that are used by a state whose field cannot be
    read. Raises `InvalidRequest` for a split that is reserved.
    """
    scope = Scope(countries, split_named(split))
    found: dict[str, Question] = {}
    if count <= 0:
        return []
    for draft in _alternating(scope, f"{split}:{seed}", texts):
        question = draft.finished(split)
        found.setdefault(question.question, question)
        if len(found) == count:
            break
    return list(found.values())


def _alternating(scope: Scope, seed: str, texts: Texts) -> Iterator[Draft]:
    """Drafts by the pattern of hops, until every source has run out."""
    single = single_hops(scope, Random(f"{seed}:single_hop"))
    multi = _in_turn(
        [
            longest_borders(scope, Random(f"{seed}:border_argmax")),
            comparisons(scope, Random(f"{seed}:comparison")),
            neighbour_counts(scope, Random(f"{seed}:count")),
            common_neighbours(scope, Random(f"{seed}:intersection")),
            *(bridges(scope, Random(f"{seed}:{kind}"), kind, texts) for kind in BRIDGES),
        ]
    )
    for is_single in cycle(_PATTERN):
        first, second = (single, multi) if is_single else (multi, single)
        draft = next(first, None) or next(second, None)
        if draft is None:
            return
        yield draft


def _in_turn(sources: list[Iterator[Draft]]) -> Iterator[Draft]:
    """One draft of each source in turn; a source that has run out is passed over."""
    while sources:
        for source in list(sources):
            draft = next(source, None)
            if draft is None:
                sources.remove(source)
            else:
                yield draft
