"""The fact that a question asks for, and the names in it."""

import re
from dataclasses import dataclass

from services.model.expert.headings import Heading
from services.model.expert.names import is_acronym
from wideseek.quantities import units_named

_LEADS = [
    (r"how (?:long|far)\b", "length distance, number of it"),
    (r"how (?:high|tall)\b", "elevation height, number of it"),
    (r"how (?:large|big)\b", "area size, number of it"),
    (r"how old\b", "age, number of it"),
    (r"how deep\b", "depth, number of it"),
    (r"how (?:many|much)\b", "number of it"),
    (r"(?:what|which) (?:percentage|percent|share|proportion) of\b", "percentage, in percent"),
    (r"(?:in|since) (?:what|which) year\b", "year of the date"),
    (r"(?:on (?:what|which) (?:date|day)|when)\b", "date"),
    (r"(?:what|which|who|whose|where|name|tell me|give)\b", ""),
]
"""How a question begins, and what that says of the value."""
_LEAD = [(re.compile(rf"^(?:and\s+|please\s+)?{pattern}\s*", re.IGNORECASE), said) for pattern, said in _LEADS]
_EDGE = r"(?:is|are|was|were|do|does|did|has|have|had|the|a|an|its|their|there|of|in|for|by|to|use|uses|used|'s|’s)"
_EDGES = re.compile(rf"^(?:{_EDGE}\s+)+|(?:\s+{_EDGE})+$", re.IGNORECASE)
_BRACKETS = re.compile(r"\s*\(([^()]*)\)")
_UNIT_TAIL = re.compile(r",?\s+(?:in|as)\s+((?:[A-Za-z.$%]+\s?){1,4})$")
_RATE_TAIL = re.compile(r",?\s+(?:in\s+[a-z ]+?\s+)?(per\s+[\d,]+\s*[a-z ]*)$")


def asked_heading(words: str) -> Heading:
    """The column that a question amounts to, its rows taken out of `words`."""
    text, said = " ".join(words.split()).strip(" ,?"), ""
    for pattern, meaning in _LEAD:
        match = pattern.match(text)
        if match:
            text, said = text[match.end() :], meaning
            break
    notes = _BRACKETS.findall(text)
    text = _trimmed(_BRACKETS.sub(" ", text))
    tail = _RATE_TAIL.search(text) or _UNIT_TAIL.search(text)
    if tail and (units_named(tail[1]) or tail[1].startswith("per")):
        notes.append(f"in {tail[1]}" if not tail[1].startswith("per") else tail[1])
        text = _trimmed(text[: tail.start()])
    name = text.replace(";", ",").strip(" .,")
    return Heading(name, ", ".join(part for part in (said, *notes) if part), loose=True)


def _trimmed(text: str) -> str:
    text = " ".join(text.split())
    while (shorter := _EDGES.sub("", text).strip(" ,")) != text:
        text = shorter
    return text


@dataclass(frozen=True)
class Entity:
    """A name in a question, with its place."""

    name: str
    start: int
    end: int


_SMALL = r"(?:of|the|and|de|da|do|du|des|la|le|al|el|y|von|van|di|in)"
_WORD = r"(?:[dlDL]['’])?[^\W\d_a-z][\w'’.-]*"
_CHUNK = re.compile(rf"{_WORD}(?:\s+(?:{_SMALL}\s+)*{_WORD})*(?:\s*\([^\W\d_a-z][^()]*\))?")
_BEFORE = [
    (re.compile(r"\b(?:of|for)\s+(?:the\s+)?$", re.IGNORECASE), 3),
    (re.compile(r"\b(?:in|does|do|did|has|have|had|is|was|by|at|from)\s+(?:the\s+)?$", re.IGNORECASE), 2),
]
_UNCAPITALISED = re.compile(r"^what.*\b(?:of|in|for)\s+(?:the\s+)?([a-z][\w'’ -]+)$")
_OWNER = re.compile(r"(?:['’]s|(?<=s)['’])$")
_QUANTIFIED = re.compile(r"^\s+(?:dollars?|per\b|rate\b|code\b|index\b)", re.IGNORECASE)


def entities(text: str) -> list[Entity]:
    """The names in a question, the likeliest owner of the fact first; none where it only begins with a capital."""
    scored = []
    for match in _CHUNK.finditer(text):
        name, end = match[0].rstrip(".,"), match.end()
        owner = _OWNER.search(name)
        name = _OWNER.sub("", name)
        unit = is_acronym(name) and _QUANTIFIED.match(text[end:])
        if (match.start() == 0 and not owner) or unit:
            continue
        place = next((worth for pattern, worth in _BEFORE if pattern.search(text[: match.start()])), 1)
        scored.append((4 if owner else place, match.start(), Entity(name, match.start(), end)))
    small = _UNCAPITALISED.search(text)
    if not scored and small:
        return [Entity(small[1], small.start(1), small.end(1))]
    ranked = sorted(scored, key=lambda item: (-item[0], -item[1]))
    return [entity for _, _, entity in ranked]
