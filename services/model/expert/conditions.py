"""Conditions on rows: `more than 1,000 km`, `between 10 and 20`, `contains X`, `are landlocked`, `gained … after 1960`.

A condition names a fact, as a heading does, and says what its value must be. It is decided on what a page states;
where the page states nothing it is undecided, and the row is left out.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from services.model.expert.headings import Heading
from services.model.expert.lists import split_list
from services.model.expert.names import canonical
from wideseek.comparisons import COMPARATORS, Comparison, read_comparison
from wideseek.quantities import Quantity, quantities
from wideseek.words import fold, tokens

_CONTAINS = re.compile(
    r"\b(?:contain(?:s|ing|ed)?|includ(?:es?|ing|ed)|mention(?:s|ing|ed)?|list(?:s|ing|ed)?|nam(?:es?|ing|ed)"
    r"|read(?:s|ing)?|state[sd]?)\b",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|without|lacks?|lacking|does ?n[o']t|do ?n[o']t|is ?n[o']t|are ?n[o']t|cannot|neither)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“'‘]([^\"”'’]{2,60})[\"”'’]")
_LEADING = re.compile(
    r"^(?:(?:and|but|that|which|who|whose|with|they|it|where|having|have|has|had|is|are|was|were|also|both|a"
    r"|an|the|of|in|on|their|its)\s+)+",
    re.IGNORECASE,
)
_SHARE = re.compile(r"\bof (?:their|its|the)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Condition:
    """One condition, and what decides it: a comparison, or words."""

    text: str
    comparison: Comparison | None = None
    words: tuple[str, ...] = ()
    contains: bool = False
    """Whether the words are to stand in the value, rather than be mentioned on the page."""
    negated: bool = False

    @property
    def bounds(self) -> tuple[Quantity, ...]:
        """What a number is compared with; nothing where words decide."""
        return self.comparison.bounds if self.comparison else ()

    @cached_property
    def heading(self) -> Heading:
        """The fact that decides it, as a column to look up."""
        units = " ".join(re.sub(r"[\d.,]+", " ", self.text[bound.start : bound.end]) for bound in self.bounds)
        return Heading(_fact_words(self), " ".join(f"in {units}".split()) if units.strip() else "", loose=True)

    def decide(self, value: str) -> bool | None:
        """Whether a value fulfils the condition; None when it cannot be told."""
        if not value.strip():
            return None
        held = self._compare(self.comparison, value) if self.comparison else self._text(value)
        return None if held is None else held != self.negated

    def compared(self, value: str) -> Quantity | None:
        """The number of a value that is compared; None where nothing is compared."""
        return next(iter(self.comparison.meant(quantities(value))), None) if self.comparison else None

    def _text(self, value: str) -> bool:
        answer = re.match(r"\s*(yes|no)\b", value, re.IGNORECASE)
        if self.contains:
            return all(canonical(word) in canonical(value) for word in self.words)
        if answer:
            return answer[1].lower() == "yes"
        stated = set(tokens(value))
        return any(token in stated for word in self.words for token in tokens(word)) or bool(
            re.match(r"\s*true\b", value, re.IGNORECASE)
        )

    def _compare(self, comparison: Comparison, value: str) -> bool | None:
        found = self.compared(value)
        return None if found is None else comparison.holds(found.value)


def _fact_words(condition: Condition) -> str:
    """The condition without its comparison: what the fact is called."""
    text = condition.text
    for quantity in sorted(condition.bounds, key=lambda bound: -bound.start):
        unit = text[quantity.start : quantity.end]
        kept = " percent " if quantity.unit == "%" else " "
        text = text[: quantity.start] + kept + text[quantity.end :] if unit else text
    for _, pattern in COMPARATORS:
        text = pattern.sub(" ", text)
    text = _NEGATION.sub(" ", text)
    if condition.contains:
        text = _QUOTED.sub(" ", _CONTAINS.sub(" ", text))
        for word in condition.words:
            text = re.sub(re.escape(word), " ", text, flags=re.IGNORECASE)
    return " ".join(text.split()).strip(" ,.;:")


def read_condition(text: str) -> Condition | None:
    """A condition from its words, or None when they state none."""
    clause = re.sub(r"^(?:they|it|each|also)\s+", "", " ".join(text.split()).strip(" ,.;:"), flags=re.IGNORECASE)
    if not clause:
        return None
    numeric = _numeric(clause)
    if numeric is not None:
        return numeric
    negated = bool(_NEGATION.search(clause))
    contains = _CONTAINS.search(clause)
    quoted = tuple(_QUOTED.findall(clause))
    if quoted or (contains and clause[contains.end() :].strip()):
        words = quoted or tuple(split_list(clause[contains.end() :] if contains else ""))
        return Condition(clause, None, tuple(word for word in words if word), True, negated)
    bare = _LEADING.sub("", _NEGATION.sub(" ", clause)).strip()
    return Condition(clause, None, (bare,), negated=negated) if tokens(bare) else None


def _numeric(clause: str) -> Condition | None:
    comparison = read_comparison(clause)
    if comparison:
        return Condition(clause, comparison, negated=comparison.negated)
    exact = [quantity for quantity in quantities(clause) if not quantity.year]
    if exact and re.match(r"^(?:have|has|had|with|whose|of)\b", fold(clause)):
        return Condition(clause, Comparison("=", (exact[0],)))
    return None


_CLAUSE_VERB = (
    r"(?:have|has|had|having|are|is|were|was|do|does|did|with|whose|without|share|grant|allow|permit"
    r"|recogni[sz]e|use|lie|lies|list|gain|gained|"
    r"became|become|border|contain|include|produce|export|import|record|report|own|hold|count|number|exceed"
    r"|cover|speak|belong|lack|cannot|never|not|no)"
)
_JOIN = re.compile(
    rf"(?:\s*[,;]\s+(?:and\s+|but\s+)?|\s+(?:and|but)\s+)(?:also\s+|that\s+|which\s+|who\s+"
    rf"|they\s+)*(?={_CLAUSE_VERB}\b)|\s*;\s*",
    re.IGNORECASE,
)
_JOIN_COMPARED = re.compile(r"\s+(?:and|but)\s+|\s*,\s+(?:and\s+)?", re.IGNORECASE)


def read_conditions(text: str) -> tuple[Condition, ...]:
    """Every condition of a text that joins them with `and`."""
    clauses: list[str] = []
    for part in _JOIN.split(text.strip(" .")):
        clauses.extend(_compared_parts(part))
    found = [condition for clause in clauses if (condition := read_condition(clause)) is not None]
    return tuple(found)


def _compared_parts(part: str) -> list[str]:
    """Cut at `and` where a comparison stands on both sides (`between A and B` is one comparison)."""
    masked = re.sub(
        r"\b(between\s+\S+(?:\s+\w+)?)\s+and\s+", lambda match: f"{match[1]} \x00 ", part, flags=re.IGNORECASE
    )
    pieces = _JOIN_COMPARED.split(
        re.sub(r"\([^()]*\)", lambda match: match[0].replace(" and ", " \x00 ").replace(", ", "\x01 "), masked)
    )
    joined: list[str] = []
    for piece in pieces:
        compared = bool(quantities(piece)) and any(pattern.search(piece) for _, pattern in COMPARATORS)
        if (joined and not compared) or (joined and not _has_number(joined[-1])):
            joined[-1] += f" and {piece}"
        else:
            joined.append(piece)
    return [piece.replace("\x00", "and").replace("\x01", ",") for piece in joined]


def _has_number(text: str) -> bool:
    return bool(quantities(text))


def shares(condition: Condition) -> bool:
    """Whether a condition speaks of a share of something (`more than 20% of their land`)."""
    return bool(_SHARE.search(condition.text))
