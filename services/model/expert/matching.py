"""Which fact of a page a heading asks for.

A heading with its description is scored against every fact: how much of the asked words the labels carry (rare
labels' words count more), how much of the labels was asked for, and whether unit, year and kind of the value agree.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.model.expert.agreement import agreement, other_year
from services.model.expert.headings import YEAR, Heading
from services.model.expert.pages import Fact, label_tokens
from wideseek.words import FAINT_STEMS, alike, tokens, weight

_BRACKETS = re.compile(r"\([^()]*\)")
_LONG_VALUE = 400
"""Longer values are prose: their words say little about what the fact is."""
_MIN_SHARED = 0.2
_MIN_NAMED, _MIN_DESCRIBED = 0.6, 0.7
"""A fact whose labels lack this share of the heading's name and of all that was asked is another fact."""
MIN_SCORE = 0.42
"""Below this no fact is meant: the cell stays empty."""


@dataclass(frozen=True)
class Match:
    """A fact with how well it serves a heading."""

    fact: Fact
    score: float


class Labels:
    """The facts of a page with the rarity of the words in their labels."""

    threshold = MIN_SCORE

    def __init__(self, facts: Sequence[Fact]) -> None:
        self.facts = list(facts)
        self._tokens = [frozenset(label_tokens(fact)) for fact in self.facts]
        self._last = [frozenset(tokens(_BRACKETS.sub(" ", fact.path[-1]))) for fact in self.facts]
        self._plain = [frozenset(tokens(_BRACKETS.sub(" ", " ".join(fact.path)))) for fact in self.facts]
        self._sections = [frozenset(tokens(fact.section)) for fact in self.facts]
        seen = {fact.label: found for fact, found in zip(self.facts, self._tokens, strict=True)}
        self._counts = Counter(token for found in seen.values() for token in found)
        self._values: dict[int, frozenset[str]] = {}

    def best(self, heading: Heading) -> Match | None:
        """The fact that serves `heading` best, or None when none serves it."""
        ranked = self.ranked(heading)
        return ranked[0] if ranked and ranked[0].score >= self.threshold else None

    def ranked(self, heading: Heading) -> list[Match]:
        """Facts that share a word with `heading`, best first; ties keep the order of the page."""
        likeness = {token: self._alike(token) for token in heading.wanted}
        matches = [
            Match(fact, score)
            for number, fact in enumerate(self.facts)
            if (score := self._score(heading, number, likeness)) > 0
        ]
        return sorted(matches, key=lambda match: -match.score)

    def _alike(self, token: str) -> dict[str, float]:
        """The labels' words that are like `token`."""
        return {other: found for other in self._counts if (found := alike(token, other)) > 0}

    def _rarity(self, token: str) -> float:
        """1 for a word of one label, less for a word of many."""
        return 1.0 / (1.0 + 0.35 * math.log(max(1, self._counts.get(token, 1))))

    def _value_words(self, number: int) -> frozenset[str]:
        if number not in self._values:
            value = self.facts[number].value
            self._values[number] = frozenset(tokens(value)) if len(value) < _LONG_VALUE else frozenset()
        return self._values[number]

    def _score(self, heading: Heading, number: int, likeness: Mapping[str, Mapping[str, float]]) -> float:
        label = self._tokens[number]
        carried = total = named = named_total = described = 0.0
        for token, worth in heading.wanted.items():
            like = likeness[token]
            in_label = 1.0 if token in label else max((like[other] for other in label if other in like), default=0.0)
            described += worth * in_label
            scale = worth * (0.6 + 0.4 * self._rarity(token))
            total += scale
            carried += scale * in_label
            if token in heading.name_tokens:
                named_total += worth
                named += worth * in_label
        if described <= _MIN_SHARED or other_year(heading, self.facts[number]):
            return 0.0
        if not heading.loose and named < _MIN_NAMED * named_total and carried < _MIN_DESCRIBED * total:
            return 0.0
        covered = (carried + self._elsewhere(heading, number)) / total
        name_share = named / named_total if named_total else covered
        focus = self._focus(number, likeness)
        return 0.35 * min(1.0, covered) + 0.3 * name_share + 0.35 * focus + agreement(heading, self.facts[number])

    def _elsewhere(self, heading: Heading, number: int) -> float:
        """What the value and the section carry of the words that the labels lack."""
        label, value, section = self._tokens[number], self._value_words(number), self._sections[number]
        found = 0.0
        for token, worth in heading.wanted.items():
            if token not in label:
                share = 0.6 if token in value else 0.4 if token in section else 0.0
                found += worth * (0.6 + 0.4 * self._rarity(token)) * share
        return found

    def _focus(self, number: int, likeness: Mapping[str, Mapping[str, float]]) -> float:
        """How much of the labels was asked for; words of kind (`total`) are nobody's surplus."""
        surplus = matched = 0.0
        for token in self._tokens[number]:
            if YEAR.fullmatch(token):
                continue
            worth = weight(token) * (
                1.0 if token in self._last[number] else 0.6 if token in self._plain[number] else 0.3
            )
            found = max((like.get(token, 0.0) for like in likeness.values()), default=0.0)
            matched += worth * found
            surplus += worth * (1 - found) * (0.5 if token in FAINT_STEMS else 1.0)
        return matched / (matched + surplus) if matched else 0.0
