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
from services.model.expert.units import Quantity, quantities
from services.model.expert.words import fold, tokens

_MORE = (
    r"(?:strictly )?(?:more|greater|higher|larger|longer|bigger|older|taller|later|over|above|exceed(?:s"
    r"|ing|ed)?|in excess of|beyond|after|upwards of|since)(?:\s+than)?|>"
)
_LESS = r"(?:strictly )?(?:less|fewer|lower|smaller|shorter|younger|earlier|under|below|before|short of)(?:\s+than)?|<"
_COMPARATORS = [
    ("between", re.compile(r"\b(?:between|from)\s+(?=[$€]?\d)", re.IGNORECASE)),
    (
        ">=",
        re.compile(
            r"\b(?:at least|no (?:less|fewer|lower|smaller|shorter) than|not (?:less|fewer|below"
            r"|under)(?: than)?|a minimum of|minimum|not before|from .* on)\b|>=|≥",
            re.IGNORECASE,
        ),
    ),
    (
        "<=",
        re.compile(
            r"\b(?:at most|no (?:more|greater|higher|larger|longer) than|not (?:more|above|over"
            r"|exceeding)(?: than)?|up to|a maximum of|maximum|not after)\b|<=|≤",
            re.IGNORECASE,
        ),
    ),
    (">", re.compile(rf"(?<![\w])(?:{_MORE})(?=[\s\d$€])", re.IGNORECASE)),
    ("<", re.compile(rf"(?<![\w])(?:{_LESS})(?=[\s\d$€])", re.IGNORECASE)),
    ("=", re.compile(r"\b(?:exactly|equal to|precisely|equals)\b", re.IGNORECASE)),
]
_AFTER_NUMBER = [
    (">=", re.compile(r"^\s*(?:[\w%$]+\s+){0,3}or (?:more|above|higher|greater|longer|over)\b", re.IGNORECASE)),
    ("<=", re.compile(r"^\s*(?:[\w%$]+\s+){0,3}or (?:less|fewer|below|lower|under|shorter)\b", re.IGNORECASE)),
]
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
    """One condition, and what decides it."""

    text: str
    operator: str
    """`>`, `>=`, `<`, `<=`, `=`, `between`, `contains`, `mention`."""
    bounds: tuple[Quantity, ...] = ()
    words: tuple[str, ...] = ()
    negated: bool = False

    @cached_property
    def heading(self) -> Heading:
        """The fact that decides it, as a column to look up."""
        units = " ".join(re.sub(r"[\d.,]+", " ", self.text[bound.start : bound.end]) for bound in self.bounds)
        return Heading(_fact_words(self), " ".join(f"in {units}".split()) if units.strip() else "", loose=True)

    def decide(self, value: str) -> bool | None:
        """Whether a value fulfils the condition; None when it cannot be told."""
        if not value.strip():
            return None
        if self.bounds:
            return self._compare(value)
        return self._text(value)

    def compared(self, value: str) -> tuple[float, float] | None:
        """The number of a value that is compared, and the bound that decides it; None where nothing is compared."""
        found = _meant(value, self.bounds[0]) if self.bounds else None
        if found is None:
            return None
        low, high = self.bounds[0].value, self.bounds[-1].value
        return found, low if found < low else high

    def _text(self, value: str) -> bool | None:
        answer = re.match(r"\s*(yes|no)\b", value, re.IGNORECASE)
        if self.operator == "contains":
            held = all(canonical(word) in canonical(value) for word in self.words)
        elif answer:
            held = answer[1].lower() == "yes"
        else:
            stated = set(tokens(value))
            held = any(token in stated for word in self.words for token in tokens(word)) or bool(
                re.match(r"\s*true\b", value, re.IGNORECASE)
            )
        return held != self.negated

    def _compare(self, value: str) -> bool | None:
        found = _meant(value, self.bounds[0])
        if found is None:
            return None
        low = self.bounds[0].value
        rules = {
            ">": found > low,
            ">=": found >= low,
            "<": found < low,
            "<=": found <= low,
            "=": abs(found - low) <= 1e-9 * max(1.0, abs(low)),
            "between": low <= found <= self.bounds[-1].value,
        }
        return rules[self.operator] != self.negated


def _meant(value: str, bound: Quantity) -> float | None:
    found = quantities(value)
    if bound.year:
        years = [quantity.value for quantity in found if quantity.year]
        return years[0] if years else None
    same = [quantity.value for quantity in found if quantity.unit and quantity.unit == bound.unit]
    plain = [quantity.value for quantity in found if not quantity.year]
    every = [quantity.value for quantity in found]
    return next(iter(same or plain or every), None)


def _fact_words(condition: Condition) -> str:
    """The condition without its comparison: what the fact is called."""
    text = condition.text
    for quantity in sorted(condition.bounds, key=lambda bound: -bound.start):
        unit = text[quantity.start : quantity.end]
        kept = " percent " if quantity.unit == "%" else " "
        text = text[: quantity.start] + kept + text[quantity.end :] if unit else text
    for _, pattern in _COMPARATORS:
        text = pattern.sub(" ", text)
    text = _NEGATION.sub(" ", text)
    if condition.operator == "contains":
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
        return Condition(clause, "contains", (), tuple(word for word in words if word), negated)
    bare = _LEADING.sub("", _NEGATION.sub(" ", clause)).strip()
    return Condition(clause, "mention", (), (bare,), negated) if tokens(bare) else None


def _numeric(clause: str) -> Condition | None:
    found = quantities(clause)
    if not found:
        return None
    for operator, pattern in _COMPARATORS:
        match = pattern.search(clause)
        if match:
            bounds = [quantity for quantity in found if quantity.start >= match.start()]
            if not bounds:
                continue
            kept = bounds[:2] if operator == "between" and len(bounds) > 1 else bounds[:1]
            if operator == "between" and len(kept) == 1:
                continue
            negated = bool(re.search(r"\bnot\s+$", clause[: match.start()], re.IGNORECASE))
            return Condition(clause, operator, _shared_unit(kept), (), negated)
    for operator, pattern in _AFTER_NUMBER:
        for quantity in found:
            if pattern.match(clause[quantity.end :]):
                return Condition(clause, operator, (quantity,))
    exact = [quantity for quantity in found if not quantity.year]
    if exact and re.match(r"^(?:have|has|had|with|whose|of)\b", fold(clause)):
        return Condition(clause, "=", (exact[0],))
    return None


def _shared_unit(bounds: list[Quantity]) -> tuple[Quantity, ...]:
    """`between 10 and 20 million km`: the last bound's scale and unit hold for both."""
    last = bounds[-1]
    if len(bounds) == 2 and bounds[0].scale == 1 and last.scale != 1 and bounds[0].value < last.value / last.scale:
        first = Quantity(
            bounds[0].value * last.scale, bounds[0].digits, last.scale, last.unit, bounds[0].start, bounds[0].end
        )
        return (first, last)
    return tuple(bounds)


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
        compared = bool(quantities(piece)) and any(pattern.search(piece) for _, pattern in _COMPARATORS)
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
