"""Which fact of a page a heading asks for.

A heading with its description is scored against every fact: how much of the asked words the labels carry (rare
labels' words count more), how much of the labels was asked for, and whether unit, year and kind of the value agree.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from services.model.expert.pages import Fact, label_tokens
from services.model.expert.units import Quantity, quantities, units_named
from services.model.expert.words import FAINT_STEMS, alike, fold, tokens, weight

_YEAR = re.compile(r"\b(1\d{3}|20\d{2}|21\d{2})\b")
_NOTE = re.compile(r"^notes?(?:\s*\d+)?$", re.IGNORECASE)
_FORMAT = re.compile(
    r"\b(?:written out(?: in full)?|in plain digits|as (?:a |the )?(?:plain )?number|usual short english name"
    r"|named as in this (?:request|query|question)|as stated(?: in the \w+)?|without units|as YYYY-MM-DD"
    r"|with the leading \w+|such as \S+|yes or no|the name of|name of|in full)\b",
    re.IGNORECASE,
)
_PARTNER = re.compile(
    r"\b(?:with|to|from)\s+(?:the\s+)?([^\W\d_a-z][\w'’.-]*(?:\s+(?:(?:of|the|and)\s+)*[^\W\d_a-z][\w'’.-]*)*)"
)
_TOTAL = re.compile(r"(?:total|overall|all|name|total population)", re.IGNORECASE)
"""What the default reading of a fact with several parts is called."""
_BRACKETS = re.compile(r"\([^()]*\)")
_LONG_VALUE = 400
"""Longer values are prose: their words say little about what the fact is."""
_MIN_SHARED = 0.2
_MIN_NAMED, _MIN_DESCRIBED = 0.6, 0.7
"""A fact whose labels lack this share of the heading's name and of all that was asked is another fact."""
MIN_SCORE = 0.42
"""Below this no fact is meant: the cell stays empty."""


@dataclass(frozen=True)
class Heading:
    """A column that is asked for."""

    name: str
    description: str = ""
    loose: bool = False
    """Whether the name is a phrase of running text, of which labels carry only some words."""

    @property
    def text(self) -> str:
        """Name and description."""
        return f"{self.name} {self.description}".strip()

    @cached_property
    def name_tokens(self) -> frozenset[str]:
        """Stems of the name, years aside."""
        return frozenset(token for token in tokens(self.name) if not _YEAR.fullmatch(token))

    @cached_property
    def wanted(self) -> dict[str, float]:
        """Stems asked for with their weights; those that only the description has count less."""
        found = {token: 0.45 * weight(token) for token in tokens(_FORMAT.sub(" ", self.description))}
        found.update({token: weight(token) for token in self.name_tokens})
        return {token: value for token, value in found.items() if not _YEAR.fullmatch(token)}

    @cached_property
    def years(self) -> frozenset[str]:
        """Years asked for."""
        return frozenset(_YEAR.findall(self.text))

    @cached_property
    def units(self) -> frozenset[str]:
        """Units asked for."""
        shares = {"%"} if re.search(r"\b(?:share|proportion)\b", fold(self.name)) else set()
        return frozenset({*units_named(_FORMAT.sub(" ", self.text)), *shares})

    @cached_property
    def partner(self) -> str:
        """A name that the fact is about beside the row: the one after `with`, `to` or `from`."""
        match = _PARTNER.search(self.description) or _PARTNER.search(self.name)
        return match[1] if match else ""

    @cached_property
    def kind(self) -> str:
        """`date`, `boolean`, `first`, `name`, `number` or `text` (nothing said)."""
        text = fold(self.text)
        rules = [
            ("date", r"\byyyy|\bdate\b|\bwhen\b|日期"),
            ("boolean", r"yes or no|yes/no|\bwhether\b|是否"),
            (
                "first",
                r"(?:listed|named|mentioned|ranked|comes?|placed|stands?) (?:first|second|third)|first[- ](?:listed|named|mentioned)|\b(?:top|main|largest|biggest|leading|first)\b.*\b(?:partner|among|of the)\b",
            ),
            ("name", r"\bnames? of\b|\bname\b"),
            (
                "number",
                r"\bnumber of\b|\bhow (?:many|much|long|high|big|large|old)\b|\bcount\b|\btotal\b|\bper\b|\bin (?:millions|billions|thousands)\b|\b(?:length|rate|share|elevation|height|altitude|depth|area|population|age|density|distance|weight|mass|volume|income|price|speed)\b|\bpercent|数量|人口",
            ),
        ]
        kind = next((kind for kind, pattern in rules if re.search(pattern, text)), "")
        if kind in {"date", "boolean", "first"}:
            return kind
        return "number" if self.units and kind != "name" else (kind or ("number" if self.units else "text"))


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
        if described <= _MIN_SHARED or _other_year(heading, self.facts[number]):
            return 0.0
        if not heading.loose and named < _MIN_NAMED * named_total and carried < _MIN_DESCRIBED * total:
            return 0.0
        covered = (carried + self._elsewhere(heading, number)) / total
        name_share = named / named_total if named_total else covered
        focus = self._focus(number, likeness)
        return 0.35 * min(1.0, covered) + 0.3 * name_share + 0.35 * focus + self._agreement(heading, self.facts[number])

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
            if _YEAR.fullmatch(token):
                continue
            worth = weight(token) * (
                1.0 if token in self._last[number] else 0.6 if token in self._plain[number] else 0.3
            )
            found = max((like.get(token, 0.0) for like in likeness.values()), default=0.0)
            matched += worth * found
            surplus += worth * (1 - found) * (0.5 if token in FAINT_STEMS else 1.0)
        return matched / (matched + surplus) if matched else 0.0

    def _agreement(self, heading: Heading, fact: Fact) -> float:
        """What unit, year and kind of the value add or take."""
        score = _year_agreement(heading, fact)
        numbers = quantities(fact.value)
        stated = {number.unit for number in numbers[:4] if number.unit} | set(units_named(fact.label))
        if _NOTE.match(fact.path[-1]):
            score -= 0.3
        if heading.kind == "first" and not _head_noun(heading) & self._tokens[self.facts.index(fact)]:
            score -= 0.3
        if "%" in heading.units and numbers and "%" not in stated and all(abs(one.value) > 100 for one in numbers):
            score -= 0.6
        if heading.kind == "number":
            plain = [number for number in numbers if not number.year] or numbers
            score += 0.0 if plain else -0.45
        if heading.kind == "boolean":
            score += 0.15 if re.match(r"\s*(?:yes|no)\b", fact.value, re.IGNORECASE) else -0.1
        if heading.kind == "date":
            score += 0.1 if _YEAR.search(fact.value) else -0.3
        if heading.kind == "first":
            score += 0.1 if re.search(r"[,;]", fact.value) else -0.05
        if heading.kind == "name":
            score += 0.0 if re.search(r"[^\W\d_]{2}", fact.value) else -0.4
        if _TOTAL.fullmatch(fact.path[-1]):
            score += 0.08
        if any(fold(part).startswith(fold(heading.name)) for part in fact.path):
            score += 0.08
        if re.search(r"\b(?:share|proportion)\b", fold(heading.name)) and re.search(r"%\s+of\b", fact.value):
            score += 0.12
        if " per " in f" {fold(fact.label)} " and not re.search(r"\bper\b|/", fold(heading.text)):
            score -= 0.15
        if heading.partner:
            score += 0.4 if of_partner(heading.partner, fact.value) else -0.4
        if heading.units and stated:
            score += 0.14 if heading.units & stated else (-0.2 if heading.kind == "number" else 0.0)
        return score


def of_partner(partner: str, value: str) -> Quantity | None:
    """The number that a list gives beside a name (`Chad 1,055 km; Mali 838 km`)."""
    place = re.search(rf"\b{re.escape(fold(partner))}\b(?:\s*\([^()]*\))?[\s:,–-]{{0,3}}(?=[$€]?\d)", fold(value))
    if not place:
        return None
    return next((quantity for quantity in quantities(value) if quantity.start >= place.end() - 2), None)


def _head_noun(heading: Heading) -> set[str]:
    """The last word of the name: what kind of thing is listed."""
    return set(tokens(heading.name)[-1:])


def _years_stated(fact: Fact) -> set[str]:
    """The years a fact is for: those of its label, else those of its value."""
    return set(_YEAR.findall(fact.path[-1])) or set(_YEAR.findall(fact.value))


def _other_year(heading: Heading, fact: Fact) -> bool:
    """Whether a year was asked for and the fact is for others."""
    stated = _years_stated(fact)
    return bool(heading.years and stated and not stated & heading.years)


def _year_agreement(heading: Heading, fact: Fact) -> float:
    if not heading.years:
        # Several years of one series: the first stated is the default reading.
        return -0.04 if _YEAR.search(fact.path[-1]) else 0.0
    return 0.25 if _years_stated(fact) & heading.years else -0.1
